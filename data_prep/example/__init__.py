"""The example of `from_media_to_frames.ipynb`: sentences with the voice of espeak-ng and a drawn face."""
