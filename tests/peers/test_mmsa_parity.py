"""Seven baselines with MMSA 2.2.1's weights say what MMSA's networks say.

MMSA runs in the environment that `make bench` makes; all its networks answer in one process. Every weight of MMSA's has
a place in ours or is named as a weight that no output depends on, and every weight of ours comes from MMSA. Where ours
departs from MMSA, the test says how: a weight of MMSA's that switches the departure off, weights put together, or an
output that is carried over. Clips are as long as each other where MMSA's networks read on into the padding.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.peer import translated
from small import tiny_bert
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from mugkit.baselines.base import Baseline, Shapes
from mugkit.baselines.graph_mfn import DynamicFusionGraph, GraphMFN, GraphMFNConfig
from mugkit.baselines.lmf import LMF, LMFConfig
from mugkit.baselines.mfm import MFM, MFMConfig
from mugkit.baselines.mfn import MFN, MFNConfig
from mugkit.baselines.misa import MISA, MISAConfig
from mugkit.baselines.self_mm import Config, SelfMM
from mugkit.baselines.tfn import TFN, TFNConfig
from mugkit.data.batch import Batch, Padded, Tokens
from mugkit.data.schema import MODALITIES
from mugkit.models.memory import MemorySizes
from mugkit.models.mug import TextEncoder

PYTHON = Path(__file__).resolve().parents[2] / ".mugkit" / "bench" / "mmsa" / "bin" / "python"
WORKER = Path(__file__).with_name("mmsa_worker.py")
TEXT, ACOUSTIC, VISUAL, BERT = 6, 5, 4, 768  # MISA's text has 768 dims, whatever the encoder's
SHAPES = Shapes(TEXT, ACOUSTIC, VISUAL)
MEMORY = 7  # dims of the memories of MFN, Graph-MFN, MFM
DIMS = {"feature_dims": (TEXT, ACOUSTIC, VISUAL), "hidden_dims": (4, 3, 5)}  # of l, a, v
NETWORKS = {
    f"{name}Config": {"drop": 0.3, "shapes": width}
    for name, width in {"NN": 8, "NN1": 9, "NN2": 8, "gamma1": 10, "gamma2": 11, "out": 12}.items()
}
MEMORIES = {**DIMS, **NETWORKS, "memsize": MEMORY, "windowsize": 2}

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="MMSA's environment is not here: `make test-peers` makes it"
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Four clips of five steps in every modality; MISA's and Self-MM's clips have lengths of their own.
X = {m: random(4, 5, dim, seed=i) for i, (m, dim) in enumerate(zip(MODALITIES, DIMS["feature_dims"], strict=True))}
LENGTHS = torch.tensor([5, 3, 4, 2])
MASK = (torch.arange(5) < LENGTHS[:, None]).long()
IDS = (torch.arange(20).view(4, 5) * 7 % 9 + 1) * MASK
SIZED = {m: X[m] * MASK[..., None] for m in "av"}


def batch_of(x: Mapping[str, Tensor]) -> Batch:
    whole = {m: Padded(values, torch.ones(values.shape[:2], dtype=torch.long)) for m, values in x.items()}
    return Batch(torch.arange(4), whole["l"], {m: whole[m] for m in "av"}, random(4, seed=9))


BATCH = batch_of(X)
TOKENS = Batch(torch.arange(4), Tokens(IDS, MASK), {m: Padded(SIZED[m], MASK) for m in "av"}, random(4, seed=9))


def normalised() -> dict[str, Tensor]:
    """Statistics of TFN's and LMF's batch normalisation as training would leave them."""
    found = {}
    for part, dim in (("audio", ACOUSTIC), ("video", VISUAL)):
        found[f"{part}_subnet.norm.running_mean"] = random(dim, seed=3)
        found[f"{part}_subnet.norm.running_var"] = random(dim, seed=4).square() + 0.5
    return found


def blind(prefix: str = "", seen: int = 24) -> dict[str, Tensor]:
    """MMSA's gates with weights that do not look at the memory; ours see what is attended alone, as in the papers."""
    torch.manual_seed(1)
    widths = {"gamma1": NETWORKS["gamma1Config"]["shapes"], "gamma2": NETWORKS["gamma2Config"]["shapes"]}
    return {
        f"{prefix}{gate}_fc1.weight": torch.cat([random(width, seen, seed=5) / 5, torch.zeros(width, MEMORY)], dim=1)
        for gate, width in widths.items()
    }


