"""From media to frames: a clip's sound and face track as the numbers that the acoustic and visual networks read."""
