"""MMSA 2.2.1's networks on given inputs. Runs in MMSA's own environment, which has no mugkit.

    python mmsa_worker.py GIVEN FOUND

GIVEN holds, by model, its `args`, its `inputs` (tensors, in the order of its `forward`) and `altered`, the weights that
are set before it runs; FOUND gets, by model, all `weights` and the `outputs`. Nothing is drawn by chance: wherever a
network asks for normal noise it gets numbers that depend on the shape alone.
"""

import sys
from importlib import import_module
from typing import Any

import torch
from easydict import EasyDict
from torch import Tensor, nn

PLACES = {
    "tfn": "singleTask.TFN:TFN",
    "lmf": "singleTask.LMF:LMF",
    "mfn": "singleTask.MFN:MFN",
    "graph_mfn": "singleTask.Graph_MFN:Graph_MFN",
    "misa": "singleTask.MISA:MISA",
    "mfm": "singleTask.MFM:MFM",
    "self_mm": "multiTask.SELF_MM:SELF_MM",
}
ATTRIBUTES = {"misa": ("utt_t_recon", "utt_a_recon", "utt_v_recon", "utt_private_t", "utt_shared_a")}


def no_noise(size: Any) -> Tensor:
    return torch.linspace(-1, 1, torch.Size(size).numel()).view(size)


def made(name: str, args: dict[str, Any]) -> nn.Module:
    module, _, attribute = PLACES[name].partition(":")
    torch.manual_seed(0)
    kind = getattr(import_module(f"MMSA.models.{module}"), attribute)
    network: nn.Module = kind(EasyDict(args, device=torch.device("cpu"), train_mode="regression", num_classes=1))
    return network.eval()


def weights(network: Any) -> dict[str, Tensor]:
    """All of them, those that a plain dictionary of networks hides from PyTorch included."""
    found = dict(network.state_dict())
    if hasattr(network, "graph_mfn"):
        for key, hidden in network.graph_mfn.networks.items():
            prefix = "graph_mfn.networks." + "".join("lav"[vertex] for vertex in key)
            found |= {f"{prefix}.{name}": values for name, values in hidden.state_dict().items()}
    return found


@torch.no_grad()
def answer(name: str, given: dict[str, Any]) -> dict[str, Any]:
    network = made(name, given["args"])
    found = weights(network)
    for weight, values in given.get("altered", {}).items():
        found[weight].copy_(values if isinstance(values, Tensor) else found[weight] + values)
    outputs = network(*given["inputs"])
    if isinstance(outputs, tuple):
        outputs = dict(zip(("M", "generation", "prior"), outputs, strict=False))
    outputs |= {attribute: getattr(network, attribute) for attribute in ATTRIBUTES.get(name, ())}
    kept = {k: v for k, v in outputs.items() if isinstance(v, Tensor)}
    return {"weights": {k: v.clone() for k, v in found.items()}, "outputs": kept}


if __name__ == "__main__":
    torch.randn = no_noise
    asked = torch.load(sys.argv[1])
    torch.save({name: answer(name, given) for name, given in asked.items()}, sys.argv[2])
