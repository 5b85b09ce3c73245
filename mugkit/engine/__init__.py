"""Running specifications: one in this process, or many over processes of this machine or a Ray cluster.

`single` is one run, `tasks` takes many runs apart into what has to be computed, and `many` hands tasks to a pool of
`mugkit.pools` in an order that their results allow.
"""

from mugkit.engine.many import ENGINES, learn_all, run_all, workers_of
from mugkit.engine.share import Share
from mugkit.engine.single import Run, _dataset, missing, run, work

__all__ = ["ENGINES", "Run", "Share", "_dataset", "learn_all", "missing", "run", "run_all", "work", "workers_of"]
