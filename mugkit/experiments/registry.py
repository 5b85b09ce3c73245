"""The systems of the paper's tables, and how to run each.

The MUG family, Self-MM, SUGRM and MLC share one multi-task training with different sources of unimodal labels; every
other baseline is a network with its own loss. All are trained, stopped and tested by `mugkit.training.trainer`.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, get_args

from mugkit.config import Hyperparameters, Preset, Profile, RunSpec, chosen, profile
from mugkit.data import encoders
from mugkit.data.loader import TextLevel
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.device import choose_device, cpu_threads
from mugkit.errors import unknown_name
from mugkit.experiments.run_store import Compute, Store, code_fingerprint
from mugkit.training import joint
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.divergence import of_clips
from mugkit.training.label_sources import source as labels
from mugkit.training.label_sources.source import LearnedLabels
from mugkit.training.meta import meta_learn
from mugkit.training.pretrain import SavedRepresentations, pretrain
from mugkit.training.trainer import Build, save_result, train_and_test

LabelKind = Literal["none", "copy", "true", "mucn", "ulgm", "sugrm", "mlc"]


@dataclass(frozen=True)
class System:
    """One system.

    Attributes:
        rows: the rows of the paper's tables that it stands for.
        labels: its source of unimodal labels in stage 3.
        changes: fields that differ from MUG's under every profile.
        own: values from its own paper instead of Table 2's; a profile that narrows MUG narrows it too.
        on: the same for single families of data sets, on top of `own`.
        network: a module of `mugkit.baselines` whose `build` makes a multi-task network that replaces MUG's.
        level: what a multi-task network reads of the text.
        baseline: `module:class` of a baseline with its own loss.
        needs: the modalities that it requires.
        title: its name in tables if the paper has no row for it; by default `name`.
    """

    name: str
    rows: tuple[str, ...]
    where: str
    labels: LabelKind = "mucn"
    changes: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    network: str = ""
    level: TextLevel = "pooled"
    baseline: str = ""
    t5: bool = False
    needs: tuple[str, ...] = MODALITIES
    title: str = ""

    @property
    def tuned_as(self) -> str:
        """The system whose chosen hyperparameters it uses."""
        return "mug" if self.name in _LIKE_MUG else self.name

    @property
    def row(self) -> str:
        """Its name in tables."""
        return self.title or next(iter(self.rows), self.name)


def _baseline(name: str, row: str, cls: str, **more: Any) -> System:
    module = name.replace("-", "_")
    rows, where = (row,) if row else (), f"mugkit/baselines/{module}.py"
    return System(name, rows, where, "none", baseline=f"{module}:{cls}", **more)


def _own(
    learning_rate: float, weight_decay: float, batch_size: int = 32, text: float | None = 5e-5, **rest: Any
) -> Any:
    """Values from a baseline's own paper; the learning rate of the text is Self-MM's if the paper has no BERT."""
    rates = {"learning_rate": learning_rate, "text_learning_rate": text, "weight_decay": weight_decay}
    return {"batch_size": batch_size, **rates, **rest}


_MUG_FAMILY = (
    System("mug", ("MUG", "MUG (BERT)"), "mugkit/training/"),
    System("mug-t5", ("MUG (T5)",), "mugkit/models/mug.py", t5=True),
    System("mug-without-unimodal", ("W/O Unimodal Tasks", "MUG (Without Unimodal Tasks)"), "mugkit/training/joint.py",
           labels="none"),
    System("mug-without-multimodal-denoising", ("W/O Multimodal Denoising Task",), "mugkit/training/meta.py",
           changes={"multimodal_denoising": False}),
    System("mug-without-contrastive", ("W/O Contrastive Learning",), "mugkit/training/pretrain.py",
           changes={"gamma": 0.0}),
    System("copy", ("y_mc ← y",), "mugkit/training/label_sources/source.py", labels="copy"),
    System("mug-true-labels", ("MUG (With True Label)",), "mugkit/training/label_sources/source.py", labels="true"),
)  # fmt: skip
_LABEL_LEARNERS = (
    System("self-mm", ("Self-MM",), "mugkit/baselines/self_mm.py", "ulgm", {"beta": 1.0}, network="self_mm",
           own=_own(1e-3, 1e-3, 16), on={"mosei": {"batch_size": 32}, "sims": {"batch_size": 32}}),
    System("ulgm", (), "mugkit/training/label_sources/ulgm.py", "ulgm", title="ULGM on MUG's networks"),
    System("sugrm", ("SUGRM",), "mugkit/baselines/sugrm.py", "sugrm", {"beta": 1.0}, network="sugrm", level="tokens",
           own=_own(5e-4, 1e-3, 128)),
    System("mlc", ("MLC",), "mugkit/training/label_sources/mlc.py", "mlc"),
)  # fmt: skip
# Learning rates and batch sizes are each paper's, or its code's, for MOSI; patience is 8 if a paper gives none.
_BASELINES = (
    _baseline("tfn", "TFN", "TFN", own={"learning_rate": 5e-4, "text_learning_rate": 5e-5, "weight_decay": 0.01}),
    _baseline("lmf", "LMF", "LMF", own=_own(1e-3, 1e-3)),
    _baseline("mfn", "MFN", "MFN", own=_own(0.01, 0.0, 128)),
    _baseline("graph-mfn", "Graph-MFN", "GraphMFN", own=_own(1e-3, 0.0)),
    _baseline("mult", "MulT", "MulT", own=_own(1e-3, 0.0, 128, clip_norm=0.8)),
    _baseline("mfm", "MFM", "MFM", own=_own(1e-3, 0.0)),  # Adam's default: the code never reads the 0.01 that it sets
    _baseline("misa", "MISA", "MISA", own=_own(1e-4, 0.0, 64, text=None, patience=6)),
    _baseline("mmim", "MMIM", "MMIM", own=_own(1e-3, 1e-4, max_epochs=40, patience=10)),
    _baseline("hycon", "HyCon", "HyCon"),
    _baseline("cubemlp", "CubeMLP", "CubeMLP", own=_own(4e-3, 0.0, 128, text=4e-5, max_epochs=70)),
    _baseline("aobert", "AOBERT", "AOBERT"),
    _baseline("unimse", "UniMSE (T5)", "UniMSE", t5=True, own=_own(1e-4, 1e-4, 96, text=3e-4)),
    _baseline("text-only", "", "TextOnly", needs=("l",), title="text only"),
)
SYSTEMS: Mapping[str, System] = {found.name: found for found in (*_MUG_FAMILY, *_LABEL_LEARNERS, *_BASELINES)}

# They differ from MUG in one thing and may differ in nothing else: MUG's family without T5, and ULGM.
_LIKE_MUG = {found.name for found in _MUG_FAMILY} - {"mug-t5"} | {"ulgm"}


def system(name: str) -> System:
    """The system of that name; if there is none, raises a UserError with the nearest name."""
    if name not in SYSTEMS:
        raise unknown_name("system", name, SYSTEMS)
    return SYSTEMS[name]


def seeds_of(name: str, profile: Profile) -> tuple[int, ...]:
    """The seeds of a system's rows under a profile: more if it has unimodal tasks (not T5) or is MUG's ablation."""
    wanted = system(name)
    return profile.seeds if wanted.baseline or wanted.t5 else profile.all_seeds


def configuration(spec: RunSpec, family: str) -> Hyperparameters:
    """All hyperparameters of a run on a family of data sets."""
    wanted = system(spec.system)
    if spec.preset not in (presets := get_args(Preset)):
        raise unknown_name("preset", spec.preset, presets)
    tuned = chosen(wanted.tuned_as, family, spec.profile) if spec.preset == "chosen" else {}
    own = {**wanted.own, **wanted.on.get(family, {})}
    return spec.hyperparameters(family, {**tuned, **wanted.changes}, own, wanted.t5)


def flat(hp: Hyperparameters) -> dict[str, Any]:
    """Field → value, over all sections."""
    return {name: value for section in asdict(hp).values() for name, value in section.items()}


@dataclass(frozen=True, repr=False)
class Experiment:
    """The stages of one run: what each depends on, and how it is computed if it is not stored yet.

    Configuration and identities are cached: planning hundreds of runs reads them thousands of times.
    """

    spec: RunSpec
    dataset: Dataset
    store: Store
    device: str = "auto"

    def __repr__(self) -> str:
        changes = "".join(f", {name}={value}" for name, value in self.spec.changes)
        run = f"{self.spec.system} on {self.dataset.name}, seed {self.spec.seed}{changes}"
        return f"Experiment({run}); train it with .representations(), .learned_labels(), .result()"

    @property
    def system(self) -> System:
        return system(self.spec.system)

    @cached_property
    def hp(self) -> Hyperparameters:
        return configuration(self.spec, self.dataset.family)

    @cached_property
    def _ground(self) -> dict[str, Any]:
        threads = profile(self.spec.profile).threads
        encoder = encoders.identity(self.hp.network.text_encoder)
        return {"code": code_fingerprint(), "data": self.dataset.fingerprint, "encoder": encoder, "threads": threads}

    @cached_property
    def pretraining(self) -> dict[str, Any]:
        """Identity of stage 1; it does not depend on stages 2 and 3."""
        parts = {name: asdict(getattr(self.hp, name)) for name in ("network", "optimization", "pretraining")}
        return {"stage": 1, "seed": self.spec.label_seed, **self._ground, **parts}

    @cached_property
    def learning(self) -> dict[str, Any]:
        """Identity of stage 2."""
        return {"stage": 2, "seed": self.spec.label_seed, "from": self.pretraining, "meta": asdict(self.hp.meta)}

    @cached_property
    def training(self) -> dict[str, Any]:
        """Identity of stage 3, or of a baseline's training."""
        parts = {name: asdict(getattr(self.hp, name)) for name in ("network", "optimization", "joint")}
        if self.system.labels == "mlc":
            parts["meta"] = asdict(self.hp.meta)
        given = self.learning if self.system.labels == "mucn" else self.system.labels
        return {"stage": 3, "seed": self.spec.seed, "labels": given, **self._ground, **parts} | self._other_network

    @cached_property
    def _other_network(self) -> dict[str, Any]:
        """What a network other than MUG's adds to the identity: its file and its configuration."""
        made_by = self.system.network or self.system.baseline
        if not made_by:
            return {}
        sources = ("baselines/base.py", f"baselines/{made_by.partition(':')[0]}.py")
        return {"made_by": made_by, "made_from": code_fingerprint(*sources), "sizes": asdict(self._config())}

    def _get(self, kind: str, identity: dict[str, Any], compute: Compute) -> Path:
        with cpu_threads(profile(self.spec.profile).threads):
            return self.store.get(kind, identity, compute)

    @property
    def stages(self) -> dict[str, tuple[dict[str, Any], Callable[[], Path]]]:
        """The stages in order, each with its identity and what computes it; labels not from MUCN need only stage 3."""
        training = {"train": (self.training, self.result)}
        if self.system.labels != "mucn":
            return training
        learning = {
            "pretrain": (self.pretraining, self.representations),
            "labels": (self.learning, self.learned_labels),
        }
        return learning | training

    def folder(self, stage: str) -> Path:
        """The folder of a stage, whether or not it exists."""
        return self.store.folder(stage, self.stages[stage][0])

    def representations(self) -> Path:
        """Stage 1's folder; runs it first if needed."""
        compute = partial(pretrain, self.dataset, self.hp, self.spec.label_seed, device=self.device)
        return self._get("pretrain", self.pretraining, compute)

    def learned_labels(self) -> Path:
        """Stage 2's folder; runs stage 1 first if needed."""
        saved = self.representations() / "representations.safetensors"

        def compute(folder: Path, checkpoint: Checkpoint) -> None:
            rho, seed = self.dataset.label_scale, self.spec.label_seed
            with of_clips(self.dataset.train.ids):
                meta_learn(SavedRepresentations.load(saved), self.hp.meta, rho, seed, folder, checkpoint, self.device)

        return self._get("labels", self.learning, compute)

    def check(self) -> None:
        """Checks that everything the run starts from is there.

        Raises:
            UserError: if the data set lacks a modality or true unimodal labels, or the text encoder is not installed.
        """
        self.dataset.require(self.system.needs, f"system '{self.system.name}'")
        if self.system.labels == "true":
            labels.true(self.dataset)
        encoders.locate(self.hp.network.text_encoder)

    def label_source(self) -> labels.LabelSource:
        """The source of labels for stage 3's unimodal tasks."""
        kind = self.system.labels
        if kind == "copy":
            return labels.copied(self.dataset)
        if kind == "true":
            return labels.true(self.dataset)
        if kind == "mucn":
            return labels.FixedLabels(LearnedLabels.load(self.learned_labels()).labels)
        return labels.FixedLabels() if kind == "none" else labels.online(kind, self.dataset, self.hp)

    def _config(self) -> Any:
        """The sizes of a baseline, or of the system's own multi-task network, under this profile."""
        light = profile(self.spec.profile).light
        if self.system.network:
            return import_attribute(f"{self.system.network}:sizes")(self.dataset.family, light)
        kind = import_attribute(self.system.baseline)
        return kind.light if light else kind.Config()

    @property
    def level(self) -> TextLevel:
        """What the network reads of the text."""
        return import_attribute(self.system.baseline).level if self.system.baseline else self.system.level

    def builder(self) -> Build:
        """Builds the network of stage 3, or the baseline, with its objective."""
        if self.system.baseline:
            from mugkit.baselines.base import builder

            kind, device = import_attribute(self.system.baseline), choose_device(self.device)
            return builder(kind, self._config(), self.hp.network, self.dataset, device)
        network = None
        if self.system.network:
            network = partial(import_attribute(f"{self.system.network}:build"), sizes=self._config())
        return joint.builder(self.dataset, self.hp, self.label_source(), self.device, network)

    def result(self) -> Path:
        """The run's folder; runs missing stages first."""

        def compute(folder: Path, checkpoint: Checkpoint) -> None:
            result = train_and_test(
                self.dataset, self.hp, self.builder(), self.spec.seed, folder, checkpoint, self.device, self.level
            )
            save_result(folder, result)

        return self._get("train", self.training, compute)

    def finished(self) -> bool:
        return self.store.has("train", self.training)


def import_attribute(name: str) -> Any:
    """`module:attribute` of `mugkit.baselines`; imported when it is needed."""
    return resolve_name(f"mugkit.baselines.{name}")
