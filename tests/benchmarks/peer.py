"""MMSA's trainer in its own process, one batch at a time, and its weights in our network."""

import contextlib
import json
import os
import pickle
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file
from torch import Tensor

from mugkit import files
from mugkit.data import encoders
from mugkit.data.batch import Padded
from mugkit.data.schema import Split
from mugkit.errors import UserError

WORKER = Path(__file__).with_name("mmsa_worker.py")
TOKENS = 50  # MMSA's pickles hold as many a clip, whatever its length


def pickled(split: Split, ids: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A split as MMSA's pickles have it, all of it padded; no transcript may be longer than `TOKENS`."""
    text = np.zeros((len(split), 3, TOKENS), np.float32)
    for clip, tokens in enumerate(ids):
        text[clip, 0, : len(tokens)], text[clip, 1, : len(tokens)] = tokens, 1
    frames = {m: Padded.gathered(s.frames, s.offsets, np.arange(len(split))) for m, s in split.sequences.items()}
    return {
        "id": split.ids, "raw_text": split.text, "text_bert": text, "text": text[:, 0, :, None],
        "audio": frames["a"].values.numpy(), "audio_lengths": split.sequences["a"].lengths.tolist(),
        "vision": frames["v"].values.numpy(), "vision_lengths": split.sequences["v"].lengths.tolist(),
        "annotations": [""] * len(split), "classification_labels": split.labels, "regression_labels": split.labels,
    }  # fmt: skip


@dataclass
class Peer:
    """A running worker with one model in training."""

    process: subprocess.Popen[str]
    log: Path

    def ask(self, **command: Any) -> dict[str, Any]:
        """One command, one answer.

        Raises:
            UserError: the worker has ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(command), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise UserError("MMSA's trainer has ended", file=self.log, field="mmsa", fix="its last lines say why")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def step(self, clips: Sequence[int]) -> tuple[float, float]:
        """One step on these clips: seconds, loss."""
        answer = self.ask(batch=list(clips))
        return answer["seconds"], answer["loss"]

    def end_epoch(self) -> None:
        """MMSA's labels move from its second epoch on."""
        self.ask(epoch=True)


@contextlib.contextmanager
def training(
    python: Path, split: Split, ids: Sequence[Sequence[int]], encoder: str, **settings: Any
) -> Iterator[tuple[Peer, dict[str, Tensor]]]:
    """A worker that trains on a split, and its initial weights under our names.

    Args:
        python: the interpreter of MMSA's environment.
        ids: token ids of every clip.
        encoder: as our configuration names it; it is trained along.
        settings: MMSA's, over its own for MOSI; and `threads`, `seed`, `without_dropout`.
    """
    log = files.home() / "bench" / "mmsa.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    pipe = subprocess.PIPE
    as_users_run_it = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    with tempfile.TemporaryDirectory(prefix="mugkit-mmsa-") as name, log.open("w") as messages:
        clips, weights, model = (Path(name) / file for file in ("clips.pkl", "weights.safetensors", "model.pt"))
        clips.write_bytes(pickle.dumps(dict.fromkeys(("train", "valid", "test"), pickled(split, ids))))
        places = {"featurePath": str(clips), "model_save_path": str(model), "pretrained": encoders.locate(encoder)}
        process = subprocess.Popen(
            [python, WORKER], stdin=pipe, stdout=pipe, stderr=messages, text=True, env=as_users_run_it
        )
        try:
            peer = Peer(process, log)
            peer.ask(open={**places, **settings}, weights=str(weights))
            yield peer, translated(load_file(weights))
        finally:
            process.kill()
            process.communicate()


# MMSA's names of layers and ours.
_NAMES: Sequence[tuple[str, str]] = (
    (r"text_model\.model\.", "language.encoder.encoder."),
    *((rf"{theirs}_model\.rnn\.", f"sequences.{m}.sequence.lstm.") for theirs, m in (("audio", "a"), ("video", "v"))),
    *((rf"{theirs}_model\.linear_1\.", f"sequences.{m}.linear.") for theirs, m in (("audio", "a"), ("video", "v"))),
    *(
        (rf"post_{theirs}_layer_{number}\.", f"{ours}.")
        for theirs, m in (("fusion", "m"), ("text", "l"), ("audio", "a"), ("video", "v"))
        for number, ours in ((1, f"first.{m}.1"), (2, f"rest.{m}.0"), (3, f"rest.{m}.2"))
    ),
)


def translated(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MMSA's weights of Self-MM under the names of `mugkit.baselines.self_mm`.

    Raises:
        KeyError: a weight has no counterpart.
    """
    found = {}
    for name, values in weights.items():
        names = [re.sub(theirs, ours, name, count=1) for theirs, ours in _NAMES if re.match(theirs, name)]
        if not names:
            raise KeyError(name)
        found[names[0]] = values
    return found
