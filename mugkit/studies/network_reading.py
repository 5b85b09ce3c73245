"""How well a network reads one modality at each setting of expression: the unimodal predictions of stage 3 (Eq. 24),
trained on the true labels, so that nothing but the stream limits them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from safetensors.torch import load_model

from mugkit.config import profile as of_profile
from mugkit.config import repeated
from mugkit.data import prepare
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES
from mugkit.experiments import experiment, scheduler
from mugkit.experiments.registry import Experiment
from mugkit.metrics import corr
from mugkit.models.mug import MUGNetwork, build
from mugkit.studies import label_payoff
from mugkit.studies.label_payoff import TRUE


def correlations(profile: str) -> dict[str, dict[str, float]]:
    """Expression → modality → r of a network's unimodal predictions with y_m on the test split.

    Each setting with strong disagreement takes one training, which notebook 14's map also uses; missing runs are
    computed. A profile without that map reads only the default.
    """
    settings = [setting for setting in label_payoff.settings(profile) if setting.disagreement == "strong"]
    first, changes = of_profile(profile).study_seeds[:1], {"beta": label_payoff.betas(profile)[0]}
    names = {setting.expression: prepare.simulated(setting) for setting in settings}
    works = {e: experiment.work(repeated(TRUE, name, profile, changes, first)[0]) for e, name in names.items()}
    scheduler.run_all([work.spec for work in works.values()])
    return {expression: _against_truth(work) for expression, work in works.items()}


def _against_truth(work: Experiment) -> dict[str, float]:
    true = work.dataset.test.true_labels
    return {m: round(float(corr(read, true[m])), 4) for m, read in unimodal_predictions(work).items()}


def unimodal_predictions(work: Experiment) -> dict[str, Float32[np.ndarray, "clips"]]:
    """ŷ_m of the test split's clips, in their order, from the stored weights of a run of MUG's networks."""
    clips = ClipLoader(work.dataset.test, work.hp.network)
    network: MUGNetwork = build(work.hp.network, work.dataset.dims, clips.text_width)
    load_model(network, work.result() / "weights.safetensors")
    network.eval()
    found = {m: np.empty(len(clips), dtype=np.float32) for m in MODALITIES}
    for batch in clips.by_length(128):
        for m, predicted in network.predict_unimodal(network.represent(batch).unimodal).items():
            found[m][batch.index] = predicted.detach()
    return found
