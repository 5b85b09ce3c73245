"""The example of `from_media_to_frames.ipynb`: sentences spoken by espeak-ng and said by a drawn face."""
