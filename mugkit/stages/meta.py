"""Stage 2: meta-learning the unimodal labels (section 3.3, Eqs. 13–23).

For every batch S and modality m, MUCN_m first learns to denoise the clip's label from the unimodal representation
(unimodal denoising, Eqs. 13–18). Whether that step made it better is measured on the projected multimodal
representations of D = S ∪ S′, whose label is known (multimodal denoising, Eqs. 19–21). If it did, the step stands
(Eq. 22); if not, the step is not taken, and MUCN_m moves instead along the gradient of the loss *after* the step
with respect to the parameters *before* it (Eq. 23): a gradient through a gradient step, hence learn2learn's MAML.

`WithLearn2learn` is that step for any network. What runs is `closed_form.ClosedForm`, the same step with MUCN's
derivatives written out; `mugkit bench --only stage2` measures what that saves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from mugkit.stages import side_by_side
from mugkit.stages.denoising import ModalityData, Step, Task
from mugkit.stages.modality import Learning
from mugkit.stages.pretrain import SavedRepresentations
from mugkit.stages.training import Checkpoint, choose_device, derive_seed


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


class WithLearn2learn:
    """`bilevel_step` by learn2learn's MAML: the reference."""

    def __init__(self, mucn: MUCN, config: MetaLearning) -> None:
        self._maml, self._config = MAML(mucn, lr=config.alpha, first_order=False), config

    def __call__(self, unimodal: Sequence[Task], multimodal: Task | None) -> list[Step]:
        """What is proposed for every task, all from the same parameters."""
        return [bilevel_step(self._maml, task, multimodal, self._config) for task in unimodal]


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


WORTH = 10_000  # steps: below, workers take longer to start than they save


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
    learning = []
    for modality in MODALITIES:
        data, own = ModalityData.of(saved, modality, config).to(chosen), derive_seed(seed, "meta", modality)
        learning.append(Learning(data, modality, config, rho, own, (checkpoint or Checkpoint()).part(modality)))
    workers = min(len(MODALITIES), torch.get_num_threads()) if chosen.type == "cpu" else 1
    steps = sum(len(one.left) for one in learning) * len(saved.labels) / config.meta_batch_size
    if workers > 1 and steps >= WORTH:
        side_by_side.learn(learning, rho, workers, folder / "modalities")
    else:
        for one in learning:
            one.learn()
    trajectory = {one.modality: torch.stack(one.trajectory) for one in learning}
    history = pd.DataFrame([row for one in learning for row in one.history])
    learned = LearnedLabels({m: t[-1].clone() for m, t in trajectory.items()}, trajectory, history)
    learned.save(folder)
    return learned
