"""What a check works on, all of it made on the spot: data, text encoders, a home. Nothing is fetched or carried.

Encoders have random weights. That changes no time and no comparison of a device with itself or another; what is learned
means nothing.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from made_up import make_dataset
from small import tiny_bert, tiny_t5

from mugkit.config import RunSpec
from mugkit.data import store
from mugkit.data.encoders import OFFLINE, OFFLINE_ENCODER
from mugkit.data.schema import Dataset
from mugkit.data.validate import PAPER_DIMS
from mugkit.experiments.registry import SYSTEMS, Experiment
from mugkit.experiments.run_store import Store

SEED = 1111
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Scale:
    """How large everything is."""

    profile: str = "quick"  # of systems and notebooks
    clips: tuple[int, int, int] = (640, 128, 128)  # in training, validation and test split
    dims: tuple[int, int] = PAPER_DIMS["mosi"]  # of acoustic and visual frames
    batch: int = 32
    width: int | None = 256  # of text encoders that are trained; None: as small as they come
    at_once: tuple[int, ...] = (1, 2, 4)  # runs that share the card


DRY = Scale("smoke", (48, 16, 16), (5, 4), 16, None, at_once=(1, 2))


@dataclass(frozen=True)
class Ground:
    """A folder in which everything lies."""

    folder: Path
    device: torch.device  # that is checked; on a CPU it is compared with itself
    dry: bool  # whether there is no card: all sizes are small

    @property
    def scale(self) -> Scale:
        return DRY if self.dry else Scale()

    @cached_property
    def dataset(self) -> Dataset:
        return make_dataset(self.scale.clips, self.scale.dims)

    @cached_property
    def encoders(self) -> dict[bool, Path]:
        """Text encoders to be trained along: whether T5 → folder."""
        width = self.scale.width
        bert = {"hidden_size": width, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024}
        t5 = {"d_model": width, "d_kv": 64, "d_ff": 1024, "num_layers": 4, "num_heads": 4}
        return {
            False: tiny_bert(self.folder / "bert", **(bert if width else {})),
            True: tiny_t5(self.folder / "t5", **(t5 if width else {})),
        }

    def work(self, system: str, device: torch.device, attempt: str) -> Experiment:
        """A short run of a system whose text encoder is trained, with a store of its own."""
        changes = {
            "text_encoder": str(self.encoders[SYSTEMS[system].t5]), "freeze_text": False, "pretrain_epochs": 1,
            "meta_epochs": 2, "batch_size": self.scale.batch, "meta_batch_size": self.scale.batch,
        }  # fmt: skip
        spec = RunSpec(system, self.dataset.name, SEED, self.scale.profile, changes=tuple(sorted(changes.items())))
        return Experiment(spec, self.dataset, Store(self.folder / "runs" / attempt), str(device))

    def environment(self) -> dict[str, str]:
        """For a notebook: a home with the data, and an encoder in the place of the profiles'."""
        home, stand_in = self.folder / "home", self.folder / "stand-in"
        store.save(self.dataset, home / "data" / self.dataset.name, replace=True)
        package = OFFLINE[OFFLINE_ENCODER]  # the stand-in has its shape, random weights, the made-up data's words
        about = stand_in / f"{package.distribution.replace('-', '_')}-0.dist-info" / "METADATA"
        about.parent.mkdir(parents=True)
        about.write_text(f"Metadata-Version: 2.1\nName: {package.distribution}\nVersion: 0\n")
        (stand_in / package.folder).parent.mkdir()
        shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
        tiny_bert(stand_in / package.folder, **({} if self.dry else shape))
        paths = [str(stand_in), str(REPOSITORY), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        own = {"MUGKIT_HOME": str(home), "IPYTHONDIR": str(self.folder / "ipython"), "HF_HUB_OFFLINE": "1"}
        return {**os.environ, **own, "MUGKIT_PROGRESS": "0", "PYTHONPATH": os.pathsep.join(paths)}
