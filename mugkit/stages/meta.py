"""Stage 2: meta-learning the unimodal labels (section 3.3, Eqs. 13–23).

For every batch S and modality m, MUCN_m first learns to denoise the clip's label from the unimodal representation
(unimodal denoising, Eqs. 13–18). Whether that step made it better is measured on the projected multimodal
representations of D = S ∪ S′, whose label is known (multimodal denoising, Eqs. 19–21). If it did, the step stands
(Eq. 22); if not, the step is not taken, and MUCN_m moves instead along the gradient of the loss *after* the step
with respect to the parameters *before* it (Eq. 23): a gradient through a gradient step, hence learn2learn's MAML.

`with_learn2learn` is that step for any network. What runs is `closed_form.step`, the same step with MUCN's derivatives
written out; `mugkit bench --only stage2` measures what that saves.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from mugkit import files
from mugkit.config import MetaLearning
from mugkit.data.schema import MODALITIES
from mugkit.maml import MAML
from mugkit.nets.mucn import MUCN
from mugkit.stages import closed_form, faults
from mugkit.stages.denoising import (
    ModalityData,
    Step,
    Task,
    decay,
    draws,
    multimodal_task,
    on_device,
    unimodal_targets,
    unimodal_task,
)
from mugkit.stages.pretrain import SavedRepresentations
from mugkit.stages.training import Checkpoint, choose_device, cpu_threads, derive_seed, progress


def bilevel_step(maml: Any, unimodal: Task, multimodal: Task | None, config: MetaLearning) -> Step:
    """Eqs. 15, 20, 22 and 23 for one task; the parameters it proposes are not yet written.

    Args:
        maml: learn2learn's MAML around MUCN_m, with lr = α.
        multimodal: None leaves only the unimodal denoising task (Table 5).
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
    moved = [p.detach() - config.alpha_prime * g for p, g in zip(maml.parameters(), gradients, strict=True)]
    return Step(moved, loss.item(), pre.item(), post.item(), False)  # Eq. 23


# From MUCN, the unimodal and the multimodal task and the configuration to what is proposed.
BilevelStep = Callable[[MUCN, Task, Task | None, MetaLearning], Step]


def with_learn2learn(mucn: MUCN, unimodal: Task, multimodal: Task | None, config: MetaLearning) -> Step:
    """`bilevel_step` by learn2learn's MAML: the reference."""
    return bilevel_step(MAML(mucn, lr=config.alpha, first_order=False), unimodal, multimodal, config)


@torch.no_grad()
def write_parameters(mucn: torch.nn.Module, proposals: list[Step]) -> None:
    """θ ← the proposed parameters; with one task per clip, their mean."""
    for position, parameter in enumerate(mucn.parameters()):
        values = [step.parameters[position] for step in proposals]
        parameter.copy_(values[0] if len(values) == 1 else torch.stack(values).mean(0))


@torch.no_grad()
def correct(mucn: torch.nn.Module, data: ModalityData, config: MetaLearning) -> Float[Tensor, "clips"]:
    """y_mc of all clips: what MUCN_m makes of the unimodal representation and a label without noise."""
    given = data.labels if config.label_input == "multimodal" else data.projected_prediction
    return mucn(data.x, given)


def train_epoch(
    mucn: MUCN,
    data: ModalityData,
    previous: Float[Tensor, "clips"],
    config: MetaLearning,
    seed: int,
    epoch: int,
    step: BilevelStep | None = None,
) -> dict[str, float]:
    """One pass of MUCN_m over the training split; returns means of losses and how often the gate opened.

    Args:
        step: `with_learn2learn` in place of the closed form.

    Raises:
        NotFinite: a loss or a parameter.
    """
    step = step or closed_form.step
    targets = unimodal_targets(data.labels, previous, epoch, config)
    steps: list[Step] = []
    batches: list[Tensor] = []
    for drawn in on_device(draws(len(data.labels), config, seed, epoch), data.labels.device):
        unimodal, multimodal = unimodal_task(data, drawn.batch, targets, drawn.noise), None
        if drawn.chosen is not None and drawn.noise_multimodal is not None:
            multimodal = multimodal_task(data, drawn.chosen, drawn.noise_multimodal)
        tasks = [unimodal] if config.gate == "batch" else [unimodal.clip(row) for row in range(len(drawn.batch))]
        proposals = [step(mucn, task, multimodal, config) for task in tasks]
        write_parameters(mucn, proposals)
        steps += [dataclasses.replace(proposal, parameters=[]) for proposal in proposals]  # a step's weights are large
        batches.append(drawn.batch)
    columns = {name: [float(getattr(s, name)) for s in steps] for name in ("unimodal", "pre", "post", "gate_open")}
    faults.check_epoch(mucn, columns["unimodal"], batches, epoch)
    return {name: float(pd.Series(values).mean()) for name, values in columns.items()}