def asked(encoder: Path) -> dict[str, Any]:
    """What MMSA's networks are made of and given."""
    three, means = tuple(X.values()), (X["l"], X["a"].mean(1, keepdim=True), X["v"].mean(1, keepdim=True))
    tokens = torch.stack([IDS, MASK, torch.zeros_like(IDS)], dim=1).float()
    pretrained = {"transformers": "bert", "pretrained": str(encoder), "use_finetune": True}
    subnets = {**DIMS, "dropouts": (0.3, 0.3, 0.3, 0.3)}
    of_self_mm = {f"post_{part}_dim": width for part, width in (("fusion", 9), ("text", 8), ("audio", 7), ("video", 6))}
    of_self_mm |= {f"post_{part}_dropout": 0.1 for part in ("fusion", "text", "audio", "video")}
    of_self_mm |= {"text_out": BERT, "audio_out": 3, "video_out": 5, "need_data_aligned": False}
    of_self_mm |= {f"{part}_lstm_{name}": value for part in "av" for name, value in (("layers", 1), ("dropout", 0.0))}
    of_mfm = {f"z{k}_size": 3 + i for i, k in enumerate("ylav")} | {f"f{k}_size": 4 + i for i, k in enumerate("ylav")}
    of_mfm |= {f"z{k}_to_f{k}_dropout": 0.5 for k in "ylav"} | {"fy_to_y_dropout": 0.0}
    of_mfm |= {"lda_xl": 0.5, "lda_xa": 1.5, "lda_xv": 2.0}
    of_graph = {**blind(seen=6), "graph_mfn.efficacy_model.2.bias": 1.0}
    awake = {f"z{k}_to_f{k}_fc{i}.bias": 0.5 for k in "ylav" for i in (1, 2)}  # rectified units that say something
    return {
        "tfn": {
            "args": {**subnets, "text_out": 7, "post_fusion_dim": 6}, "inputs": means,
            "altered": {**normalised(), "text_subnet.linear_1.bias": 5.0},  # z_l above 0: ours is rectified
        },
        "lmf": {"args": {**subnets, "rank": 3}, "inputs": means, "altered": normalised()},
        "mfn": {"args": MEMORIES, "inputs": three, "altered": blind()},
        "graph_mfn": {"args": {**MEMORIES, "inner_node_dim": 6}, "inputs": three, "altered": of_graph},
        "mfm": {"args": {**MEMORIES, **of_mfm}, "inputs": three, "altered": {**blind("mfn_encoder."), **awake}},
        "misa": {
            "args": {
                **pretrained, "feature_dims": (BERT, ACOUSTIC, VISUAL), "use_bert": True, "rnncell": "lstm",
                "hidden_size": 8, "dropout": 0.2, "use_cmd_sim": True,
            },
            "inputs": (tokens, SIZED["a"], SIZED["v"]),
        },
        "self_mm": {
            "args": {
                **pretrained, **of_self_mm, "feature_dims": (BERT, ACOUSTIC, VISUAL),
                "a_lstm_hidden_size": 4, "v_lstm_hidden_size": 6,
            },
            "inputs": (tokens, (SIZED["a"], LENGTHS), (SIZED["v"], LENGTHS)),
        },
    }  # fmt: skip


