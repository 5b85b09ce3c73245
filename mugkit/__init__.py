"""mugkit: MUG (meta uni-label generation) for multimodal sentiment analysis, readable and reproducible."""

import os

__version__ = "0.1.0"

# Large tensors on large pages (Linux; torch reads this once). Otherwise a tenth of a step that trains BERT on a CPU is
# page faults, as its gradients are given back to the system after each step and asked for again.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
