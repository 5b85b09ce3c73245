"""Running specifications: one in this process, or many over processes of this machine or a Ray cluster.

`experiment` is one run, `tasks` takes many runs apart into what has to be computed, and `scheduler` hands tasks to
executors (`mugkit.pools`, `ray_executor`) in an order that their results allow.
"""

from mugkit.engine.experiment import Run, _dataset, missing, run, work
from mugkit.engine.resources import Resources
from mugkit.engine.scheduler import ENGINES, LOCAL, ExecutionConfig, finish_all, learn_all, run_all

__all__ = [
    "ENGINES",
    "LOCAL",
    "ExecutionConfig",
    "Resources",
    "Run",
    "_dataset",
    "finish_all",
    "learn_all",
    "missing",
    "run",
    "run_all",
    "work",
]
