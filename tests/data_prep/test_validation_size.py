"""The measurement of the validation split's size: it cuts that split and nothing else."""

import numpy as np
import validation_size
from made_up import make_dataset

from mugkit.data.store import fingerprint


def test_fewer_validation_clips_are_kept_whole_and_the_other_splits_as_they_are() -> None:
    dataset = make_dataset((9, 7, 5))
    fewer, split = validation_size.with_validation(dataset, 3), dataset.valid
    assert (fewer.valid.name, fewer.valid.ids, fewer.valid.text) == ("valid", split.ids[:3], split.text[:3])
    np.testing.assert_array_equal(fewer.valid.labels, split.labels[:3])
    for m in ("l", "a", "v"):
        np.testing.assert_array_equal(fewer.valid.true_labels[m], split.true_labels[m][:3])
    for m in ("a", "v"):
        frames = fewer.valid.sequences[m]
        assert (len(frames), frames.offsets[-1]) == (3, len(frames.frames))
        np.testing.assert_array_equal(frames[2], split.sequences[m][2])
    assert (fewer.train, fewer.test) == (dataset.train, dataset.test)
    assert fewer.fingerprint != fingerprint(dataset) == validation_size.with_validation(dataset, 7).fingerprint
