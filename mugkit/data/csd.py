"""Reads computational sequences of the CMU Multimodal SDK (`.csd`): MOSI and MOSEI as their authors publish them.

The intervals of the labels define the clips; words and frames are cut to them:

- A word or frame belongs to the clip that contains the middle of its interval. Neighbouring clips touch, and a word on
  the boundary would otherwise be in both. If a clip contains no middle (a clip shorter than a word; one clip of MOSI
  has zero length), all entries that overlap the clip belong to it.
- A clip is named `VIDEO$_$N`, as in MMSA's files and in MOSI's tables; N counts the labels of a video from 1, in the
  order of the file, so that the SDK's `VIDEO[0]` is `VIDEO$_$1`.

Files may take gigabytes, so they are read video by video, and frames go to a scratch file.
"""

import contextlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from mugkit import files
from mugkit.data import disk
from mugkit.data.csd_file import CLIP, Intervals, Source
from mugkit.data.schema import FRAME_MODALITIES, INPUTS, SPLITS, Dataset, Split, SplitName
from mugkit.data.transcripts import names
from mugkit.data.validate import described, finite, with_caveats
from mugkit.errors import UserError
from mugkit.progress import progress

PAUSES = ("sp", "sil", "")
_ONE_RELEASE = "use files of one release: labels, words and features with the same times"


def read(
    paths: Sequence[Path], family: str, folds: Mapping[str, SplitName] | None = None, *, align: bool = False
) -> Dataset:
    """Reads a CMU SDK data set from its files: labels, and words, acoustic and visual frames if present.

    A clip without frames gets a frame of zeros. Clips without words are left out if there is a file of words. Caveats
    give the counts of these cases.

    Args:
        paths: one file of labels, and at most one each of words, acoustic and visual features.
        folds: the split of each video, or of each clip by its name; the standard folds of MOSI if None.
        align: average frames over each word's interval, so that both modalities have one frame per word, as in MISA.

    Raises:
        UserError: if a file is not a computational sequence, two files are of one kind, labels or folds are missing, a
            split has no clips, or times do not match those of the labels. Does not check what `validate` checks.
    """
    folds = _standard_folds(family) if folds is None else folds
    notes: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        sources, unused = _by_kind([Source.open(path, stack) for path in paths])
        words = sources.get("words")
        if align and words is None:
            raise UserError("no file of words to align to", file=paths[0].parent, fix="add it, or leave out --align")
        clips = _clips(sources["labels"], words, notes)
        parts = _by_split(clips, folds, paths[0].parent, notes, words is not None)
        frames = {m: sources[m] for m in FRAME_MODALITIES if m in sources}
        with disk.room(files.home(), 0 if align else 2 * sum(source.bytes for source in frames.values())):
            splits = {name: _split(name, parts[name], frames, align, notes) for name in SPLITS}
        for source in frames.values():
            if notes[_without(source)] == sum(map(len, parts.values())):
                raise _strangers(source)
    dataset = described("csd", family, splits, notes, aligned=align)
    return with_caveats(dataset, f"sequences that are not used: {', '.join(unused)}") if unused else dataset


def _standard_folds(family: str) -> dict[str, SplitName]:
    known = files.read_json(Path(__file__).with_name("folds.json"))
    if family not in known:
        fix = "add the folds as a further --source: a table with columns video and split, or JSON "
        fix += '{"train": ["VIDEO", …], "valid": […], "test": […]}; the SDK lists them in its standard_datasets'
        raise UserError(f"the split of each video of {family} is not known here", field="source", fix=fix)
    return {video: name for name in SPLITS for video in known[family][name]}


def _by_kind(found: Sequence[Source]) -> tuple[dict[str, Source], list[str]]:
    """The files by kind, and the names of those that are not used."""
    sources: dict[str, Source] = {}
    for source in found:
        if source.kind and (other := sources.setdefault(source.kind, source)) is not source:
            what = {**INPUTS, "words": "words"}.get(source.kind, "labels")
            fix = f"pass one of {other.path.name} and {source.path.name}"
            raise UserError(f"there are two files of {what}", file=source.path, field=source.name, fix=fix)
    if "labels" not in sources:
        raise UserError("no file of labels", file=found[0].path.parent, fix="add the labels' .csd: they define clips")
    return sources, [source.name for source in found if not source.kind]


# --- clips ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Clip:
    id: str
    key: str  # the key in the file of labels: a video or a clip
    video: str
    interval: Float64[np.ndarray, "2"]
    label: float
    text: str
    words: Intervals


def _clips(labels: Source, words: Source | None, notes: Counter[str]) -> list[_Clip]:
    offset = 0 if words is None else _words_offset(words, notes)
    clips: list[_Clip] = []
    for key in labels.data:
        numbered = CLIP.fullmatch(key)
        video, first = (numbered[1], int(numbered[2]) + 1) if numbered else (key, 1)
        timing, tokens = (np.zeros((0, 2)), []) if words is None else _spoken(*words.words(key), offset)
        for number, (interval, values) in enumerate(zip(*labels.read(key), strict=True), first):
            inside, clip = _inside(timing, interval), f"{video}$_${number}"
            text, label = " ".join(tokens[k] for k in inside), float(values[0])  # the first of MOSEI's is sentiment
            clips.append(_Clip(clip, key, video, interval, label, text, timing[inside]))
    if words and not any(clip.text for clip in clips):
        raise _strangers(words)
    return clips


def _without(source: Source) -> str:
    return f"clips without {INPUTS[source.kind]} get frames of zeros"


