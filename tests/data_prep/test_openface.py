"""OpenFace 2's files: 709 columns by name, and what happens where the tracker lost the face."""

from pathlib import Path

import numpy as np
import pytest
from features import openface
from features.openface import COLUMNS, read_openface
from tones import header, openface_rows, write_rows

from mugkit.errors import UserError


def values(path: Path) -> list[float]:
    """What each row came out as; in the test files all 709 features of a row are equal."""
    frames = read_openface(path).frames
    assert (frames == frames[:, :1]).all()
    return frames[:, 0].tolist()


def test_columns_are_the_documented_header_less_its_first_five() -> None:
    assert [*openface.KEYS, *COLUMNS] == header()
    assert len(header()) == 714
    assert len(COLUMNS) == len(set(COLUMNS)) == 709
    sizes = {option: len(group) for option, group in openface.GROUPS.items()}
    assert sizes == {"-gaze": 288, "-pose": 6, "-2Dfp": 136, "-3Dfp": 204, "-pdmparams": 40, "-aus": 35}


@pytest.mark.parametrize("comma", [", ", ","])  # 2.0 writes a space, 2.2 does not
def test_read_openface_of_a_tracked_face(comma: str, tmp_path: Path) -> None:
    rows = openface_rows(3)
    rows[1]["AU12_r"] = "2.75"
    track = read_openface(write_rows(tmp_path / "clip.csv", rows[::-1], comma=comma))  # put in the order of pictures
    assert track.frames.shape == (3, 709)
    assert track.frames.dtype == np.float32
    assert track.frames[1, COLUMNS.index("AU12_r")] == 2.75
    assert track.timestamps.tolist() == [0.0, 0.1, 0.2]
    assert track.tracked.all()
    assert track.face == 0


def test_read_openface_columns_in_another_order_are_found_by_name(tmp_path: Path) -> None:
    rows = openface_rows(2)
    for i, name in enumerate(COLUMNS):
        rows[0][name] = f"{i}.0"
    names = ["extra", *header()[::-1]]
    write_rows(tmp_path / "clip.csv", [row | {"extra": "text"} for row in rows], names)
    assert read_openface(tmp_path / "clip.csv").frames[0].tolist() == list(range(709))


def test_read_openface_lost_pictures_take_the_nearest_tracked_one(tmp_path: Path) -> None:
    rows = openface_rows(8)
    for i in (0, 3, 4, 5, 7):
        rows[i] |= {"success": "0"} | dict.fromkeys(COLUMNS, "0.0")
    assert values(write_rows(tmp_path / "clip.csv", rows)) == [2, 2, 3, 3, 3, 7, 7, 7]  # 4 lies between: the earlier
    assert read_openface(tmp_path / "clip.csv").tracked.tolist() == [i in (1, 2, 6) for i in range(8)]


@pytest.mark.parametrize(
    "spoilt", [{"confidence": "0.3"}, {"gaze_0_x": "-nan(ind)"}, {"X_3": "inf"}, {"AU01_r": "nan"}, {"p_0": ""}]
)
def test_read_openface_untrusted_rows_count_as_lost(spoilt: dict[str, str], tmp_path: Path) -> None:
    rows = openface_rows(3)
    rows[2] |= spoilt
    assert values(write_rows(tmp_path / "clip.csv", rows)) == [1, 2, 2]


def test_read_openface_of_several_faces_takes_the_most_tracked(tmp_path: Path) -> None:
    first, second = openface_rows(4), openface_rows(4, face=1)
    for row in first[:2]:
        row["success"] = "0"
    rows = [row for pair in zip(first, second, strict=True) for row in pair]  # by picture, as OpenFace writes
    for row in second:
        row |= dict.fromkeys(COLUMNS, "50.0")
    path = write_rows(tmp_path / "clip.csv", rows)
    track = read_openface(path)
    assert (track.face, len(track.frames), track.frames[0, 0]) == (1, 4, 50)
    assert read_openface(path, face=0).frames[:, 0].tolist() == [3, 3, 3, 4]
    write_rows(path, openface_rows(2, face=1) + openface_rows(2))
    assert read_openface(path).face == 0  # equally often: the lower number
    with pytest.raises(UserError, match=r"(?s)face 7 is not in the file.*one of: \[0, 1\]"):
        read_openface(path, face=7)


def test_read_openface_missing_columns_are_named_with_their_options(tmp_path: Path) -> None:
    names = [name for name in header() if not name.endswith("_c") and name != "pose_Tx"]
    path = write_rows(tmp_path / "clip.csv", openface_rows(1), names)
    with pytest.raises(UserError, match=r"(?s)19 columns are missing: pose_Tx, AU01_c.*14 more.*-pose -aus$"):
        read_openface(path)
    write_rows(path, openface_rows(1), header()[1:])
    with pytest.raises(UserError, match="1 columns are missing: frame"):
        read_openface(path)
    (tmp_path / "empty.csv").write_text("")
    for other in (tmp_path / "none.csv", tmp_path / "empty.csv", write_rows(tmp_path / "rows.csv", [])):
        with pytest.raises(UserError) as caught:
            read_openface(other)
        assert caught.value.file == other


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"AU12_r": "much"}, "AU12_r, line 3: 'much' is no number"),
        ({"success": "0"}, "face 0 is tracked in no picture"),
        ({"frame": "1"}, "frame: face 0 comes twice in picture 1"),
    ],
)
def test_read_openface_of_unusable_rows_says_where(change: dict[str, str], where: str, tmp_path: Path) -> None:
    rows = openface_rows(2)
    if "success" in change:
        rows[0] |= change
    rows[1] |= change
    with pytest.raises(UserError, match=where):
        read_openface(write_rows(tmp_path / "clip.csv", rows))


def test_write_openface_reads_back_within_openfaces_decimals(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).uniform(0, 5, (4, 709))
    keys = np.column_stack([np.arange(1, 5), np.zeros(4), np.arange(4) / 30, np.full(4, 0.9), np.ones(4)])
    path = openface.write_openface(tmp_path / "clip.csv", frames, keys)
    first, second = path.read_text().splitlines()[:2]
    assert first.split(", ") == header()
    assert second.startswith("1, 0, 0.000, 0.90, 1, ")
    error = np.abs(read_openface(path).frames - frames).max(axis=0)
    decimals = {"gaze_0_x": 6, "gaze_angle_y": 3, "eye_lmk_Z_55": 1, "pose_Tz": 1, "pose_Rx": 3, "x_0": 1, "Z_67": 1}
    decimals |= {"p_scale": 3, "p_33": 3, "AU01_r": 2, "AU45_r": 2, "AU28_c": 1}
    for name, digits in decimals.items():
        found = error[COLUMNS.index(name)]
        assert 0.05 * 10**-digits < found <= 0.5001 * 10**-digits, name
