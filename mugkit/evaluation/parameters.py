"""Counts a system's parameters (Table 6) from shapes alone; no weights are loaded or allocated."""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn

from mugkit.baselines.base import Shapes
from mugkit.baselines.self_mm import SelfMM
from mugkit.config import hyperparameters
from mugkit.data.schema import LABEL_SCALE, MODALITIES
from mugkit.data.validate import PAPER_DIMS
from mugkit.evaluation import published
from mugkit.evaluation.formats import COUNT
from mugkit.evaluation.paper_tables import system_of
from mugkit.evaluation.tables import Row
from mugkit.experiments.registry import SYSTEMS, import_attribute
from mugkit.models.mug import MUCN, MUGNetwork, TextEncoder


def trained_modules(system: str, family: str) -> list[nn.Module]:
    """The network that a system of Table 6 trains with BERT on a family's features, then MUG's MUCNs; no weights."""
    from transformers import BertConfig, BertModel

    chosen, (acoustic, visual) = SYSTEMS[system], PAPER_DIMS[family]
    hp = hyperparameters(family, "paper", chosen.changes, chosen.own)
    dims, rho = {"a": acoustic, "v": visual}, LABEL_SCALE[family]
    with torch.device("meta"):  # shapes without memory
        bert = BertModel(BertConfig())  # the configuration's defaults are bert-base-uncased's
        if chosen.baseline:
            kind = import_attribute(chosen.baseline)
            return [kind(Shapes(768, acoustic, visual, rho, "first"), bert, kind.Config())]
        encoder = TextEncoder(bert, hp.network.pooling)
        if chosen.network:
            return [SelfMM(dims, 768, encoder)]
        network = MUGNetwork(hp.network, dims, encoder.width, encoder)
        widths = {"l": hp.network.d_l, "a": hp.network.d_a, "v": hp.network.d_v}
        shape = (hp.meta.mucn_width, rho, hp.meta.residual, hp.meta.mucn_output_bias)
        return [network, *(MUCN(widths[m], *shape) for m in MODALITIES)]


def count(*modules: nn.Module) -> int:
    """The number of parameters of the modules; shared parameters count once."""
    unique = {id(p): p.numel() for module in modules for p in module.parameters()}
    return sum(unique.values())


def by_part(system: str, family: str) -> pd.Series:
    """A system's number of parameters in each part of its network."""
    network, *mucns = trained_modules(system, family)
    encoder = count(network.get_submodule("language.encoder"))
    sizes = {"text encoder": encoder} | {name: count(child) for name, child in network.named_children()}
    sizes["language"] -= encoder
    sizes["MUCN"] = count(*mucns)
    return pd.Series({**sizes, "all": sum(sizes.values())}, name="parameters")


def table6(family: str) -> list[Row]:
    """Table 6: our counts at a family's feature dims beside the paper's."""
    counts = {row: count(*trained_modules(system_of(row), family)) for row in published.TABLE6}
    return [
        Row(row, family, {COUNT: {"mean": counts[row], "std": None, "n": 1}}, values["mosei"])
        for row, values in published.TABLE6.items()
    ]


def over_families() -> pd.DataFrame:
    """The same systems at every data set's feature dims; the paper has one column and does not name its data set."""
    return pd.DataFrame(
        {family: {row.system: row.metrics[COUNT]["mean"] for row in table6(family)} for family in published.DATASETS}
    )
