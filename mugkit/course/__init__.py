"""The course: assignments in nbgrader's format, how they are built and checked, and how untrusted answers are graded.

assignment   a source notebook as data: its exercises, their points, and what students see
build, lint  build release versions, a zip for students and the instructor's guide, and check them
checks       the functions that the tests in assignments call
judge        runs an assignment's tests in this process, on answers that live in another
answers      gives tests access to a student's functions in a sandboxed worker
worker, codec, sandbox   the worker: one process per submission, its limits, the values on its pipe
execute, grade   connect the judge to nbgrader's autograde, gradebook and feedback
"""
