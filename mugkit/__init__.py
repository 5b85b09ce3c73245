"""mugkit: MUG (meta uni-label generation) for multimodal sentiment analysis, readable and reproducible."""

__version__ = "0.1.0"
