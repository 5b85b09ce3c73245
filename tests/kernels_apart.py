"""A pytest plugin for nbval in several processes: kernels are reached through files, not over ports.

PYTHONPATH=tests pytest -p kernels_apart --numprocesses=2 --dist=loadfile --nbval notebooks/*.ipynb
"""

from jupyter_client.manager import KernelManager
from nbval import kernel

from mugkit.reproduction.kernels import ThroughFiles


class Kernel(ThroughFiles, KernelManager):
    """nbval's kernel manager, with files for sockets."""


kernel.KernelManager = Kernel
