"""Stage 2: meta-learning the unimodal labels (section 3.3, Eqs. 13–23).

For every batch S and modality m, MUCN_m first takes a gradient step on denoising the clip's label from the unimodal
representation (unimodal denoising, Eqs. 13–18). The loss on the projected multimodal representations of D = S ∪ S′,
whose labels are known, shows whether this step improved MUCN_m (multimodal denoising, Eqs. 19–21). If it did, the step
is kept (Eq. 22). If not, the step is discarded and MUCN_m descends along the gradient of the loss *after* the step with
respect to the parameters *before* it (Eq. 23). That is a gradient through a gradient step, hence learn2learn's MAML.

`bilevel_step` implements this step for any network. MUCN is small enough to write its derivatives out, so by default
`closed_form.ClosedForm` computes the same step in less time; `mugkit bench --only stage2` measures how much that saves.
Modalities do not depend on each other: each has a `ModalityMetaTrainer`, and several processes share their epochs.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor

from mugkit import pools
from mugkit.config import MetaLearning
from mugkit.data.schema import MODALITIES
from mugkit.device import choose_device, cpu_threads
from mugkit.models.mug import MUCN
from mugkit.progress import progress
from mugkit.training import divergence
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.closed_form import ClosedForm
from mugkit.training.denoising import ModalityData, Step, Task, decay, step_samples, tasks, unimodal_targets
from mugkit.training.label_sources.source import LearnedLabels
from mugkit.training.maml import MAML
from mugkit.training.pretrain import SavedRepresentations
from mugkit.training.seeding import derive_seed


def bilevel_step(maml: Any, unimodal: Task, multimodal: Task | None, config: MetaLearning) -> Step:
    """Eqs. 15, 20, 22 and 23 for one task; returns the proposed parameters without writing them to the network.

    `maml` is learn2learn's MAML around MUCN_m, with lr = α. Without `multimodal`, only Eq. 15 is left (Table 5).
    """
    learner = maml.clone()
    for _ in range(config.adaptation_steps):
        loss = unimodal.loss(learner)  # Eqs. 14, 16
        learner.adapt(loss)  # Eq. 15: θ′ = θ − α∇L, kept differentiable in θ
    adapted = [parameter.detach() for parameter in learner.parameters()]
    if multimodal is None:
        return Step(adapted, loss.item(), float("nan"), float("nan"), True)
    with torch.no_grad():
        pre = multimodal.loss(maml)  # Eq. 20 at θ
    post = multimodal.loss(learner)  # Eq. 20 at θ′
    if post < pre:
        return Step(adapted, loss.item(), pre.item(), post.item(), True)  # Eq. 22
    gradients = torch.autograd.grad(post, list(maml.parameters()))  # through Eq. 15, back to θ
    updated = [p.detach() - config.alpha_prime * g for p, g in zip(maml.parameters(), gradients, strict=True)]
    return Step(updated, loss.item(), pre.item(), post.item(), False)  # Eq. 23


class WithLearn2learn:
    """The reference implementation: `bilevel_step` with learn2learn's MAML."""

    def __init__(self, mucn: MUCN, config: MetaLearning) -> None:
        self._maml, self._config = MAML(mucn, lr=config.alpha, first_order=False), config

    def __call__(self, unimodal: Sequence[Task], multimodal: Task | None) -> list[Step]:
        return [bilevel_step(self._maml, task, multimodal, self._config) for task in unimodal]


# (unimodal tasks, multimodal task) → one proposed step per unimodal task.
Steps = Callable[[Sequence[Task], Task | None], list[Step]]
BilevelSteps = Callable[[MUCN, MetaLearning], Steps]


@torch.no_grad()
def write_parameters(parameters: Sequence[Tensor], proposals: list[Step]) -> None:
    """θ ← the proposed parameters; with one task per clip, their mean."""
    for position, parameter in enumerate(parameters):
        values = [step.parameters[position] for step in proposals]
        parameter.copy_(values[0] if len(values) == 1 else torch.stack(values).mean(0))


_CLIPS = 2048  # per forward pass, so that the hidden layer stays in a processor's cache


@torch.no_grad()
def correct(mucn: torch.nn.Module, data: ModalityData, config: MetaLearning) -> Float[Tensor, "clips"]:
    """y_mc of all clips: the output of MUCN_m for the unimodal representation and a label without noise."""
    given = data.labels if config.label_input == "multimodal" else data.projected_prediction
    parts = zip(data.x.split(_CLIPS), given.split(_CLIPS), strict=True)
    return torch.cat([mucn(x, label) for x, label in parts])


