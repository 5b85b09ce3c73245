"""Computes the runs that the notebooks need before they start, on all cores and every stage once.

A notebook that runs alone computes what it needs itself. In a batch, the notebooks share most of their runs, and each
would wait for a few of its own; here all runs form one list.
"""

from mugkit import config
from mugkit.config import RunSpec
from mugkit.data.store import available, load
from mugkit.errors import UserError
from mugkit.experiments import experiment, noise, scheduler, search
from mugkit.experiments.execution import LOCAL, ExecutionConfig
from mugkit.experiments.registry import SYSTEMS, seeds_of
from mugkit.studies import beside, hyperparameter_curves, label_payoff, noise_robustness, search_record, sensitivity
from mugkit.studies.embedding import specifications as readings_of_eq11

# Notebooks measure these systems' labels over all seeds.
MEASURED = ("mug", "mug-without-multimodal-denoising", "mug-without-contrastive")


def trained(profile: str, dataset: str) -> list[RunSpec]:
    """Every seed of every system of the tables that can run on this data set."""
    named = [name for name, system in SYSTEMS.items() if system.rows and not _missing(name, dataset, profile)]
    chosen = config.profile(profile)
    return [RunSpec(name, dataset, seed, profile) for name in named for seed in seeds_of(name, chosen)]


def _missing(system: str, dataset: str, profile: str) -> str:
    return experiment.missing(RunSpec(system, dataset, config.profile(profile).seeds[0], profile))


def learned(profile: str, dataset: str) -> list[RunSpec]:
    """Every seed of the systems whose labels are measured, on a data set that has true labels."""
    chosen = config.profile(profile)
    name = dataset if load(dataset).has_true_labels else "reviews"
    able = [system for system in MEASURED if not _missing(system, name, profile)]
    return [RunSpec(system, name, seed, profile) for system in able for seed in chosen.all_seeds]


def studied(profile: str, dataset: str) -> list[RunSpec]:
    """MUG's runs for notebook 12's search, Fig. 5 and the study of assumptions."""
    if _missing("mug", dataset, profile):
        return []
    curves = hyperparameter_curves.specifications(dataset, profile).values()
    alternatives = sensitivity.specifications(dataset, profile).values()
    return tried(profile, dataset) + [spec for specs in (*curves, *alternatives) for spec in specs]


def tried(profile: str, dataset: str) -> list[RunSpec]:
    """The trials to run: if a search is committed, those of it that are rerun; else all trials."""
    trials = config.profile(profile).trials
    if kept := search_record.committed("mug", load(dataset), profile, trials):
        return [search.specification(kept.search, trial) for trial in search.by_lot(kept.search)]
    return [spec for _, spec in search.specifications("mug", dataset, profile, trials)]


def readings(profile: str, dataset: str) -> list[RunSpec]:
    """Runs of both readings of Eq. 11 and of no contrastive learning, all stages, for the study seeds."""
    specs = [spec for of_reading in readings_of_eq11(dataset, profile).values() for spec in of_reading]
    return [spec for spec in specs if not experiment.missing(spec)]


def settings(profile: str, dataset: str) -> list[RunSpec]:
    """The runs of Table 5's steps at the other settings of the dials of `reviews`; prepares their data sets."""
    if load(dataset).name != "reviews":
        return []
    chosen = config.profile(profile)
    pairs = [(system, seed) for system in beside.COMPARED for seed in seeds_of(system, chosen)[: beside.SEEDS]]
    return [RunSpec(system, name, seed, profile) for name in beside.prepared() for system, seed in pairs]


def noisy(profile: str) -> list[tuple[RunSpec, float]]:
    """The trials on noisier labels, which use `reviews` whatever the data set."""
    if "reviews" not in available() or _missing("mug", "reviews", profile):
        return []
    return [job for group in noise_robustness.jobs("reviews", profile).values() for job in group]


def mapped(profile: str) -> list[RunSpec]:
    """The runs behind notebook 14's map of `reviews`; prepares the data of its settings."""
    if _missing("mug", "reviews", profile):
        return []
    places = [label_payoff.specifications(place, profile) for place in label_payoff.settings(profile)]
    return [spec for place in places for group in place.values() for spec in group]


def compute(profile: str, dataset: str, execution: ExecutionConfig = LOCAL, studies: bool = True) -> list[str]:
    """Computes all these runs; returns the failures, which the notebooks that need those runs will meet again.

    Args:
        studies: whether to compute also what only notebooks 12, 14 and 15 need.
    """
    runs = trained(profile, dataset) + readings(profile, dataset)
    if studies:
        runs += settings(profile, dataset) + studied(profile, dataset) + mapped(profile)
    failed = []
    try:
        scheduler.run_all(runs, execution, learn=learned(profile, dataset))
    except UserError as error:
        failed.append(str(error))
    try:  # noisy data sets exist only in this machine's memory, so their runs stay here whatever the engine
        noise.run_all(noisy(profile) if studies else [])
    except UserError as error:
        failed.append(str(error))
    return failed