@dataclass
class Peer:
    """One of MMSA's networks: its weights, which are taken away one by one, and its outputs."""

    weights: dict[str, Tensor]
    outputs: Mapping[str, Tensor]

    def take(self, *names: str) -> Tensor | tuple[Tensor, ...]:
        found = tuple(self.weights.pop(name) for name in names)
        return found[0] if len(found) == 1 else found

    def renamed(self, names: Mapping[str, str]) -> dict[str, Tensor]:
        """All weights that begin with a key, under the name that stands for it."""
        taken = {}
        for theirs, ours in names.items():
            for name in [name for name in self.weights if re.match(theirs, name)]:
                taken[re.sub(theirs, ours, name, count=1)] = self.weights.pop(name)
        return taken

    def drop(self, pattern: str) -> None:
        """Weights on which no output depends."""
        self.weights = {name: values for name, values in self.weights.items() if not re.match(pattern, name)}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with MISA's width, in the form in which people save theirs."""
    folder = tiny_bert(tmp_path_factory.mktemp("encoder") / "bert")  # for its tokenizer
    torch.manual_seed(0)
    shape = {"hidden_size": BERT, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=12, **shape)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def answers(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("peers")
    torch.save(asked(encoder), folder / "given.pt")
    command = [PYTHON, WORKER, folder / "given.pt", folder / "found.pt"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "found.pt")


@pytest.fixture
def peer(answers: Any) -> Callable[[str], Peer]:
    return lambda name: Peer(dict(answers[name]["weights"]), answers[name]["outputs"])


def filled(network: nn.Module, weights: Mapping[str, Tensor], peer: Peer) -> Any:
    """Ours with MMSA's weights: none left over on either side, but for statistics of frames, which are no weights."""
    assert not peer.weights, sorted(peer.weights)
    missing, unexpected = network.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.startswith("standardise.") for name in missing), missing
    return network.eval()


def close(ours: Tensor, theirs: Tensor) -> None:
    assert ours.std() > 1e-4  # outputs that do not depend on the clip would say nothing
    torch.testing.assert_close(ours, theirs.reshape(ours.shape), rtol=1e-5, atol=2e-6)


def layers(pairs: Mapping[str, str]) -> dict[str, str]:
    """MMSA's `NAME_fc1` and `NAME_fc2` are the first and the last part of a two-layer network of ours."""
    return {
        rf"{theirs}_fc{number}\.": f"{ours}.{place}."
        for theirs, ours in pairs.items()
        for number, place in ((1, 0), (2, 3))
    }


def subnets(peer: Peer) -> dict[str, Tensor]:
    """The networks in front of fusion. Batch normalisation becomes our standardisation by the same statistics."""
    found = peer.renamed(
        {
            r"text_subnet\.rnn\.": "subnets.text.lstm.",
            r"text_subnet\.linear_1\.": "subnets.text.linear.1.",
            **{
                rf"{theirs}_subnet\.linear_{i}\.": f"subnets.{ours}.layers.{2 * i - 1}."
                for theirs, ours in (("audio", "acoustic"), ("video", "visual"))
                for i in (1, 2, 3)
            },
        }
    )
    for theirs, m in (("audio", "a"), ("video", "v")):
        peer.drop(rf"{theirs}_subnet\.norm\.(num_batches_tracked|weight|bias)")  # a scale of 1 and a shift of 0
        mean, variance = peer.take(f"{theirs}_subnet.norm.running_mean", f"{theirs}_subnet.norm.running_var")
        found[f"standardise.mean_{m}"], found[f"standardise.scale_{m}"] = mean, (variance + 1e-5).rsqrt()
    return found


