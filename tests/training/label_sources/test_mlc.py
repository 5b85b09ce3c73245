"""MLC's meta-gradient against autograd through the step itself, in float64 on a tiny network."""

import copy
from collections.abc import Iterator, Mapping

import pytest
import torch
from made_up import make_dataset
from small import small
from torch import Tensor, nn

from mugkit.data.batch import Batch, Padded
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES
from mugkit.models.mug import MUGNetwork
from mugkit.training.label_sources import mlc
from mugkit.training.label_sources.mlc import LOOK_AHEAD, MLC, perturbed, shared_parameters, slope

HP = small(d_l=3, d_a=2, d_v=2, d=4, fusion_width=5, mucn_width=4, learning_rate=0.05, alpha_prime=0.01)
WIDTH = 6
SHARED = {"language.down.weight", "language.down.bias"} | {
    f"sequences.{m}.lstm.{part}_{place}_l0" for m in "av" for part in ("weight", "bias") for place in ("ih", "hh")
}


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def network() -> MUGNetwork:
    torch.manual_seed(0)
    return MUGNetwork(HP.network, {"a": 5, "v": 4}, WIDTH)


@pytest.fixture
def source(network: MUGNetwork) -> MLC:
    made = MLC(make_dataset((12, 2, 2)), HP)
    made._make_corrections(1, torch.device("cpu"))
    made.values = {m: values.double() for m, values in made.values.items()}
    return made


def made_batch(index: list[int], seed: int) -> Batch:
    """Clips of several lengths; their labels are in units that move a network."""
    draw = torch.Generator().manual_seed(seed)
    lengths = [1 + clip % 4 for clip in range(len(index))]

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    frames = {m: Padded.of([random(n, d) for n in lengths]) for m, d in (("a", 5), ("v", 4))}
    return Batch(torch.tensor(index), random(len(index), WIDTH), frames, 2 * random(len(index)))


S, CLEAN = made_batch([0, 3, 5, 7, 9], 1), made_batch([1, 2, 4], 2)


class At(nn.Module):
    """The network's two losses as a forward pass, for `functional_call`."""

    def __init__(self, network: MUGNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch, labels: Mapping[str, Tensor] | None = None) -> Tensor:
        reps = self.network.represent(batch)
        if labels is None:
            return (self.network.predict(reps) - batch.labels).abs().mean()
        predicted = self.network.predict_unimodal(reps.unimodal)
        return sum((predicted[m] - labels[m]).square().mean() for m in MODALITIES)


def reference(network: MUGNetwork, source: MLC) -> Tensor:
    """The meta-gradient ∇_α L_clean(w′(α)), by the whole graph."""
    corrections, reps = source.corrections, network.represent(S)
    labels = {m: corrections[m](reps.unimodal[m].detach(), S.labels) for m in MODALITIES}
    at, names = At(network), sorted(SHARED)
    w = dict(network.named_parameters())
    gradients = torch.autograd.grad(at(S, labels), [w[name] for name in names], create_graph=True)
    stepped = {f"network.{name}": w[name] - source.eta * g for name, g in zip(names, gradients, strict=True)}
    loss = torch.func.functional_call(at, stepped, (CLEAN,))
    return nn.utils.parameters_to_vector(torch.autograd.grad(loss, list(corrections.parameters())))


def accumulate(network: MUGNetwork, source: MLC) -> Tensor:
    source._clean = iter([CLEAN])
    source.before_step(network, S, 0)
    return source._sum


@pytest.mark.parametrize(("difference", "tolerance"), [(1e-2, 1e-3), (1e-4, 1e-7)])
def test_meta_gradient_equals_autograd_through_the_step(
    network: MUGNetwork, source: MLC, monkeypatch: pytest.MonkeyPatch, difference: float, tolerance: float
) -> None:
    monkeypatch.setattr(mlc, "DIFFERENCE", difference)
    expected, made = reference(network, source), accumulate(network, source)
    assert expected.abs().max() > 1e-4
    torch.testing.assert_close(made, expected, rtol=tolerance, atol=tolerance * expected.abs().max().item())


def test_slope_ignores_dropout_and_leaves_it_on(network: MUGNetwork) -> None:
    direction = [torch.ones_like(p) for p in shared_parameters(network)]
    expected = slope(network, S, direction)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    torch.testing.assert_close(slope(network, S, direction), expected)
    assert network.training


def test_second_step_adds_gamma_times_the_first(network: MUGNetwork, source: MLC) -> None:
    first, direct = accumulate(network, source).clone(), reference(network, source)
    w, at, labels = shared_parameters(network), At(network), {m: source.values[m][S.index] for m in MODALITIES}

    def clean_slope() -> Tensor:
        return nn.utils.parameters_to_vector(torch.autograd.grad(at(CLEAN), w))

    before = clean_slope()
    with perturbed(w, torch.autograd.grad(at(S, labels), w), -0.05):
        after = clean_slope()
    gamma = 0.95 * (before @ after) / (before @ before)
    assert 0.1 < gamma < 1
    torch.testing.assert_close(accumulate(network, source), direct + gamma * first, rtol=1e-3, atol=1e-6)


def test_corrections_move_every_fifth_step_by_adam_with_the_meta_rate(network: MUGNetwork, source: MLC) -> None:
    for step in range(2 * LOOK_AHEAD):
        start = nn.utils.parameters_to_vector(source.corrections.parameters()).detach().clone()
        total = accumulate(network, source).clone()
        change = nn.utils.parameters_to_vector(source.corrections.parameters()).detach() - start
        assert bool(change.any()) == ((step + 1) % LOOK_AHEAD == 0)
        if step == LOOK_AHEAD - 1:
            large = total.abs() > 1e-4
            assert large.any()
            torch.testing.assert_close(change[large], -0.01 * total[large].sign(), rtol=1e-3, atol=0)


def test_before_step_leaves_the_network_as_it_was(network: MUGNetwork, source: MLC) -> None:
    before = copy.deepcopy(network.state_dict())
    for _ in range(LOOK_AHEAD + 1):
        accumulate(network, source)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert network.training


def test_before_step_writes_what_the_corrections_said_before_they_move(network: MUGNetwork, source: MLC) -> None:
    source._steps, source._sum = LOOK_AHEAD - 1, torch.zeros(())
    y = source.y.clone()
    with torch.no_grad():
        x = network.represent(S).unimodal
        expected = {m: source.corrections[m](x[m], S.labels) for m in MODALITIES}
    accumulate(network, source)
    for m in MODALITIES:
        torch.testing.assert_close(source.targets(S.index)[m], expected[m])
        others = [clip for clip in range(12) if clip not in S.index.tolist()]
        assert source.values[m][others].tolist() == pytest.approx(y[others].tolist())
    assert source.weights(S.index) is None


def test_clean_batches_are_half_and_cover_the_training_split() -> None:
    torch.set_default_dtype(torch.float32)
    dataset = make_dataset((40, 4, 4))
    source = MLC(dataset, HP)
    source.begin_epoch(ClipLoader(dataset.train, HP.network), 0, 1)
    batches = [batch.index.tolist() for batch in source._clean]
    assert [len(batch) for batch in batches].count(8) == 5  # batches of 16 in stage 3
    assert sorted(clip for batch in batches for clip in batch) == list(range(40))
