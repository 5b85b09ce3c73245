"""MLC, meta label correction, as regression.

G. Zheng, A. H. Awadallah, S. Dumais: "Meta Label Correction for Noisy Label Learning", AAAI 2021; row 'MLC' of Table 5
uses it instead of stages 1 and 2 (section 4.8). A correction network with parameters α maps a clip's detached
representation and its noisy label to a label ỹ. The network w is trained on ỹ. The only objective of α is that this
training lowers a loss on clean labels:

    g_s(α) = ∇_w L_soft(w, ỹ(α))        w′ = w − η·g_s        g′ = ∇_w L_clean(w′)
    ∇_α L_clean(w′) = −η·∇_α⟨g_s(α), g′⟩

Since w depends on α through earlier steps too, the previous step's meta-gradient is added, times
γ = ⟨(1−η)·g′, g⟩/‖g‖² with g = ∇_w L_clean(w) (the Hessian is taken to be the identity). The sum accumulates over
`LOOK_AHEAD` steps; then α takes one step of Adam and the sum starts at 0 again.

Here MLC regresses unimodal labels (the original classifies images):
- The correction network is MUCN, one per modality, on x_m and y. L_soft is the sum over modalities of the mean squared
  error of ŷ_m against ỹ_m. An absolute error does not work: its gradient in w depends on ỹ through a sign only, so
  ∇_α⟨g_s, g′⟩ is zero almost everywhere. For the mean squared error it is simple,

      −η·∇_α⟨g_s(α), g′⟩ = (2η/n)·Σ_m Σ_i (Jg′)_mi·∇_α ỹ_mi        (Jg′)_mi: derivative of ŷ_mi along g′,

  where Jg′ needs two forward passes (a central difference, as in DARTS, Liu et al. 2019) and no second derivative of
  an LSTM. The real step minimises Eq. 27 with ỹ as the labels, as for any source; MLC has its own hyperparameters.
- Unimodal labels are not clean, but y is: L_clean is L_M on half a batch of the training split (the authors halve
  theirs too), drawn independently, so it can share clips with the batch. The two losses share only the parameters of
  the unimodal networks, so w is these parameters; a trained text encoder is left out because of its size.
- w′ comes from plain gradient descent (s = 1 in the notation of the authors' code) with the learning rate of stage 3,
  although the real step is AdamW's.
- Adam has learning rate α′, the meta-learning rate of the strategy that MLC replaces.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mugkit.config import Hyperparameters
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.models.losses import l1
from mugkit.models.mug import MUCN, MultiTaskNetwork
from mugkit.training.label_sources.online import OnlineLabels
from mugkit.training.seeding import derive_seed, similar_lengths

LOOK_AHEAD = 5  # steps of w per step of α: the authors' number for data with real noise
DIFFERENCE = 1e-2  # length of the step to each side in a central difference

Gradients = Sequence[Tensor]
ByModality = Mapping[str, Float[Tensor, "batch"]]


def shared_parameters(network: MultiTaskNetwork) -> list[nn.Parameter]:
    """w: the parameters of the unimodal networks without the text encoder."""
    return [p for name, p in network.named_parameters() if name.startswith(("language.down.", "sequences."))]


@contextmanager
def perturbed(
    parameters: Sequence[nn.Parameter], direction: Gradients, length: float | Float[Tensor, ""]
) -> Iterator[None]:
    """Runs a block at w + length·direction and then restores w bit for bit."""
    before = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for p, d in zip(parameters, direction, strict=True):
            p.add_(d * length)
    try:
        yield
    finally:
        with torch.no_grad():
            for p, value in zip(parameters, before, strict=True):
                p.copy_(value)


def dot(first: Gradients, second: Gradients) -> Float[Tensor, ""]:
    """⟨first, second⟩ over all parameters."""
    return torch.stack([(a * b).sum() for a, b in zip(first, second, strict=True)]).sum()


def clean_gradient(network: MultiTaskNetwork, clean: Batch) -> tuple[Tensor, ...]:
    """∇_w L_M."""
    loss = l1(network.predict(network.represent(clean)), clean.labels)
    return torch.autograd.grad(loss, shared_parameters(network))


def soft_gradient(network: MultiTaskNetwork, predicted: ByModality, labels: ByModality) -> tuple[Tensor, ...]:
    """g_s: ∇_w of the mean squared errors of ŷ_m against ỹ_m, in which a modality's weights see its own error only."""
    losses = [(predicted[m] - labels[m].detach()).square().mean() for m in MODALITIES]
    return torch.autograd.grad(torch.stack(losses).sum(), shared_parameters(network))


