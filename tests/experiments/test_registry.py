"""Which stages a system runs, what each depends on, and that the same seed gives the same bytes from end to end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import changed, make_dataset
from small import StopAt, hashes

from mugkit import config, files
from mugkit.baselines.self_mm import SelfMM
from mugkit.baselines.sugrm import PUBLISHED
from mugkit.config import RunSpec
from mugkit.data import store as data_store
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.evaluation import published
from mugkit.experiments import registry
from mugkit.experiments.registry import SYSTEMS, Experiment, configuration, flat
from mugkit.experiments.run_store import Store, read_result
from mugkit.training import meta, trainer
from mugkit.training import pretrain as first
from mugkit.training.label_sources import source
from mugkit.training.label_sources.mlc import MLC
from mugkit.training.label_sources.sugrm import SUGRM
from mugkit.training.label_sources.ulgm import ULGM

pytestmark = pytest.mark.usefixtures("cheap_text")


DATASET = make_dataset((30, 8, 8))


@pytest.fixture
def work(tmp_path: Path) -> Callable[..., Experiment]:
    def make(
        name: str = "mug", seed: int = 1111, given: Dataset = DATASET, folder: str = "runs", **rest: Any
    ) -> Experiment:
        return Experiment(RunSpec(name, "made-up", seed, "smoke", **rest), given, Store(tmp_path / folder), "cpu")

    return make


Make = Callable[..., Experiment]


def test_systems_are_implemented_where_they_say_and_stand_for_rows_of_the_paper() -> None:
    rows = {row for table in published.RESULTS.values() for row in table}
    ablations = {row for row in published.TABLE5 if row.startswith("W/O") or "←" in row} | {"MUG"}
    named = {row for found in SYSTEMS.values() for row in found.rows}
    assert ablations <= named <= rows
    for name, found in SYSTEMS.items():
        assert found.name == name
        assert (Path(registry.__file__).parents[2] / found.where).exists()


def test_a_system_without_a_row_or_a_title_goes_by_its_name_in_tables() -> None:
    assert registry.System("mine", (), "mugkit/baselines/mine.py").row == "mine"


DIFFERS = {
    "mug-without-contrastive": {"gamma": 0.0},
    "mug-without-multimodal-denoising": {"multimodal_denoising": False},
}


@pytest.mark.parametrize("name", [*DIFFERS, "mug-without-unimodal", "copy", "mug-true-labels", "ulgm", "mlc"])
def test_system_hyperparameters_differ_from_mugs_in_its_changes_only(work: Make, name: str) -> None:
    mugs = flat(work("mug").hp)
    assert {k: v for k, v in flat(work(name).hp).items() if v != mugs[k]} == DIFFERS.get(name, {})


LEARNERS = {"self-mm": ULGM, "ulgm": ULGM, "sugrm": SUGRM, "mlc": MLC}


def test_label_source_of_each_system(work: Make) -> None:
    assert work("mug-without-unimodal").label_source().targets(torch.tensor([0])) == {}
    learned = source.LearnedLabels.load(work().learned_labels()).labels
    copies = dict.fromkeys(MODALITIES, DATASET.train.labels)
    for name, expected in (("copy", copies), ("mug-true-labels", DATASET.train.true_labels), ("mug", learned)):
        targets = work(name).label_source().targets(torch.arange(30))
        for m in MODALITIES:
            np.testing.assert_array_equal(targets[m].numpy(), expected[m])
    for name, kind in LEARNERS.items():
        learner, other = work(name).label_source(), work(name).label_source()
        assert type(learner) is kind
        assert learner is not other  # labels that one run moved are not another's
        assert learner.values["a"].tolist() == DATASET.train.labels.tolist()


RATES = ("batch_size", "learning_rate", "text_learning_rate", "weight_decay")
PAPERS = {  # these four; what else differs from Table 2
    "self-mm": (16, 1e-3, 5e-5, 1e-3, {"beta": 1.0}),
    "sugrm": (128, 5e-4, 5e-5, 1e-3, {"beta": 1.0}),
    "tfn": (32, 5e-4, 5e-5, 0.01, {}),
    "lmf": (32, 1e-3, 5e-5, 1e-3, {}),
    "mfn": (128, 0.01, 5e-5, 0.0, {}),
    "graph-mfn": (32, 1e-3, 5e-5, 0.0, {}),
    "mult": (128, 1e-3, 5e-5, 0.0, {"clip_norm": 0.8}),
    "mfm": (32, 1e-3, 5e-5, 0.0, {}),  # Adam as torch has it: published, a 0.01 is set and never read
    "misa": (64, 1e-4, None, 0.0, {"patience": 6}),
    "mmim": (32, 1e-3, 5e-5, 1e-4, {"max_epochs": 40, "patience": 10}),
    "hycon": (32, 3e-5, None, 0.01, {}),
    "cubemlp": (128, 4e-3, 4e-5, 0.0, {"max_epochs": 70}),
    "unimse": (96, 1e-4, 3e-4, 1e-4, {"text_encoder": "t5-base", "pooling": "mean"}),
}


@pytest.mark.parametrize("name", PAPERS)
def test_baselines_have_their_papers_settings(name: str) -> None:
    *rates, rest = PAPERS[name]
    of_mug = flat(configuration(RunSpec("mug", "", 1111, "paper"), "mosi"))
    expected = of_mug | dict(zip(RATES, rates, strict=True)) | rest
    assert flat(configuration(RunSpec(name, "", 1111, "paper"), "mosi")) == expected


def test_own_networks_have_published_sizes_and_hold_them_in_the_identity(
    work: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for family, batch in (("mosi", 16), ("reviews", 16), ("mosei", 32), ("sims", 32)):
        assert configuration(RunSpec("self-mm", "", 1111, "paper"), family).optimization.batch_size == batch
    todo = work("self-mm", given=replace(DATASET, family="sims"))
    network = todo.builder()(ClipLoader(DATASET.train, todo.hp.network))[0]
    assert isinstance(network, SelfMM)
    assert (network.sequences["v"].sequence.lstm.hidden_size, network.first["l"][1].out_features) == (64, 64)
    before = work("sugrm").training
    monkeypatch.setattr("mugkit.baselines.sugrm.PUBLISHED", replace(PUBLISHED, windows=(5, 5, 5)))
    assert work("sugrm").training != before


def test_systems_with_unimodal_tasks_have_more_seeds_than_other_baselines_and_t5() -> None:
    quick = config.profile("quick")
    for count, names in ((20, ("mug", "copy", "sugrm", "self-mm")), (5, ("misa", "mug-t5"))):
        assert {len(registry.seeds_of(name, quick)) for name in names} == {count}


def test_identities_of_systems_are_shared_as_far_as_they_agree(work: Make) -> None:
    names = ("mug", "mug-without-multimodal-denoising", "mug-without-contrastive")
    first, second, third = (work(name).pretraining for name in names)
    assert first == second != third
    assert len({files.digest(work(name).learning) for name in names}) == len(names)
    assert len({files.digest(work(name).training) for name in SYSTEMS}) == len(SYSTEMS)


PARTS = ("pretraining", "learning", "training")


@pytest.mark.parametrize(
    ("changed", "redone"),
    [
        ({"seed": 1112}, {*PARTS}),
        ({"seed": 1112, "label_seed": 1111}, {"training"}),
        ({"label_seed": 1112}, {*PARTS}),
        ({"changes": (("beta", 0.5),)}, {"training"}),
        ({"changes": (("patience", 3),)}, {"training"}),
        ({"changes": (("alpha_prime", 0.5),)}, {"learning", "training"}),
        ({"changes": (("mucn_width", 32),)}, {"learning", "training"}),
        ({"changes": (("eta", 0.5),)}, {*PARTS}),
        ({"changes": (("d", 16),)}, {*PARTS}),
        ({"changes": (("learning_rate", 0.5),)}, {*PARTS}),
    ],
)
def test_identity_changes_for_stages_that_depend_on_it(work: Make, changed: dict[str, Any], redone: set[str]) -> None:
    experiment, other = work(), work(**changed)
    assert {part for part in PARTS if getattr(experiment, part) != getattr(other, part)} == redone


@pytest.mark.parametrize("name", SYSTEMS)
def test_identity_of_every_system_holds_its_whole_configuration(work: Make, name: str) -> None:
    # pooling and dropout are fields of the network, which other networks than MUG's read too
    changes = [("pooling", "first"), ("dropout", 0.5), ("learning_rate", 0.5), ("patience", 3)]
    found = [work(name, changes=of).training for of in ((), *((change,) for change in changes))]
    assert len({files.digest(identity) for identity in [*found, work(name, seed=7).training]}) == 6


@pytest.mark.parametrize("name", ["copy", "mug-true-labels", "mug-without-unimodal", *LEARNERS])
def test_identity_without_learned_labels_ignores_stages_1_and_2(work: Make, name: str) -> None:
    plain = work(name).training
    assert work(name, label_seed=7, changes=(("eta", 0.5),)).training == plain
    moved = work(name, changes=(("meta_epochs", 9),)).training != plain
    assert moved == (name == "mlc")  # the one source that reads the meta-learning settings


def test_identity_holds_data_code_and_threads(work: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {part: getattr(work(), part) for part in PARTS}
    other = work(given=make_dataset((30, 8, 8), seed=1))
    assert all(getattr(other, part) != before[part] for part in PARTS)
    monkeypatch.setattr(registry, "code_fingerprint", lambda: "edited")
    edited = work()
    assert all(getattr(edited, part) != before[part] for part in PARTS)


def test_identity_of_equal_specs_is_equal(work: Make) -> None:
    # 1 and 1.0 are the same number, and so is the order of changes.
    experiment, other = work(changes=(("beta", 1), ("eta", 0.5))), work(changes=(("eta", 0.5), ("beta", 1.0)))
    assert files.digest(experiment.training) == files.digest(other.training)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """Each stage that is computed, and on how many threads; this process has two."""
    seen: list[tuple[str, int]] = []

    def noted(function: Any) -> Any:
        return lambda *args, **named: (
            seen.append((function.__name__, torch.get_num_threads())) or function(*args, **named)
        )

    for name in ("pretrain", "meta_learn", "train_and_test"):
        monkeypatch.setattr(registry, name, noted(getattr(registry, name)))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield seen
    torch.set_num_threads(before)


def test_result_computes_each_stage_once_on_the_profiles_threads_and_shares_them(
    work: Make, computed: list[tuple[str, int]]
) -> None:
    for todo, expected in (
        (work(), ["pretrain", "meta_learn", "train_and_test"]),
        (work(), []),  # nothing is computed twice
        (work(seed=1112, label_seed=1111), ["train_and_test"]),
        (work(changes=(("beta", 0.5),)), ["train_and_test"]),
        (work("mug-without-multimodal-denoising"), ["meta_learn", "train_and_test"]),
        (work("copy"), ["train_and_test"]),
    ):
        todo.result()
        assert computed == [(stage, 1) for stage in expected]
        assert torch.get_num_threads() == 2
        computed.clear()
    experiment, other = work(), work(seed=1112, label_seed=1111)  # beside a label seed, the seed decides stage 3 alone
    assert experiment.learned_labels() == other.learned_labels()
    assert hashes(experiment.result())["weights.safetensors"] != hashes(other.result())["weights.safetensors"]


def all_hashes(todo: Experiment) -> dict[str, dict[str, str]]:
    return {stage: hashes(compute()) for stage, (_, compute) in todo.stages.items()}


def test_result_interrupted_in_every_stage_equals_uninterrupted(work: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = all_hashes(work(folder="whole"))
    for stage in (first, meta, trainer):
        with monkeypatch.context() as patch:
            patch.setattr(stage, "train_epoch", StopAt(stage.train_epoch, 2))
            with pytest.raises(KeyboardInterrupt):
                work(folder="resumed").result()
        assert not work(folder="resumed").finished()
    assert all_hashes(work(folder="resumed")) == whole


@pytest.mark.parametrize("name", ["mug", "self-mm"])
def test_result_other_test_labels_change_no_artifact_but_metrics(work: Make, name: str) -> None:
    noise = np.random.default_rng(7).uniform(-3, 3, len(DATASET.test)).astype(np.float32)
    changed_test = changed(DATASET, "test", labels=noise, true_labels=dict.fromkeys(MODALITIES, -noise))
    experiment = work(name)
    other = work(name, given=replace(changed_test, fingerprint=data_store.fingerprint(changed_test)))
    assert experiment.result() != other.result()  # nothing is reused
    before, after = ({stage: hashes(todo.folder(stage)) for stage in todo.stages} for todo in (experiment, other))
    assert before["train"].pop("result.json") != after["train"].pop("result.json")
    assert before == after
    for key in ("best_epoch", "history", "valid_metrics"):
        assert read_result(experiment.result())[key] == read_result(other.result())[key]


def test_learned_labels_see_neither_validation_nor_true_labels(work: Make) -> None:
    other = changed(DATASET, "valid", labels=-DATASET.valid.labels)
    splits = {name: replace(split, true_labels={}) for name, split in other.splits.items()}
    other = replace(other, splits=splits, fingerprint="another")
    assert hashes(work().learned_labels()) == hashes(work(given=other).learned_labels())


def test_chosen_values_stand_on_top_of_table_2_and_under_what_a_run_changes() -> None:
    of_mug = config.chosen("mug", "reviews", "quick")
    spec = RunSpec("mug", "reviews", 1111)
    assert configuration(spec, "reviews").joint.beta == of_mug["beta"] != 0.01
    assert configuration(replace(spec, preset="table2"), "reviews").joint.beta == 0.01
    assert configuration(replace(spec, changes=(("beta", 0.5),)), "reviews").joint.beta == 0.5
    assert configuration(spec, "mosi").joint.beta == 0.01  # nothing was chosen on those data
    # Ablations keep the values of MUG, baselines have their own.
    for name, chosen in (("copy", "mug"), ("mug-without-unimodal", "mug"), ("ulgm", "mug"), ("mfn", "mfn")):
        found = configuration(RunSpec(name, "reviews", 1111), "reviews").optimization.learning_rate
        assert found == config.chosen(chosen, "reviews", "quick")["learning_rate"]
