"""MMSA's side without MMSA: what it is given, how its worker answers (to a stand-in package), how weights are named."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small import tiny_bert

from benchmarks import peer
from mugkit.baselines.self_mm import SelfMM
from mugkit.data import text
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.models.mug import TextEncoder

# What the worker uses of MMSA, as small as it can be: a model with one weight w, whose loss is the mean of |w − y|.
# Like MMSA's, `do_train` first takes all labels, then loops over epochs, and steps its optimizer in its own time.
STAND_IN = {
    "config.py": "def get_config_regression(model, dataset): return Args(name=model, data=dataset, feature_dims=[0])\n"
    "class Args(dict): __getattr__ = dict.__getitem__\n",
    "data_loader.py": "import pickle\n"
    "class MMDataset:\n"
    "    def __init__(self, args, mode):\n"
    "        self.part = pickle.load(open(args['featurePath'], 'rb'))[mode]\n"
    "    def __len__(self): return len(self.part['id'])\n"
    "    def __getitem__(self, clip):\n"
    "        return {'index': clip, 'y': float(self.part['regression_labels'][clip])}\n",
    "models.py": "from torch import nn\n"
    "class AMIO(nn.Module):\n"
    "    def __init__(self, args):\n"
    "        super().__init__()\n"
    "        self.Model = nn.ModuleDict({'post_text_layer_1': nn.Linear(1, 1, bias=False)})\n"
    "        self.dropout = nn.Dropout(0.5)\n",
    "trains.py": "import os, torch\n"
    "class ATIO:\n"
    "    def getTrain(self, args): return Trainer(args)\n"
    "class Trainer:\n"
    "    def __init__(self, args): self.args = args\n"
    "    def weighted_loss(self, w, y): return (w - y).abs().mean()\n"
    "    def do_train(self, model, loaders):\n"
    "        print('noise that is no answer')\n"
    "        assert 'THP_MEM_ALLOC_ENABLE' not in os.environ\n"
    "        assert sum(len(batch['y']) for batch in loaders['train']) == self.args.train_samples\n"
    "        w = model.Model['post_text_layer_1'].weight\n"
    "        optimizer = torch.optim.SGD([w], lr=0.5)\n"
    "        while True:\n"
    "            for batch in loaders['train']:\n"
    "                loss = self.weighted_loss(w, batch['y'] * (1 - model.dropout.p)) * 2\n"
    "                optimizer.zero_grad(); loss.backward(); optimizer.step()\n",
}


@pytest.fixture
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up((6, 3, 3))


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package MMSA on the worker's path, and a text encoder that it never opens."""
    package = tmp_path / "packages" / "MMSA"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, source in STAND_IN.items():
        (package / name).write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return tiny_bert(tmp_path / "bert")


def test_pickle_holds_the_splits_clips_padded(dataset: Dataset, tmp_path: Path) -> None:
    ids = text.token_ids(dataset.train.text, str(tiny_bert(tmp_path / "bert")))
    part = peer.pickled(dataset.train, ids)
    assert part["text_bert"].shape == (6, 3, 50)
    for clip, tokens in enumerate(ids):
        assert part["text_bert"][clip, 0].tolist() == [*tokens, *[0] * (50 - len(tokens))]
        assert part["text_bert"][clip, 1].sum() == len(tokens)
    for name, m in (("audio", "a"), ("vision", "v")):
        assert part[f"{name}_lengths"] == dataset.train.sequences[m].lengths.tolist()
        for clip, length in enumerate(part[f"{name}_lengths"]):
            np.testing.assert_array_equal(part[name][clip, :length], dataset.train.sequences[m][clip])
            assert not part[name][clip, length:].any()


def test_worker_steps_on_the_clips_it_is_told_and_leaves_a_log(dataset: Dataset, stand_in: Path) -> None:
    assert os.environ["THP_MEM_ALLOC_ENABLE"]  # ours, which the worker is not given
    ids = [[1]] * 6
    with peer.training(
        Path(sys.executable), dataset.train, ids, str(stand_in), threads=1, seed=0, text_out=1, without_dropout=True
    ) as (trainer, weights):
        w, y = weights["first.l.1.weight"].item(), dataset.train.labels
        for clips in ([4, 1], [0], [5, 2, 3]):
            seconds, loss = trainer.step(clips)
            # Its loss is read before the stand-in doubles it: what MMSA sums up is what `weighted_loss` returned.
            assert loss == pytest.approx(np.abs(w - y[clips]).mean(), abs=1e-6)
            assert seconds > 0
            w -= 0.5 * 2 * np.sign(w - y[clips]).mean()
            trainer.end_epoch()
        with pytest.raises(UserError, match="has ended") as caught:
            trainer.step([99])  # no such clip
    assert "IndexError" in Path(str(caught.value.file)).read_text()


def mmsa_names(encoder: list[str]) -> list[str]:
    """The weights of MMSA's SELF_MM, written down from its class."""
    branches = ("audio_model", "video_model")
    lstm = [f"{part}.rnn.{kind}_{way}_l0" for part in branches for kind in ("weight", "bias") for way in ("ih", "hh")]
    linear = [f"{part}.linear_1.{kind}" for part in branches for kind in ("weight", "bias")]
    parts = ("fusion", "text", "audio", "video")
    heads = [f"post_{p}_layer_{n}.{kind}" for p in parts for n in (1, 2, 3) for kind in ("weight", "bias")]
    return [*lstm, *linear, *heads, *(f"text_model.model.{name}" for name in encoder)]


def test_every_weight_of_mmsas_has_its_place_in_our_network(stand_in: Path) -> None:
    encoder = text.load_encoder(str(stand_in))
    network = SelfMM({"a": 5, "v": 4}, 16, TextEncoder(encoder, "first"))
    given = {name: torch.tensor(float(n)) for n, name in enumerate(mmsa_names(list(encoder.state_dict())))}
    assert peer.translated(given).keys() == network.state_dict().keys()
    assert sorted(v.item() for v in peer.translated(given).values()) == list(range(len(given)))
    with pytest.raises(KeyError, match="something"):
        peer.translated({"something.weight": torch.zeros(1)})