def test_tfn(peer: Callable[[str], Peer]) -> None:
    """Ours is not squeezed into (−3, 3); MMSA's z_l is not rectified, but positive here."""
    theirs = peer("tfn")
    weights = subnets(theirs)
    # Audio, video, text: MMSA's vectors begin with the one that ours end in.
    fused = theirs.take("post_fusion_layer_1.weight").view(6, 4, 6, 8).roll((-1, -1, -1), (1, 2, 3))
    weights["inference.0.weight"] = fused.permute(0, 3, 1, 2).flatten(1)
    names = {r"post_fusion_layer_1\.": "inference.0.", r"post_fusion_layer_2\.": "inference.3."}
    weights |= theirs.renamed({**names, r"post_fusion_layer_3\.": "inference.6."})
    theirs.drop("output_(range|shift)")
    network = filled(TFN(SHAPES, None, TFNConfig(lstm=4, d_l=7, d_a=3, d_v=5, inference=6)), weights, theirs)
    close(6 * network(BATCH).sigmoid() - 3, theirs.outputs["M"])


def test_lmf(peer: Callable[[str], Peer]) -> None:
    theirs = peer("lmf")
    weights = subnets(theirs)
    factors = theirs.take("text_factor", "audio_factor", "video_factor")
    weights |= {f"fusion.factors.{i}": factor.roll(-1, 1) for i, factor in enumerate(factors)}
    weights["fusion.weights"] = theirs.take("fusion_weights")
    weights["fusion.bias"] = theirs.take("fusion_bias")[0]
    network = filled(LMF(SHAPES, None, LMFConfig(lstm=4, d_l=2, d_a=3, d_v=5, rank=3)), weights, theirs)
    close(network(BATCH), theirs.outputs["M"])


def cells(ours: str, prefix: str = "") -> dict[str, str]:
    return {rf"{prefix}lstm_{m}\.": f"{ours}.cells.{i}." for i, m in enumerate(MODALITIES)}


def gates(peer: Peer, ours: str, prefix: str = "") -> dict[str, Tensor]:
    """The memory's networks. Columns for the memory itself, which are zero here, go from MMSA's gates."""
    found = {}
    for theirs, name in (("gamma1", "retain"), ("gamma2", "update")):
        weight = peer.take(f"{prefix}{theirs}_fc1.weight")
        assert not weight[:, -MEMORY:].any()
        found[f"{ours}.{name}.0.weight"] = weight[:, :-MEMORY]
    names = {"att2": "candidate", "gamma1": "retain", "gamma2": "update"}
    return found | peer.renamed(layers({f"{prefix}{theirs}": f"{ours}.{name}" for theirs, name in names.items()}))


SIZES = MemorySizes((4, 3, 5), MEMORY, (9, 0.0), (8, 0.0), (10, 0.0), (11, 0.0))


def test_mfn(peer: Callable[[str], Peer]) -> None:
    """MMSA's gates also see the memory, but with weights of zero here. Frames are already one a token."""
    theirs = peer("mfn")
    weights = gates(theirs, "encoder.memory")
    weights |= theirs.renamed({**cells("encoder.lstms"), **layers({"att1": "encoder.attention", "out": "output"})})
    network = filled(MFN(SHAPES, None, MFNConfig(SIZES, (12, 0.0))), weights, theirs)
    close(network(BATCH), theirs.outputs["M"])


class FromStates(nn.Module):
    """Ours hands the LSTMs' memories to the graph, as the paper has it; MMSA hands it their states."""

    def __init__(self, lstms: nn.Module) -> None:
        super().__init__()
        self.lstms = lstms

    def forward(self, views: Any) -> tuple[Tensor, Tensor]:
        states, _ = self.lstms(views)
        return states, states