def train_epoch(
    mucn: MUCN,
    data: ModalityData,
    previous: Float[Tensor, "clips"],
    config: MetaLearning,
    seed: int,
    epoch: int,
    steps: BilevelSteps | None = None,
) -> dict[str, float]:
    """Trains MUCN_m for one pass over the training split; returns mean losses and the share of open gates.

    `steps` implements the steps, e.g. `WithLearn2learn`; by default the closed form.

    Raises:
        NotFinite: if a loss or a parameter is not finite.
    """
    propose = (steps or ClosedForm)(mucn, config)
    targets = unimodal_targets(data.labels, previous, epoch, config)
    parameters = list(mucn.parameters())
    rows: list[tuple[Any, ...]] = []
    batches: list[Tensor] = []
    for drawn in step_samples(len(data.labels), config, seed, epoch):
        for batch, unimodal, multimodal in tasks(data, targets, drawn.to(data.labels.device)):
            learned_from = [unimodal] if config.gate == "batch" else [unimodal.clip(row) for row in range(len(batch))]
            proposals = propose(learned_from, multimodal)
            write_parameters(parameters, proposals)
            rows += [(step.unimodal, step.pre, step.post, step.gate_open) for step in proposals]
            batches.append(batch)
    columns = {name: [float(row[n]) for row in rows] for n, name in enumerate(("unimodal", "pre", "post", "gate_open"))}
    divergence.check_epoch(mucn, columns["unimodal"], batches, epoch)
    return {name: float(pd.Series(values).mean()) for name, values in columns.items()}


def fresh_mucn(data: ModalityData, config: MetaLearning, rho: float, seed: int) -> MUCN:
    """MUCN_m with its initial weights."""
    torch.manual_seed(derive_seed(seed, "mucn"))
    mucn = MUCN(data.x.shape[1], config.mucn_width, rho, config.residual, config.mucn_output_bias)
    return mucn.to(data.x.device)


class ModalityMetaTrainer:
    """Trains MUCN_m of one modality, epoch by epoch; resumes from its checkpoint."""

    def __init__(
        self,
        data: ModalityData,
        modality: str,
        config: MetaLearning,
        rho: float,
        seed: int,
        checkpoint: Checkpoint,
        steps: BilevelSteps | None = None,
    ) -> None:
        self.data, self.modality, self.config, self.seed = data, modality, config, seed
        self._checkpoint, self._steps = checkpoint, steps
        self.mucn = fresh_mucn(data, config, rho, seed)
        state = checkpoint.load() or {"history": [], "trajectory": torch.empty(0)}
        if "mucn" in state:
            self.mucn.load_state_dict(state["mucn"])
        self.history: list[dict[str, Any]] = state["history"]  # one row per epoch
        self.trajectory: list[Float[Tensor, "clips"]] = list(state["trajectory"])  # y_mc after every epoch

    @property
    def left(self) -> range:
        """The remaining epochs."""
        return range(len(self.history), self.config.meta_epochs)

    @property
    def previous(self) -> Float[Tensor, "clips"]:
        """y_mc after the last epoch; y before the first."""
        return self.trajectory[-1].to(self.data.labels.device) if self.trajectory else self.data.labels

    def record_epoch(self, row: Mapping[str, float], labels: Float[Tensor, "clips"]) -> None:
        """Records the epoch that `mucn` has just finished, with the results of `train_epoch` and `correct`."""
        epoch = len(self.history)
        self.trajectory.append(labels.cpu())
        self.history.append(
            {"modality": self.modality, "epoch": epoch, "lambda": decay(self.config.lambda_init, epoch), **row}
        )
        self._checkpoint.save(
            {"mucn": self.mucn.state_dict(), "history": self.history, "trajectory": torch.stack(self.trajectory)}
        )

    def learn(self) -> None:
        """Runs all remaining epochs in this process."""
        with divergence.of_modality(self.modality):
            for epoch in progress(self.left, f"stage 2, {self.modality}"):
                row = train_epoch(self.mucn, self.data, self.previous, self.config, self.seed, epoch, self._steps)
                self.record_epoch(row, correct(self.mucn, self.data, self.config))


# Several processes: a free worker takes the next epoch of any modality that is waiting.
#
# Processes instead of threads: a step is a hundred short operations, and threads would wait for each other's Python.
# A worker reads MUCN_m as the previous epoch left it, so three modalities keep two cores busy to the end.
# Every epoch runs on one core and sums in the same order, however many cores there are.

_LABELS = "labels"  # the name of y_mc, next to those of MUCN's parameters