@torch.no_grad()
def slope(network: MultiTaskNetwork, batch: Batch, direction: Gradients) -> dict[str, Float[Tensor, "batch"]]:
    """J·direction: derivative of each ŷ_m along `direction`; without dropout, which would differ between sides."""
    length = DIFFERENCE / dot(direction, direction).sqrt().clamp(min=1e-12)
    sides = []
    network.train(False)
    for sign in (1, -1):
        with perturbed(shared_parameters(network), direction, sign * length):
            sides.append(network.predict_unimodal(network.represent(batch).unimodal))
    network.train(True)
    return {m: (sides[0][m] - sides[1][m]) / (2 * length) for m in MODALITIES}


def meta_loss(labels: ByModality, slopes: ByModality, eta: float) -> Float[Tensor, ""]:
    """A scalar whose gradient in α is −η·∇_α⟨g_s(α), g′⟩: minimising it lowers ỹ where ỹ drives the clean loss up."""
    return torch.stack([2 * eta * (labels[m] * slopes[m]).mean() for m in MODALITIES]).sum()


class MLC(OnlineLabels):
    """Labels from correction networks that are trained through the network's next step."""

    def __init__(self, dataset: Dataset, hp: Hyperparameters) -> None:
        super().__init__(dataset, hp)
        self.eta = hp.optimization.learning_rate
        self.corrections = nn.ModuleDict()  # filled when training begins, when seed and device are known
        self._steps, self._sum = 0, torch.zeros(0)
        self._saved: Mapping[str, Any] = {}

    def _make_corrections(self, seed: int, device: torch.device) -> None:
        """Makes the correction networks and their optimizer, or restores those of a resumed run."""
        torch.manual_seed(derive_seed(seed, "mlc"))
        network, meta = self.hp.network, self.hp.meta
        dims = {"l": network.d_l, "a": network.d_a, "v": network.d_v}
        made = {m: MUCN(dims[m], meta.mucn_width, self.rho, meta.residual, meta.mucn_output_bias) for m in MODALITIES}
        self.corrections = nn.ModuleDict(made).to(device)
        self._adam = torch.optim.Adam(self.corrections.parameters(), lr=meta.alpha_prime, amsgrad=True, fused=True)
        if self._saved:
            self.corrections.load_state_dict(self._saved["corrections"])
            self._adam.load_state_dict(self._saved["adam"])

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        super().begin_epoch(train, epoch, seed)
        if not self.corrections:
            self._make_corrections(seed, train.device)
        self._sum = self._sum.to(train.device)
        half = max(self.hp.optimization.batch_size // 2, 1)
        self._clean = train.batches(similar_lengths(train.lengths, half, derive_seed(seed, "clean"), epoch))

    def before_step(self, network: MultiTaskNetwork, batch: Batch, epoch: int) -> None:
        """Writes the batch's labels, then trains the networks that wrote them (one step per `LOOK_AHEAD` batches)."""
        reps = network.represent(batch)
        predicted, x = network.predict_unimodal(reps.unimodal), reps.detach().unimodal
        labels = {m: self.corrections[m](x[m], batch.labels) for m in MODALITIES}  # ỹ(α)
        for m in MODALITIES:
            self.values[m][batch.index_there] = labels[m].detach()
        self._accumulate(network, batch, next(self._clean), predicted, labels)
        if self._steps == LOOK_AHEAD:
            self._take_step()

    def _accumulate(
        self, network: MultiTaskNetwork, batch: Batch, clean: Batch, predicted: ByModality, labels: ByModality
    ) -> None:
        """Adds this step's meta-gradient to γ times the sum so far."""
        with perturbed(shared_parameters(network), soft_gradient(network, predicted, labels), -self.eta):  # w′
            after = clean_gradient(network, clean)  # g′
        loss = meta_loss(labels, slope(network, batch, after), self.eta)
        gradients = torch.autograd.grad(loss, list(self.corrections.parameters()))
        gradient = torch.cat([part.flatten() for part in gradients])
        if self._steps:
            before = clean_gradient(network, clean)  # g
            gamma = (1 - self.eta) * dot(after, before) / dot(before, before).clamp(min=1e-12)
            gradient = gradient + gamma * self._sum
        self._steps, self._sum = self._steps + 1, gradient

    def _take_step(self) -> None:
        alpha = list(self.corrections.parameters())
        for parameter, part in zip(alpha, self._sum.split([p.numel() for p in alpha]), strict=True):
            parameter.grad = part.view_as(parameter)
        self._adam.step()
        self._steps = 0

    def state(self) -> dict[str, Any]:
        own = {"corrections": self.corrections.state_dict(), "adam": self._adam.state_dict()}
        return {**super().state(), **own, "steps": self._steps, "sum": self._sum}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._steps, self._sum, self._saved = state["steps"], state["sum"], state
