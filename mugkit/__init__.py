"""mugkit: MUG (meta uni-label generation) for multimodal sentiment analysis, readable and reproducible.

The rooms, in the order in which a batch goes through them; none is imported by one above it:

- `data`: readers and prepared data sets, out of which a loader makes batches of clips;
- `models`: the networks that turn a batch into representations and predictions;
- `training`: stages 1 to 3, which train them, and the sources of unimodal labels;
- `baselines`: other papers' networks, one file each, trained by the same stage 3;
- `experiments`: a run is a system, a data set and a seed; stores runs, schedules them, searches and tunes;
- `evaluation`: the runs' predictions compared over clips and seeds, verdicts, tables;
- `plots`: what figures show;
- `studies`: the questions that notebooks ask beyond the tables;
- `claims`: the paper's sentences, and what the numbers say of each;
- `reproduction`: all runs and notebooks in one go, and the report;
- `course`: assignments, built, checked and graded.
"""

import os

__version__ = "0.1.0"

# Large tensors on large pages (Linux; torch reads this once). Otherwise a tenth of a step that trains BERT on a CPU is
# page faults, as its gradients are given back to the system after each step and asked for again.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
