"""The measurement of the validation split's size: it cuts that split and nothing else."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import scripts
from made_up import make_dataset

from mugkit.data.store import fingerprint


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return scripts.load("validation_size")


def test_the_first_clips_are_kept_whole(script: ModuleType) -> None:
    split = make_dataset((9, 7, 5)).valid
    fewer = script.first(split, 3)
    assert (fewer.name, fewer.ids, fewer.text) == ("valid", split.ids[:3], split.text[:3])
    np.testing.assert_array_equal(fewer.labels, split.labels[:3])
    for m in ("l", "a", "v"):
        np.testing.assert_array_equal(fewer.true_labels[m], split.true_labels[m][:3])
    for m in ("a", "v"):
        assert len(fewer.sequences[m]) == 3
        assert fewer.sequences[m].offsets[-1] == len(fewer.sequences[m].frames)
        for clip in range(3):
            np.testing.assert_array_equal(fewer.sequences[m][clip], split.sequences[m][clip])


def test_fewer_validation_clips_are_other_data_with_the_same_other_splits(script: ModuleType) -> None:
    dataset = make_dataset((9, 7, 5))
    four, five = (script.with_validation(dataset, count) for count in (4, 5))
    assert [len(one.valid) for one in (four, five, dataset)] == [4, 5, 7]
    assert four.train is five.train is dataset.train
    assert four.test is five.test is dataset.test
    assert len({four.fingerprint, five.fingerprint, fingerprint(dataset)}) == 3
    assert script.with_validation(dataset, 7).fingerprint == fingerprint(dataset)
