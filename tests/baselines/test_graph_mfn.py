"""Graph-MFN: how the graph is wired, and what efficacies do."""

import numpy as np
import pytest
import torch
from batches import SHAPES, token_batch
from torch import Tensor, nn

from mugkit.baselines.graph_mfn import DynamicFusionGraph, GraphMFN, GraphMFNConfig

DIMS = {"l": 3, "a": 2, "v": 1}
SMALL = GraphMFNConfig(
    views=(3, 2, 2), memory=4, vertex=3, graph=(5, 0.5), candidate=(5, 0.5), retain=(5, 0.5), update=(5, 0.5),
    output=(4, 0.5),
)  # fmt: skip


@pytest.fixture
def graph() -> DynamicFusionGraph:
    torch.manual_seed(0)
    return DynamicFusionGraph(tuple(DIMS.values()), 2, 4, 0.0).double()


def modalities() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {m: torch.randn(2, d, dtype=torch.float64, requires_grad=True) for m, d in DIMS.items()}


def dense(network: nn.Module, x: np.ndarray) -> np.ndarray:
    first, last = (layer for layer in network.children() if isinstance(layer, nn.Linear))
    hidden = np.maximum(x @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
    return hidden @ last.weight.detach().numpy().T + last.bias.detach().numpy()


def test_graph_equals_its_wiring_written_out_by_hand(graph: DynamicFusionGraph) -> None:
    given = modalities()
    x = {m: value.detach().numpy() for m, value in given.items()}
    alpha = 1 / (1 + np.exp(-dense(graph.efficacy, np.concatenate([x["l"], x["a"], x["v"]], axis=1))))
    e = [alpha[:, [edge]] for edge in range(19)]
    net = graph.networks
    la = dense(net["la"], np.hstack([e[0] * x["l"], e[1] * x["a"]]))
    lv = dense(net["lv"], np.hstack([e[2] * x["l"], e[3] * x["v"]]))
    av = dense(net["av"], np.hstack([e[4] * x["a"], e[5] * x["v"]]))
    lav = dense(net["lav"], np.hstack([e[6] * x["l"], e[7] * x["a"], e[8] * x["v"], e[9] * la, e[10] * lv, e[11] * av]))
    top = [e[12] * x["l"], e[13] * x["a"], e[14] * x["v"], e[15] * la, e[16] * lv, e[17] * av, e[18] * lav]
    np.testing.assert_allclose(graph(given).detach().numpy(), dense(net["τ"], np.hstack(top)))


def test_graph_mfn_gives_the_graph_two_consecutive_memories_of_each_modality() -> None:
    torch.manual_seed(0)
    network, batch = GraphMFN(SHAPES, None, SMALL).eval(), token_batch((3,))
    seen: dict[str, Tensor] = {}
    network.graph.register_forward_pre_hook(lambda _, inputs: seen.update(inputs[0]))
    memories: list[Tensor] = []
    network.lstms.register_forward_hook(lambda _m, _i, output: memories.append(output[1]))
    network(batch)
    assert {m: x.shape[-1] for m, x in seen.items()} == {"l": 6, "a": 4, "v": 4}
    c = memories[0]  # dims 0–2 are language, 3–4 acoustic, 5–6 visual
    torch.testing.assert_close(seen["a"][0, 1], torch.cat([c[0, 0, 3:5], c[0, 1, 3:5]]))
    torch.testing.assert_close(seen["v"][0, 0], torch.cat([torch.zeros(2), c[0, 0, 5:7]]))
