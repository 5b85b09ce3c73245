"""Turns media into frames: a clip's sound and face track as numbers that the acoustic and visual networks read."""
