"""mugkit: MUG (meta uni-label generation) for multimodal sentiment analysis, readable and reproducible.

The subpackages, in the order in which a batch passes through them; none is imported by one above it:

- `data`: readers and prepared data sets, from which a loader makes batches of clips;
- `models`: the networks that turn a batch into representations and predictions;
- `training`: stages 1 to 3, which train them, and the sources of unimodal labels;
- `baselines`: other papers' networks, one file each, trained by the same stage 3;
- `experiments`: a run is a system, a data set and a seed; stores, schedules, searches and tunes runs;
- `evaluation`: comparisons of the runs' predictions over clips and seeds, verdicts, tables;
- `plots`: the figures;
- `studies`: the questions that notebooks ask beyond the tables;
- `claims`: the paper's claims, and what the numbers say about each;
- `reproduction`: all runs and notebooks in one go, and the report;
- `course`: builds, checks and grades assignments.
"""

import os

__version__ = "0.1.0"

# Large tensors on large pages (Linux; torch reads this once). Otherwise page faults take a tenth of a step that trains
# BERT on a CPU, because its gradients are returned to the system after each step and requested again.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
