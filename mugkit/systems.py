"""The systems of the paper's tables, and what it takes to run one.

A system is a name, the rows it stands for, and how it differs from MUG. The MUG family differs in two things only:
where unimodal labels come from, and a few changed fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from mugkit.config import Hyperparameters, RunSpec, profile
from mugkit.data.schema import Dataset
from mugkit.errors import unknown_name
from mugkit.labels import source as labels
from mugkit.nets import text
from mugkit.runs import Compute, Store, code_fingerprint
from mugkit.stages.joint import save_result, train_jointly
from mugkit.stages.meta import LearnedLabels, meta_learn
from mugkit.stages.pretrain import SavedRepresentations, pretrain
from mugkit.stages.training import Checkpoint, cpu_threads

LabelKind = Literal["none", "copy", "true", "mucn"]


@dataclass(frozen=True)
class System:
    """One system.

    Attributes:
        name: as on the command line.
        rows: the rows of the paper's tables that it stands for.
        where: the module that implements it.
        labels: its source of unimodal labels in stage 3.
        changes: fields that differ from MUG's.
    """

    name: str
    rows: tuple[str, ...]
    where: str
    labels: LabelKind = "mucn"
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


SYSTEMS: Mapping[str, System] = {
    system.name: system
    for system in (
        System("mug", ("MUG", "MUG (BERT)"), "mugkit/stages/"),
        System(
            "mug-without-unimodal",
            ("W/O Unimodal Tasks", "MUG (Without Unimodal Tasks)"),
            "mugkit/stages/joint.py",
            labels="none",
        ),
        System(
            "mug-without-multimodal-denoising",
            ("W/O Multimodal Denoising Task",),
            "mugkit/stages/meta.py",
            changes={"multimodal_denoising": False},
        ),
        System(
            "mug-without-contrastive",
            ("W/O Contrastive Learning",),
            "mugkit/stages/pretrain.py",
            changes={"gamma": 0.0},
        ),
        System("copy", ("y_mc ← y",), "mugkit/labels/source.py", labels="copy"),
        System("mug-true-labels", ("MUG (With True Label)",), "mugkit/labels/source.py", labels="true"),
    )
}


def system(name: str) -> System:
    """The system of that name; a UserError names the nearest one otherwise."""
    if name not in SYSTEMS:
        raise unknown_name("system", name, SYSTEMS)
    return SYSTEMS[name]


@dataclass(frozen=True)
class Work:
    """One run taken apart: what each stage depends on, and how it is computed if it is not stored yet."""

    spec: RunSpec
    dataset: Dataset
    store: Store
    device: str = "auto"

    @property
    def system(self) -> System:
        return system(self.spec.system)

    @property
    def hp(self) -> Hyperparameters:
        return self.spec.hyperparameters(self.dataset.family, self.system.changes)

    @property
    def _ground(self) -> dict[str, Any]:
        """What every identity rests on."""
        threads = profile(self.spec.profile).threads
        encoder = text.identity(self.hp.network.text_encoder)
        return {"code": code_fingerprint(), "data": self.dataset.fingerprint, "encoder": encoder, "threads": threads}

    @property
    def pretraining(self) -> dict[str, Any]:
        """Identity of stage 1: it does not depend on what stages 2 and 3 do."""
        parts = {name: asdict(getattr(self.hp, name)) for name in ("network", "optimization", "pretraining")}
        return {"stage": 1, "seed": self.spec.label_seed, **self._ground, **parts}

    @property
    def learning(self) -> dict[str, Any]:
        """Identity of stage 2."""
        return {"stage": 2, "seed": self.spec.label_seed, "from": self.pretraining, "meta": asdict(self.hp.meta)}

    @property
    def training(self) -> dict[str, Any]:
        """Identity of stage 3."""
        parts = {name: asdict(getattr(self.hp, name)) for name in ("network", "optimization", "joint")}
        given = self.learning if self.system.labels == "mucn" else self.system.labels
        return {"stage": 3, "seed": self.spec.seed, "labels": given, **self._ground, **parts}

    def _get(self, kind: str, identity: dict[str, Any], compute: Compute) -> Path:
        with cpu_threads(profile(self.spec.profile).threads):
            return self.store.get(kind, identity, compute)

    def representations(self) -> Path:
        """Stage 1's folder."""

        def compute(folder: Path, checkpoint: Checkpoint) -> None:
            pretrain(self.dataset, self.hp, self.spec.label_seed, folder, checkpoint, self.device)

        return self._get("pretrain", self.pretraining, compute)

    def learned_labels(self) -> Path:
        """Stage 2's folder; runs stage 1 first if need be."""
        saved = self.representations() / "representations.safetensors"

        def compute(folder: Path, checkpoint: Checkpoint) -> None:
            rho, seed = self.dataset.label_scale, self.spec.label_seed
            meta_learn(SavedRepresentations.load(saved), self.hp.meta, rho, seed, folder, checkpoint)

        return self._get("labels", self.learning, compute)

    def label_source(self) -> labels.LabelSource | None:
        """What stage 3 learns unimodal tasks from."""
        sources: dict[str, Callable[[], labels.LabelSource | None]] = {
            "none": lambda: None,
            "copy": lambda: labels.copied(self.dataset),
            "true": lambda: labels.true(self.dataset),
            "mucn": lambda: labels.learned(LearnedLabels.load(self.learned_labels())),
        }
        return sources[self.system.labels]()

    def result(self) -> Path:
        """The run's folder; runs whatever is missing."""

        def compute(folder: Path, checkpoint: Checkpoint) -> None:
            source = self.label_source()
            save_result(
                folder, train_jointly(self.dataset, self.hp, source, self.spec.seed, folder, checkpoint, self.device)
            )

        return self._get("train", self.training, compute)

    def finished(self) -> bool:
        return self.store.has("train", self.training)
