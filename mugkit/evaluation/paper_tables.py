"""The paper's tables with our numbers: rows of systems, Table 2's hyperparameters, Table 6's parameters."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import torch
from scipy.stats import kendalltau
from torch import nn

from mugkit.baselines.base import Shapes
from mugkit.baselines.self_mm import SelfMM
from mugkit.config import Hyperparameters, RunSpec, hyperparameters
from mugkit.data.schema import LABEL_SCALE, MODALITIES
from mugkit.data.validate import PAPER_DIMS
from mugkit.evaluation import published
from mugkit.evaluation.formats import COUNT
from mugkit.evaluation.tables import Row, summarise
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import SYSTEMS, System, configuration, flat, import_attribute
from mugkit.models.mug import MUCN, MUGNetwork, TextEncoder


def system_of(row: str) -> str:
    """The system that stands for a row of the paper."""
    return next(name for name, system in SYSTEMS.items() if row in system.rows)


def columns(number: int) -> tuple[str, ...]:
    """The data sets in a table of the paper."""
    return tuple(next(iter(published.RESULTS[number].values())))


def rows(number: int, family: str, runs: Mapping[str, Sequence[Run]], missing: Mapping[str, str]) -> list[Row]:
    """A table's rows on one data set, in the paper's order.

    The paper's numbers are those on this family of data sets, or if the table lacks it, on the table's first.

    Args:
        runs: system → its runs over the seeds.
        missing: system → what it needs, for systems that could not run.
    """
    beside = family if family in columns(number) else columns(number)[0]
    made = []
    for row, values in published.RESULTS[number].items():
        if (name := system_of(row)) in runs:
            made.append(summarise(runs[name], row, values[beside], comparable=family == beside))
        else:
            made.append(Row(row, family, {}, values[beside], "quoted", missing[name]))
    return made


def waiting(number: int, have: Iterable[str]) -> list[Row]:
    """The paper's rows on its data sets that are not in `have`: quoted, with the command that prepares the data."""
    return [
        Row(row, name, {}, values[name], "quoted", f"{name.upper()}: mugkit prepare {name} --source PATH")
        for name in columns(number)
        if name not in have
        for row, values in published.RESULTS[number].items()
    ]


def catalogue() -> list[tuple[str, tuple[int, ...], System]]:
    """Every row of the paper, its tables and the system that stands for it; then systems without a row."""
    rows = [(row, tables, SYSTEMS[system_of(row)]) for row, tables in published.SYSTEM_ROWS.items()]
    return rows + [(system.row, (), system) for system in SYSTEMS.values() if not system.rows]


def table2(family: str, profile: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table 2, as numbers and as text: the paper's values, our presets, and what this profile uses on this family."""
    paper = pd.DataFrame(dict(published.TABLE2)).T.astype(float).rename_axis("hyperparameter")
    presets = {name: _values(hyperparameters(name, "paper")) for name in published.DATASETS}
    last, here = f"{profile} on {family}", _values(configuration(RunSpec("mug", family, 0, profile), family))
    columns = {f"{name} preset": values for name, values in presets.items()} | {last: here}
    table = paper.add_suffix(" paper").assign(**columns)
    shown = {name: list(map(_preset, paper[name], presets[name])) for name in published.DATASETS}
    shown[last] = list(map("{:g}".format, here))
    return table.reset_index(), pd.DataFrame(shown, index=paper.index)


def _values(hp: Hyperparameters) -> list[float]:
    return [float(flat(hp)[field]) for field in published.FIELDS.values()]


def _preset(published: float, ours: float) -> str:
    return f"{published:g}" + ("" if ours == published else f" (preset {ours:g})")


def rank_agreement(rows: Sequence[Row], metric: str) -> pd.DataFrame:
    """Kendall's τ between our order of rows and the paper's in one metric, with its p and the number of rows.

    Rows that did not run or have no number in the paper are ignored.
    """
    both = [(row.metrics[metric]["mean"], row.paper[metric]) for row in rows if metric in row.paper and row.metrics]
    numbers = pd.DataFrame(both, columns=["ours", "paper"], dtype=float)
    result = kendalltau(numbers["ours"], numbers["paper"])
    return pd.DataFrame([{"metric": metric, "rows": len(both), "tau": result.statistic, "p": result.pvalue}])


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
