"""Stores `reviews-small`, on which `make test` runs the notebooks: `reviews` at its defaults with few clips.

Under the profile `smoke` no number means anything, and encoding thousands of sentences was half of the time.
"""

import dataclasses

from mugkit import files
from mugkit.data import reviews, store

NAME, SIZES, SEED = "reviews-small", (320, 120, 240), 2024

if __name__ == "__main__":
    sentences = reviews.read_sentences(reviews.fetch(files.home() / "downloads"))
    dataset = reviews.assemble(sentences, SEED, sizes=SIZES)
    store.save(dataclasses.replace(dataset, name=NAME), files.data_home() / NAME, replace=True)