class Transformed(nn.Module):
    """MMSA has a layer in front of each singleton vertex, none inside the others, and unbounded efficacies."""

    def __init__(self, dims: tuple[int, ...], d: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({m: nn.Linear(2 * dim, dim) for m, dim in zip(MODALITIES, dims, strict=True)})
        self.graph = DynamicFusionGraph(dims, d, 100, 0.0)
        for network in (*self.graph.networks.values(), self.graph.efficacy):
            network[1] = nn.Identity()

    def forward(self, modalities: Mapping[str, Tensor]) -> Tensor:
        seen = {m: self.layers[m](x).relu() for m, x in modalities.items()}
        alpha = self.graph.efficacy(torch.cat([seen[m] for m in MODALITIES], dim=-1))
        return self.graph.vertices(seen, alpha)["τ"]


def test_graph_mfn(peer: Callable[[str], Peer]) -> None:
    """MMSA's gates also see the memory, but with weights of zero here; the graph is given what MMSA gives its own."""
    theirs, dims = peer("graph_mfn"), DIMS["hidden_dims"]
    weights = gates(theirs, "memory")
    first, then = (
        theirs.take(f"graph_mfn.efficacy_model.{i}.weight", f"graph_mfn.efficacy_model.{i}.bias") for i in ("1.0", "2")
    )
    weights["graph.graph.efficacy.3.weight"] = then[0] @ first[0]  # two layers in a row without anything between
    weights["graph.graph.efficacy.3.bias"] = then[0] @ first[1] + then[1]
    vertex = {
        rf"graph_mfn\.{name}\.{place}\.": f"graph.graph.networks.{ours}.{number}."
        for name, ours in {**{f"networks.{k}": k for k in ("la", "lv", "av", "lav")}, "t_network": "τ"}.items()
        for place, number in (("0", 0), (r"1\.0", 3))
    }
    weights |= theirs.renamed(
        {
            **cells("lstms.lstms"),
            **{rf"{m}_transform\.": f"graph.layers.{m}." for m in MODALITIES},
            **vertex,
            r"graph_mfn\.efficacy_model\.0\.": "graph.graph.efficacy.0.",
            **layers({"out": "output"}),
        }
    )
    config = GraphMFNConfig(dims, MEMORY, 6, (100, 0.0), (8, 0.0), (10, 0.0), (11, 0.0), (12, 0.0))
    network = GraphMFN(SHAPES, None, config)
    network.lstms, network.graph = FromStates(network.lstms), Transformed(dims, 6)
    close(filled(network, weights, theirs)(BATCH), theirs.outputs["M"])


def test_mfm(peer: Callable[[str], Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Our decoder reads silence where MMSA's reads its own last state a second time: one recurrent matrix for two."""
    theirs = peer("mfm")
    theirs.drop(r"mfn_encoder\.out_fc")
    weights = gates(theirs, "fusion.memory", "mfn_encoder.")
    for m in MODALITIES:
        for part in ("encoder", "decoder"):
            ours, cell = f"{part}s.{m}.lstm", f"{part}_{m}.lstm"
            into, recurrent = theirs.take(f"{cell}.weight_ih", f"{cell}.weight_hh")
            weights[f"{ours}.weight_ih_l0"] = into
            weights[f"{ours}.weight_hh_l0"] = recurrent + into if part == "decoder" else recurrent
            weights |= theirs.renamed(
                {rf"{cell}\.bias_(.h)": rf"{ours}.bias_\1_l0", rf"{part}_{m}\.fc1\.": f"{part}s.{m}.linear."}
            )
    weights |= theirs.renamed(
        {
            **cells("fusion.lstms", r"mfn_encoder\."),
            **layers({r"mfn_encoder\.att1": "fusion.attention", "fy_to_y": "output"}),
            **layers({f"z{k}_to_f{k}": f"factor.{k}.0" for k in "ylav"}),
            r"last_to_zy_fc1\.": "code.",
        }
    )
    config = MFMConfig(SIZES, (3, 4, 5, 6), (4, 5, 6, 7), (0.0,) * 4, (0.5, 1.5, 2.0), 1.0)
    network = filled(MFM(SHAPES, None, config), weights, theirs)
    close(network(BATCH), theirs.outputs["M"])
    monkeypatch.setattr(torch, "randn_like", lambda x: torch.linspace(-1, 1, x.numel()).view(x.shape))
    beside = network.loss(BATCH, 0) - (network(BATCH) - BATCH.labels).abs().mean()
    torch.testing.assert_close(beside, theirs.outputs["generation"] + theirs.outputs["prior"], rtol=1e-5, atol=1e-6)


def test_misa(peer: Callable[[str], Peer], encoder: Path) -> None:
    """MMSA's order of modalities is l, v, a, and of last states direction by direction; ours goes layer by layer."""
    theirs, hidden = peer("misa"), 8
    order = (0, 2, 1, 3, 5, 4)
    weights = {}
    fused = theirs.take("fusion.fusion_layer_1.weight").view(-1, 6, hidden)
    weights["predictor.0.weight"] = fused[:, order].flatten(1)
    for m, dim in (("a", ACOUSTIC), ("v", VISUAL)):
        projected = theirs.take(f"project_{m}.project_{m}.weight").view(hidden, 2, 2, dim)  # direction, layer
        weights[f"project.{m}.0.weight"] = projected.transpose(1, 2).flatten(1)
        for number, layer in ((1, "first"), (2, "second")):
            for suffix, direction in (("_reverse", "returning"), ("", "onward")):
                weights |= theirs.renamed(
                    {rf"{m}rnn{number}\.(\w+_l0){suffix}$": rf"sequences.{m}.{layer}.{direction}.\1"}
                )
        weights |= theirs.renamed({rf"{m}layer_norm\.": f"sequences.{m}.norm."})
    for t, m in (("t", "l"), ("a", "a"), ("v", "v")):
        weights |= theirs.renamed(
            {
                rf"project_{t}\.project_{t}\.": f"project.{m}.0.",
                rf"project_{t}\.project_{t}_layer_norm\.": f"project.{m}.2.",
                rf"private_{t}\.private_{t}_\d\.": f"private.{m}.0.",
                rf"recon_{t}\.recon_{t}_1\.": f"decoders.{m}.",
            }
        )
    weights |= theirs.renamed(
        {
            r"bertmodel\.model\.": "language.encoder.",
            r"shared\.shared_1\.": "shared.0.",
            r"fusion\.fusion_layer_1\.": "predictor.0.",
            r"fusion\.fusion_layer_3\.": "predictor.3.",
            r"transformer_encoder\.layers\.0\.": "attention.",
            r"tlayer_norm\.": "idle.0.",
            r"sp_discriminator\.sp_discriminator_layer_1\.": "idle.1.",
        }
    )
    shapes = Shapes(BERT, ACOUSTIC, VISUAL)
    ours: Baseline = MISA(shapes, BertModel.from_pretrained(encoder), MISAConfig(hidden=hidden))
    network = filled(ours, weights, theirs)
    spaces, out = network.subspaces(TOKENS), theirs.outputs
    close(network(TOKENS), out["M"])
    close(spaces.private["l"], out["utt_private_t"])
    close(spaces.shared["a"], out["utt_shared_a"])
    for t, m in (("t", "l"), ("a", "a"), ("v", "v")):
        close(spaces.decoded[m], out[f"utt_{t}_recon"])


def test_self_mm(peer: Callable[[str], Peer], encoder: Path) -> None:
    theirs = peer("self_mm")
    sizes = Config({"a": 4, "v": 6}, {"a": 3, "v": 5}, {"m": 9, "l": 8, "a": 7, "v": 6}, dict.fromkeys("mlav", 0.0))
    text = TextEncoder(BertModel.from_pretrained(encoder), "first")
    weights, theirs.weights = translated(theirs.weights), {}
    network = filled(SelfMM({"a": ACOUSTIC, "v": VISUAL}, BERT, text, sizes), weights, theirs)
    reps = network.represent(TOKENS)
    predicted = {"m": network.predict(reps), **network.predict_unimodal(reps.unimodal)}
    for m, letter in (("m", "M"), ("l", "T"), ("a", "A"), ("v", "V")):
        close(predicted[m], theirs.outputs[letter])
        close(network.features(reps)[m], theirs.outputs[f"Feature_{'f' if m == 'm' else letter.lower()}"])