@dataclass(frozen=True)
class LearnedLabels:
    """y_mc of the training split, and how they came about.

    Attributes:
        labels: y_mc by modality, after the last epoch.
        trajectory: y_mc by modality after every epoch, for figures and the label explorer.
        history: one row an epoch and modality: losses, share of open gates, λ.
    """

    labels: Mapping[str, Float[Tensor, "clips"]]
    trajectory: Mapping[str, Float[Tensor, "epochs clips"]]
    history: pd.DataFrame

    def save(self, folder: Path) -> None:
        tensors = {f"trajectory.{m}": values.contiguous() for m, values in self.trajectory.items()}
        save_file(tensors | {f"labels.{m}": values for m, values in self.labels.items()}, folder / "labels.safetensors")
        rows = self.history.astype(object).where(self.history.notna(), None).to_dict("records")
        files.write_json(folder / "history.json", rows)

    @classmethod
    def load(cls, folder: Path) -> LearnedLabels:
        tensors = load_file(folder / "labels.safetensors")
        labels, trajectory = ({m: tensors[f"{part}.{m}"] for m in MODALITIES} for part in ("labels", "trajectory"))
        return cls(labels, trajectory, pd.DataFrame(files.read_json(folder / "history.json")))


_SEEDING = threading.Lock()  # torch's seed belongs to the process
Learned = tuple[Float[Tensor, "epochs clips"], list[dict[str, Any]]]


def fresh_mucn(data: ModalityData, config: MetaLearning, rho: float, seed: int) -> MUCN:
    """MUCN_m with its initial weights."""
    with _SEEDING:
        torch.manual_seed(derive_seed(seed, "mucn"))
        mucn = MUCN(data.x.shape[1], config.mucn_width, rho, config.residual, config.mucn_output_bias)
    return closed_form.laid_out(mucn.to(data.x.device))


def learn_modality(
    data: ModalityData,
    modality: str,
    config: MetaLearning,
    rho: float,
    seed: int,
    checkpoint: Checkpoint,
    stopping: threading.Event | None = None,
) -> Learned:
    """Trains MUCN_m over all epochs; returns y_mc after each and the history.

    Args:
        stopping: once set, no further epoch begins.
    """
    mucn = fresh_mucn(data, config, rho, seed)
    state = checkpoint.load() or {"history": [], "trajectory": []}
    if "mucn" in state:
        mucn.load_state_dict(state["mucn"])
    history, trajectory = state["history"], state["trajectory"]
    for epoch in progress(range(len(history), config.meta_epochs), f"stage 2, {modality}"):
        if stopping is not None and stopping.is_set():
            break
        previous = trajectory[-1].to(data.labels.device) if trajectory else data.labels
        row = train_epoch(mucn, data, previous, config, seed, epoch)
        trajectory.append(correct(mucn, data, config).cpu())
        history.append({"modality": modality, "epoch": epoch, "lambda": decay(config.lambda_init, epoch), **row})
        checkpoint.save({"mucn": mucn.state_dict(), "history": history, "trajectory": trajectory})
    return torch.stack(trajectory), history


def side_by_side(learn: Callable[[str, threading.Event], Learned], workers: int) -> dict[str, Learned]:
    """The three modalities, which do not depend on each other: a thread for each as far as there are cores.

    One core's worth of work each adds up in the same order however many there are. An error or a signal ends all.
    """
    stopping = threading.Event()
    if workers == 1:
        return {m: learn(m, stopping) for m in MODALITIES}
    with cpu_threads(1), ThreadPoolExecutor(workers) as pool:
        running = {m: pool.submit(learn, m, stopping) for m in MODALITIES}
        try:
            for done in as_completed(running.values()):
                done.result()
        except BaseException:
            stopping.set()
            raise
        return {m: done.result() for m, done in running.items()}


def meta_learn(
    saved: SavedRepresentations,
    config: MetaLearning,
    rho: float,
    seed: int,
    folder: Path,
    checkpoint: Checkpoint | None = None,
    device: str = "cpu",
) -> LearnedLabels:
    """Runs stage 2 for the three modalities and leaves `labels.safetensors` and `history.json` in `folder`."""
    chosen = choose_device(device)

    def learn(modality: str, stopping: threading.Event) -> Learned:
        path = checkpoint.path if checkpoint else None
        own = Checkpoint(path.with_name(f"{modality}-{path.name}") if path else None)
        data = ModalityData.of(saved, modality, config).to(chosen)
        with faults.of_modality(modality):
            return learn_modality(data, modality, config, rho, derive_seed(seed, "meta", modality), own, stopping)

    workers = min(len(MODALITIES), torch.get_num_threads()) if chosen.type == "cpu" else 1
    found = side_by_side(learn, workers)
    trajectory = {m: labels for m, (labels, _) in found.items()}
    history = pd.DataFrame([row for _, rows in found.values() for row in rows])
    learned = LearnedLabels({m: t[-1].clone() for m, t in trajectory.items()}, trajectory, history)
    learned.save(folder)
    return learned
