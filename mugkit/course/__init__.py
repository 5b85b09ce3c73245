"""The course: assignments in nbgrader's format, how they are built and checked, and how untrusted answers are graded.

assignment   a source notebook as data: exercises, points, what students get to see
build, lint, guide   release versions, a zip for students, the instructor's guide; what all of them must keep to
checks       what the tests inside assignments are written with
judge        runs an assignment's tests, here, on answers that live elsewhere
answers      where answers live: a worker in a sandbox
worker, codec, sandbox   the other end: one process per submission, what it may do, what travels over its pipe
execute, grade   nbgrader's autograde, gradebook and feedback around that judge
"""
