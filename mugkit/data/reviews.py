"""`reviews`, the default data set: real film-review sentences with human ratings, and simulated sound and vision.

The sentences and ratings are those of Hutto & Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment
Analysis of Social Media Text" (ICWSM 2014), published under the MIT licence inside the source distribution of
`vaderSentiment`. Raters (at least 15 per sentence) saw only text, so the rating is a *true unimodal language label*.
The other two modalities are simulated (`mugkit.data.simulate`), so true labels are known for all modalities, and label
learning can be measured.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from jaxtyping import Float64

from mugkit.data import simulate
from mugkit.data.schema import LABEL_SCALE, MODALITIES, PAPER_SPLITS, SPLITS, Dataset, RaggedFrames, Split, SplitName
from mugkit.errors import UserError, unknown_name
from mugkit.files import atomic_path, sha256

REQUIREMENT = "vaderSentiment==3.3.2"
SDIST = "vaderSentiment-3.3.2.tar.gz"
SDIST_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
TEXTS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"  # id, mean rating, sentence
RATINGS = "hutto_ICWSM_2014/movieReviewSnippets_anonDataRatings.txt"  # id, mean, std, the list of scores
RATING_SCALE = 4.0  # raters scored from −4 (most negative) to +4
SPEAKERS = {"train": 52, "valid": 20, "test": 121}  # about 25 clips each, as in MOSI's videos
CAPTION = "reviews (real text, simulated sound and vision"
BY_HAND = f"download {SDIST} from PyPI yourself and pass its path: mugkit prepare reviews --source PATH"


@dataclass(frozen=True)
class Dials:
    """The settings of `reviews`; part of a prepared data set's identity and caption.

    Raises:
        UserError: if a dial has no such setting.
    """

    expression: str = "vivid"  # how clearly sound and vision show their labels; a key of `simulate.EXPRESSION`
    disagreement: str = "strong"  # how much the labels of the modalities differ; a key of `simulate.DISAGREEMENT`

    def __post_init__(self) -> None:
        known = {"disagreement": simulate.DISAGREEMENT, "expression": simulate.EXPRESSION}
        for dial, settings in known.items():
            if getattr(self, dial) not in settings:
                raise unknown_name(dial, getattr(self, dial), settings)

    @property
    def stored_as(self) -> str:
        """The name under which the studies prepare the data set."""
        return "reviews" if self == Dials() else f"reviews-{self.expression}-{self.disagreement}"

    @property
    def caption(self) -> str:
        """The name of the data in tables."""
        return f"{CAPTION}; expression {self.expression}, disagreement {self.disagreement})"


def fetch(download_dir: Path, source: Path | None = None) -> Path:
    """Downloads the source distribution with the sentences once, and checks its hash.

    pip downloads it, so a user's own index or mirror is used. To read the metadata, pip runs the package's `setup.py`,
    but only after it has checked the hash; nothing is installed.

    Args:
        download_dir: the folder to keep it in; a copy there with the right hash is used without a download.
        source: a copy on this machine to use instead of downloading; checked even if there is one already.

    Raises:
        UserError: if it cannot be downloaded, is not at `source`, or has a different hash.
    """
    target = download_dir / SDIST
    if source is None and target.is_file() and sha256(target) == SDIST_SHA256:
        return target
    with tempfile.TemporaryDirectory() as folder, atomic_path(target) as temporary:
        sdist = Path(source) if source else _download(Path(folder))
        if not sdist.is_file():
            raise UserError("no such file", file=sdist, fix=BY_HAND)
        if (found := sha256(sdist)) != SDIST_SHA256:
            problem = f"not the expected file: sha256 is {found}, should be {SDIST_SHA256}"
            raise UserError(problem, file=sdist, fix=BY_HAND)
        shutil.copyfile(sdist, temporary)
    return target


def _download(folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        fix = f"{sys.executable} -m ensurepip, or {BY_HAND}"
        raise UserError(f"this Python has no pip to download {SDIST} with", fix=fix)
    # pip checks hashes only for a requirements file. Wheels are excluded for this package only: "--no-binary :all:"
    # would also build its build tools from source.
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{REQUIREMENT} --hash=sha256:{SDIST_SHA256}\n", encoding="utf-8")
    options = ["--no-deps", "--no-binary", "vaderSentiment", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(pinned), "-d", str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        last = "\n    ".join(answer.stderr.strip().splitlines()[-5:])
        fix = f"check the network and pip's configuration (pip config list), or {BY_HAND}"
        raise UserError(f"pip could not download {REQUIREMENT}; it said:\n    {last}", fix=fix)
    return folder / SDIST


def read_sentences(sdist: Path) -> pd.DataFrame:
    """Reads all rated film-review sentences in memory: nothing is unpacked to disk and no code is run.

    Returns:
        A table of 10,605 rows with columns id (int), text, rating (mean score, ±4) and spread (the scores' std).

    Raises:
        UserError: if the file is not such an archive, or the tables in it are not as expected.
    """
    try:
        with tarfile.open(sdist) as outer, tarfile.open(fileobj=_member(outer, ARCHIVE)) as inner:
            texts, ratings = (_member(inner, name).read().decode("utf-8") for name in (TEXTS, RATINGS))
    except (OSError, EOFError, tarfile.TarError, KeyError, UnicodeDecodeError) as error:
        raise UserError(f"not the expected archive: {error}", file=sdist, fix=BY_HAND) from error
    sentences = _table(texts, ["id", "rating", "text"], sdist, TEXTS)
    scores = _table(ratings, ["id", "rating", "spread", "scores"], sdist, RATINGS)
    if not sentences["id"].equals(scores["id"]) or not sentences["id"].is_unique:
        raise UserError("the ids of the two tables differ or repeat", file=sdist, field="id", fix=BY_HAND)
    try:
        numbers = scores.astype({"id": int, "rating": float, "spread": float})
    except ValueError as error:
        raise UserError(f"not a number: {error}", file=sdist, field=RATINGS, fix=BY_HAND) from error
    return numbers.assign(text=sentences["text"].str.strip())[["id", "text", "rating", "spread"]]


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    if (stream := archive.extractfile(name)) is None:
        raise KeyError(f"{name} is not a plain file")
    return stream


def _table(text: str, columns: Sequence[str], sdist: Path, member: str) -> pd.DataFrame:
    rows = [line.split("\t") for line in text.split("\n") if line.strip()]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            problem = f"{len(row)} fields, should be {len(columns)}"
            raise UserError(problem, file=sdist, field=f"{member} row {number}", fix=BY_HAND)
    return pd.DataFrame(rows, columns=list(columns), dtype=str)


def language_labels(ratings: pd.Series) -> Float64[np.ndarray, "clips"]:
    """y_l on a ±1 scale: the mean rating, rounded to multiples of 1/5 (0.6 on the ±3 scale of the data set).

    "Exactly equal to y" and "neutral" only have a meaning on a grid; this one is CH-SIMS's. Rounding costs little: at
    most 0.3 on ±3, where the mean of 15 scores itself has a standard error of about 0.2.
    """
    return simulate.on_grid(ratings.to_numpy() / RATING_SCALE)


def choose(sentences: pd.DataFrame, sizes: Sequence[int] = PAPER_SPLITS["reviews"]) -> dict[SplitName, pd.DataFrame]:
    """The sentences of each split, in the order of the hash of their id; by default as many for training as in MOSI.

    Only the id decides, not the rating or the seed. Of equal sentences only the first is kept, so that no text is in
    two splits. The column `clip` holds the clip's name, `speaker_sentence`; a speaker occurs in one split only.

    Raises:
        UserError: if there are too few sentences.
    """
    pool = sentences.drop_duplicates("text")
    if len(pool) < sum(sizes):
        raise UserError(f"{len(pool)} different sentences; {sum(sizes)} are needed", fix=BY_HAND)
    order = pool["id"].map(lambda i: hashlib.sha256(f"reviews {i}".encode()).hexdigest())
    pool = pool.iloc[np.argsort(order.to_numpy(dtype=str))]
    speaker = [int(hashlib.sha256(f"speaker {i}".encode()).hexdigest(), 16) for i in pool["id"]]
    parts, end = {}, 0
    for name, size in zip(SPLITS, sizes, strict=True):
        begin, end = end, end + size
        keys = zip(pool["id"].iloc[begin:end], speaker[begin:end], strict=True)
        clips = [f"{name}{key % SPEAKERS[name]:02d}_{i:05d}" for i, key in keys]
        parts[name] = pool.iloc[begin:end].assign(clip=clips)
    return parts


def assemble(
    sentences: pd.DataFrame, seed: int, dials: Dials = Dials(), sizes: Sequence[int] = PAPER_SPLITS["reviews"]
) -> Dataset:
    """Builds the data set `reviews`: sentences and language labels are real, everything else is simulated.

    Args:
        sentences: columns id, text and rating.
        seed: seed of the simulated labels and frames; the choice and split of the sentences do not depend on it.
        dials: the settings; all settings use the same random numbers.
        sizes: clips in train, valid and test.

    Returns:
        Acoustic frames of 74 and visual frames of 47 numbers; labels y and true labels l, a, v on ±3, multiples of 0.6.

    Raises:
        UserError: if there are too few sentences.
    """
    splits = {name: _split(name, part, seed, dials) for name, part in choose(sentences, sizes).items()}
    return Dataset("reviews", "reviews", splits, about=_about(seed, dials))


def _split(name: SplitName, part: pd.DataFrame, seed: int, dials: Dials) -> Split:
    clips, structure = part["clip"].tolist(), simulate.LabelStructure.of(dials.disagreement)
    labels = simulate.joint_labels(language_labels(part["rating"]), simulate.LabelDraws.of(clips, seed), structure)
    sequences = {}
    for style in simulate.stream_styles(dials.expression):
        rows = zip(labels[f"y_{style.modality}"], part["text"], clips, strict=True)
        frames = [
            simulate.frame_sequence(label, len(text.split()), clip, clip.split("_")[0], style, seed)
            for label, text, clip in rows
        ]
        sequences[style.modality] = RaggedFrames.of(frames)
    # Rounding makes each label the float nearest to 0.6, 1.2, …, so that equal labels have equal bits.
    scaled = (labels * LABEL_SCALE["reviews"]).round(1).astype("float32")
    true_labels = {m: scaled[f"y_{m}"].to_numpy() for m in MODALITIES}
    return Split(name, clips, part["text"].tolist(), scaled["y"].to_numpy(), sequences, true_labels)


_AGREEMENT = {
    "sims": "Simulated labels agree with each other as CH-SIMS v1's do, but few sentences were rated neutral, "
    "so language is less often neutral and more often of opposite sign than in CH-SIMS.",
    "strong": "Simulated labels disagree more than those of CH-SIMS's annotators do.",
}


def _about(seed: int, dials: Dials) -> dict[str, object]:
    return {
        "source": f"film-review sentences of Hutto & Gilbert (ICWSM 2014), from {REQUIREMENT} on PyPI",
        "sha256": SDIST_SHA256,
        "licence": "MIT",
        "caption": dials.caption,
        "variant": "74/47, unaligned, simulated",
        "seed": seed,
        "caveats": [
            "Only the text and its label are real; sound, vision and the multimodal label are simulated.",
            _AGREEMENT[dials.disagreement],
            "Labels are multiples of 0.6 on ±3.",
            "Scores compare methods with each other; they say nothing about people's voices or faces.",
        ],
        "dials": asdict(dials),
    }
