"""The corpus made on the spot, with tones in place of espeak-ng's voice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from example import made, speech
from example.made import Clip
from example.speech import Prosody
from features.clips import Scaling, clip_frames
from features.openface import COLUMNS, INTENSITIES, read_openface
from made_up import make_dataset
from tones import tone

from mugkit.data import store
from mugkit.errors import UserError

SIZES = {"train": 3, "valid": 1, "test": 2}
CLIP = Clip("train03_00042", "Good enough for a rainy evening.", 0.4, 1.0)


def hum(text: str, path: Path, voice: str, prosody: Prosody) -> Path:
    """Loud and silent by turns, as high as the prosody asks for, as long as the text."""
    samples = tone(1.5 * prosody.pitch, 0.06 * len(text.split()) + 0.3)
    soundfile.write(path, samples * (np.arange(len(samples)) // 4410 % 2 == 0), 22_050, subtype="FLOAT")
    return path


@pytest.fixture(autouse=True)
def _voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "speak", hum)
    monkeypatch.setattr(speech, "version", lambda: "a hum")


SOURCE = make_dataset((40, 20, 20), family="reviews", name="reviews")


def test_clip_expresses_its_label_and_something_of_its_own() -> None:
    many = [replace(CLIP, id=f"train00_{i}") for i in range(400)]
    acoustic, visual = (np.array([clip.expressed(m) for clip in many]) for m in "av")
    assert (acoustic.mean(), visual.mean()) == pytest.approx((0.4, 1.0), abs=0.06)
    assert acoustic.std() == pytest.approx(made.EXPRESSION_NOISE, abs=0.04)
    assert abs(np.corrcoef(acoustic, visual)[0, 1]) < 0.15
    assert CLIP.voice == replace(CLIP, id="train03_77777").voice  # the speaker's
    assert {replace(CLIP, id=f"train{i:02d}_1").voice for i in range(60)} == set(speech.VOICES)


def test_perform_mouth_follows_the_voice_and_smile_the_label() -> None:
    loud = np.tile([0.0, 1.0], 20)
    units = {v: made.perform(replace(CLIP, visual=v), loud).units for v in (-2.0, 2.0)}
    mouth, smile, frown = (INTENSITIES.index(name) for name in ("AU25_r", "AU12_r", "AU04_r"))
    assert units[2.0][:2, mouth].tolist() == [0, 4]
    for shown, hidden, expressed in ((smile, frown, 2.0), (frown, smile, -2.0)):
        assert (units[expressed][:, shown] > 0).all()
        assert (units[expressed][:, hidden] == 0).all()
    assert max(part.max() for part in units.values()) <= 5


def test_record_leaves_sound_and_a_track_with_lost_pictures(tmp_path: Path) -> None:
    clip = replace(CLIP, text="word " * 400)
    sound, csv = made.record(clip, tmp_path)
    track = read_openface(csv)
    seconds = soundfile.info(sound).duration
    assert len(track.frames) == np.ceil(seconds * 10)
    assert track.tracked[0]
    assert (~track.tracked).mean() == pytest.approx(made.LOST, abs=0.03)
    smile = track.frames[:, COLUMNS.index("AU12_r")]
    assert smile.mean() == pytest.approx(4 * 0.85 * clip.expressed("v"), abs=1)
    before = csv.read_bytes()
    made.record(clip, tmp_path)
    assert csv.read_bytes() == before


def test_choose_takes_short_sentences_in_their_order() -> None:
    bare, clips = made.choose(SOURCE.train, 5, 3.0)
    short = [i for i, text in enumerate(SOURCE.train.text) if 4 <= len(text.split()) <= 11][:5]
    assert short != list(range(5))
    assert bare.ids == [clip.id for clip in clips] == [SOURCE.train.ids[i] for i in short]
    assert bare.labels.tolist() == SOURCE.train.labels[short].tolist()
    assert [3 * clip.visual for clip in clips] == pytest.approx(bare.true_labels["v"].tolist(), abs=1e-6)
    with pytest.raises(UserError, match=r"(?s)sentences of 4 to 11 words in train.*use the data set reviews"):
        made.choose(SOURCE.train, 41, 3.0)


def test_prepare_stores_scaled_frames_of_the_recordings() -> None:
    dataset = made.prepare(SOURCE, sizes=SIZES, workers=1)
    assert dataset.dims == {"a": 33, "v": 709}
    assert {name: len(split) for name, split in dataset.splits.items()} == SIZES
    assert (dataset.has_true_labels, dataset.family) == (True, "reviews")
    scaling = Scaling.of_dataset(dataset)
    assert scaling is not None
    for m in "av":
        frames = dataset.train.sequences[m].frames
        changing = frames.std(axis=0) > 1e-3
        assert np.allclose(frames[:, changing].mean(axis=0), 0, atol=1e-3)
        assert np.allclose(frames[:, changing].std(axis=0), 1, atol=1e-3)
        assert changing.sum() > 0.6 * frames.shape[1]
    sound = made.media_folder() / f"{dataset.test.ids[1]}.wav"
    again = scaling(clip_frames(sound, sound.with_suffix(".csv")))
    assert all(np.array_equal(again[m], dataset.test.sequences[m][1]) for m in "av")


def test_prepare_again_reuses_what_is_stored_unless_the_recipe_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def make(clip: Clip, folder: Path) -> dict[str, np.ndarray]:
        calls.append(clip.id)
        rng = np.random.default_rng(len(clip.text))
        return {m: rng.standard_normal((4, 3), dtype=np.float32) for m in "av"}

    monkeypatch.setattr(made, "make", make)
    for voice, train, recorded in (("a hum", 3, 6), ("a hum", 3, 6), ("another hum", 3, 12), ("another hum", 2, 17)):
        monkeypatch.setattr(speech, "version", lambda voice=voice: voice)
        made.prepare(SOURCE, sizes=SIZES | {"train": train}, workers=1)
        assert len(calls) == recorded
    assert store.available() == [made.NAME]