@dataclass(frozen=True)
class Job:
    """What a worker needs to train one modality."""

    file: Path  # with its representations
    modality: str
    config: MetaLearning
    rho: float
    seed: int


@lru_cache(maxsize=3)
def _data(file: Path) -> ModalityData:
    return ModalityData(**safetensors.torch.load_file(file))


def packed(learning: ModalityMetaTrainer) -> bytes:
    """What the next epoch starts from, as bytes: tensors would go through shared memory, which may be small."""
    return _packed(learning.mucn.state_dict(), learning.previous)


def _packed(mucn: dict[str, Tensor], labels: Tensor) -> bytes:
    return safetensors.torch.save({name: value.contiguous() for name, value in {**mucn, _LABELS: labels}.items()})


def epoch_in_worker(job: Job, number: int, before: bytes) -> tuple[bytes, dict[str, float]]:
    """Runs one epoch of one modality in a worker."""
    with cpu_threads(1), divergence.of_modality(job.modality):
        data, state = _data(job.file), safetensors.torch.load(before)
        previous, mucn = state.pop(_LABELS), fresh_mucn(data, job.config, job.rho, job.seed)
        mucn.load_state_dict(state)
        row = train_epoch(mucn, data, previous, job.config, job.seed, number)
        return _packed(mucn.state_dict(), correct(mucn, data, job.config)), row


def _epochs(learning: dict[Job, ModalityMetaTrainer], workers: int) -> Iterator[None]:
    """Submits epochs to workers, at most one per modality at a time; yields after each finished epoch."""
    pool = pools.processes(workers)
    running: dict[Future[tuple[bytes, dict[str, float]]], Job] = {}

    def hand_out(job: Job) -> None:
        if left := learning[job].left:
            running[pool.submit(epoch_in_worker, job, left[0], packed(learning[job]))] = job

    try:
        for job in learning:
            hand_out(job)
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                job, (state, row) = running.pop(done), done.result()
                tensors = safetensors.torch.load(state)
                labels = tensors.pop(_LABELS)
                learning[job].mucn.load_state_dict(tensors)
                learning[job].record_epoch(row, labels)
                hand_out(job)
                yield
    except BaseException:
        pools.shutdown_now(pool)
        raise


def learn_side_by_side(learning: Sequence[ModalityMetaTrainer], rho: float, workers: int, folder: Path) -> None:
    """Runs all remaining epochs of all modalities in worker processes, which read files of `folder`.

    Raises:
        NotFinite: see `train_epoch`.
        BrokenExecutor: if workers die repeatedly.
    """
    folder.mkdir()
    jobs = {}
    for trainer in learning:
        job = Job(folder / f"{trainer.modality}.safetensors", trainer.modality, trainer.config, rho, trainer.seed)
        parts = {field.name: getattr(trainer.data, field.name).contiguous() for field in fields(trainer.data)}
        safetensors.torch.save_file(parts, job.file)
        jobs[job] = trainer

    def all_epochs() -> None:
        left = sum(len(trainer.left) for trainer in learning)
        for _ in progress(_epochs(jobs, workers), "stage 2", total=left):
            pass

    pools.retry_on_broken_pool(all_epochs)
    shutil.rmtree(folder)


WORTH = 10_000  # steps; for fewer steps, workers take longer to start than they save


def meta_learn(
    saved: SavedRepresentations,
    config: MetaLearning,
    rho: float,
    seed: int,
    folder: Path,
    checkpoint: Checkpoint | None = None,
    device: str = "cpu",
) -> LearnedLabels:
    """Runs stage 2 for the three modalities and writes `labels.safetensors` and `history.json` to `folder`."""
    chosen = choose_device(device)
    learning = []
    for modality in MODALITIES:
        data, own = ModalityData.of(saved, modality, config).to(chosen), derive_seed(seed, "meta", modality)
        part = (checkpoint or Checkpoint()).part(modality)
        learning.append(ModalityMetaTrainer(data, modality, config, rho, own, part))
    workers = min(len(MODALITIES), torch.get_num_threads()) if chosen.type == "cpu" else 1
    steps = sum(len(trainer.left) for trainer in learning) * len(saved.labels) / config.meta_batch_size
    if workers > 1 and steps >= WORTH:
        learn_side_by_side(learning, rho, workers, folder / "modalities")
    else:
        for trainer in learning:
            trainer.learn()
    trajectory = {trainer.modality: torch.stack(trainer.trajectory) for trainer in learning}
    history = pd.DataFrame([row for trainer in learning for row in trainer.history])
    learned = LearnedLabels({m: t[-1].clone() for m, t in trajectory.items()}, trajectory, history)
    learned.save(folder)
    return learned