def _strangers(source: Source) -> UserError:
    """The error for a file without entries in any clip."""
    problem = f"has no entry in any clip: its videos ({', '.join(list(source.data)[:3])}, …) or times are different"
    return UserError(problem, file=source.path, field=f"{source.name}/data", fix=_ONE_RELEASE)


def _inside(intervals: Intervals, clip: Float64[np.ndarray, "2"]) -> np.ndarray:
    """The indices of a clip's entries, in order of time (see the module docstring); intervals may be reversed."""
    middle = intervals.mean(axis=1)
    start, stop = clip.min(), clip.max()
    found = np.flatnonzero((middle >= start) & (middle < stop))
    if not len(found):
        first, last = intervals.min(axis=1), intervals.max(axis=1)
        found = np.flatnonzero((last > start) & ((first < stop) | (first == start)))
    return found[np.argsort(middle[found], kind="stable")]


def _spoken(intervals: Intervals, tokens: Sequence[str], offset: int) -> tuple[Intervals, list[str]]:
    """The words without pauses, each with the interval stored `offset` entries after the word."""
    shared = range(max(0, -offset), min(len(tokens), len(tokens) - offset))
    spoken = [k for k in shared if tokens[k] not in PAUSES]
    return intervals[[k + offset for k in spoken]], [tokens[k] for k in spoken]


def _words_offset(words: Source, notes: Counter[str]) -> int:
    """How many entries after each word its interval is stored: 0 in a correct file, −1 in a circulating file of MOSI's
    words (ModifiedTimestampedWords).

    Longer words take more time: over all words but pauses, the rank correlation of letters and seconds is .55 if words
    and intervals match, and about 0 one entry off.
    """
    from scipy.stats import spearmanr

    pairs: dict[int, list[tuple[int, float]]] = {offset: [] for offset in (0, -1, 1)}
    for video in words.data:
        entries = words.words(video)
        for offset, found in pairs.items():
            timing, tokens = _spoken(*entries, offset)
            found += zip(map(len, tokens), np.ptp(timing, axis=1), strict=True)
    if len(pairs[0]) < 500:  # too few to tell
        return 0
    rank = {offset: float(spearmanr(np.array(found)).statistic) for offset, found in pairs.items()}
    best = max(rank, key=lambda offset: rank[offset])
    if not rank[best] > rank[0] + 0.3:
        return 0
    where = f"the interval {'before' if best < 0 else 'after'} theirs"
    why = f"with it letters and seconds correlate ({rank[best]:.2f}), as stored they do not ({rank[0]:.2f})"
    notes[f"words of {words.path.name} are read with {where}: {why}"] = len(pairs[0])
    return best


def _by_split(
    clips: Sequence[_Clip], folds: Mapping[str, SplitName], place: Path, notes: Counter[str], spoken: bool
) -> dict[SplitName, list[_Clip]]:
    """Clips by split; leaves out clips without words if there is a file of words."""
    parts: dict[SplitName, list[_Clip]] = {name: [] for name in SPLITS}
    for clip in clips:
        if name := next((folds[key] for key in (*names(clip.id), clip.video) if key in folds), None):
            parts[name].append(clip)
    notes["clips are in no split and left out"] = len(clips) - sum(map(len, parts.values()))
    for name, part in parts.items():
        if not part:
            theirs = ", ".join([key for key, split in folds.items() if split == name][:3]) or "no video"
            ours = ", ".join(dict.fromkeys(clip.video for clip in clips[:200]))[:80]
            problem = f"no clip belongs to the split {name}: its folds name {theirs}, but the labels are of {ours}"
            fix = "give the folds of these videos as a further --source, by the names that the .csd use"
            raise UserError(problem, file=place, field="folds", fix=fix)
        parts[name] = [clip for clip in part if clip.text or not spoken]
        notes["clips without words are left out"] += len(part) - len(parts[name])
        if not parts[name]:
            problem = f"none of the {len(part)} clips of {name} has a word: labels and words have different times"
            raise UserError(problem, file=place, field=f"intervals, {part[0].id}", fix=_ONE_RELEASE)
    return parts


# --- frames -----------------------------------------------------------------------------------------


def _split(
    name: SplitName, clips: Sequence[_Clip], frames: Mapping[str, Source], align: bool, notes: Counter[str]
) -> Split:
    videos = [list(group) for _, group in itertools.groupby(clips, key=lambda clip: clip.key)]
    sequences = {}
    for m, source in frames.items():
        cut = (_cut(source, group, align, notes) for group in progress(videos, source.name))
        sequences[m] = disk.flatten(cut, source.dim)
    labels = np.array([clip.label for clip in clips], dtype=np.float32)
    return Split(name, [clip.id for clip in clips], [clip.text for clip in clips], labels, sequences)


def _cut(
    source: Source, clips: Sequence[_Clip], align: bool, notes: Counter[str]
) -> list[Float32[np.ndarray, "frames dim"]]:
    """The frames of the clips of a video (or of one clip, if the file of labels is keyed by clips): those inside the
    clip, or with `align` for each word the mean of those inside it, or zeros if there are none.
    """
    intervals, values = source.read(clips[0].key)
    values, cut = finite(values, source.kind, notes), []
    for clip in clips:
        inside = _inside(intervals, clip.interval)
        if not len(inside):
            notes[_without(source)] += 1
        frames = [_mean(values[_inside(intervals, word)]) for word in clip.words] if align else values[inside]
        cut.append(np.stack(frames) if len(frames) else np.zeros((1, source.dim), np.float32))
    return cut


def _mean(frames: Float32[np.ndarray, "frames dim"]) -> Float32[np.ndarray, " dim"]:
    return frames.mean(axis=0) if len(frames) else np.zeros(frames.shape[1], np.float32)
