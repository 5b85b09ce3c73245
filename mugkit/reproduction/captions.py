"""The report's captions above tables and below figures, for those whose file name is not enough.

Captions describe what is shown, never the result, so they stay true when the numbers change.
"""

from __future__ import annotations

from collections.abc import Mapping

from mugkit.evaluation import published

TABLES: Mapping[str, str] = {
    **{f"table{n}": f"Table {n}: {caption}" for n, caption in published.CAPTION.items()},
    **{f"table{n}_differences": f"Table {n}: differences from MUG with intervals and verdicts" for n in (3, 4, 5)},
    **{f"table{n}_order": f"Table {n}: our order of systems beside the paper's" for n in (3, 4, 5)},
    "label_quality": "Learned labels against the true ones",
    "label_quality_without_multimodal_denoising": "Learned labels without the multimodal denoising task",
    "label_sources": "Every source of unimodal labels: errors of its labels, and stage 3's results with them",
    "gap": "The gap between unimodal and projected representations",
    "embedding_gap": "The gap over seeds: linear probe and MMD",
    "embedding_claims": "Section 4.9, sentence by sentence",
    "embedding_drift": "How far contrastive learning moves x_m and x_m′, by modality and reading of Eq. 11",
    "readings_claims": "Section 4.9's two observations under both readings of Eq. 11",
    "readings_validation": "Validation error of stage 3 under both readings of Eq. 11",
    "readings_labels": "Learned labels against the true ones under both readings of Eq. 11",
    "table5_steps": "Table 5's steps at several settings of the data's dials",
    "case_claims": "Section 4.11's observations, checked over all clips",
    "step_times": "Time of a training step relative to Self-MM's, and to that of Self-MM's labels on MUG's networks",
    "stage_shares": "Each stage's share of a run's time, medians and quartiles over seeds",
    "gpu_hours": "What a full reproduction costs in GPU hours",
    "parameters": "Parameters of MUG by part",
    "stage3": "Stage 3 with and without unimodal tasks",
    "agreement": "Agreement of the simulated labels beside CH-SIMS's annotators",
    "dial_of_expression": "How well y_m can be predicted from sound and vision at each setting of expression",
    "dial_of_disagreement": "Agreement of y and y_m at each setting of disagreement, and for human annotators",
    "conventions": "One set of predictions under every metric convention",
    "tuned": "Hyperparameters chosen for every system with the same number of trials",
    "table2_beta": "MUG with Table 2's β and with the chosen one",
    "search_peeking": "Random search: what choosing by test scores would have gained",
    "hyperparameter_importance": "Random search: which hyperparameters matter",
    "fig5_values": "Fig. 5: the values behind its curves",
    "assumptions": "What changes when an open choice changes",
    "label_disagreement": "Error of every source's labels, by how far the modalities disagree",
    "label_payoff": "What every source of labels is worth at every setting of the dials, with the chosen β",
    "label_payoff_table2_beta": "What every source of labels is worth at every setting of the dials, with Table 2's β",
    "noise_robustness": "Sources of labels and stage 3 with noisier labels of clips",
}

# File → caption, which is also the picture's text alternative.
FIGURES: Mapping[str, str] = {
    "fig1": "Fig. 1: the clip's label (across) against what each modality says alone (up), one panel per modality.",
    "fig2": "Fig. 2: the three stages of MUG as boxes and arrows, with the shapes of this configuration.",
    "fig3": "Fig. 3: the layers of predictor, fusion network and MUCN, drawn from the modules.",
    "fig4": "Fig. 4: t-SNE of language, unimodal and projected, without and with contrastive learning (two readings).",
    "fig5": "Fig. 5: test error and accuracy over α and over β, mean and standard deviation over seeds.",
    "noise_robustness": "Error of labels over disagreement and over noise, and stage 3's test error over noise.",
    "fig6": "Fig. 6: clips whose modalities agree and disagree, with their learned and true labels.",
    "table3_mae": "Test MAE of the systems of Table 3, mean and standard deviation over seeds.",
    "table4_mae": "Test MAE of the systems of Table 4, mean and standard deviation over seeds.",
    "table5_mae": "Test MAE of the systems of Table 5, mean and standard deviation over seeds.",
    "label_quality": "Error and correlation of copied and learned labels against the true ones, by modality.",
    "label_payoff": "What copied, learned and true labels change in test error, at every setting of the data's dials.",
    "labels_and_results": "Error of each source's labels (across) against stage 3's test MAE with them (up).",
    "label_trajectories": "Labels of single clips over the epochs of stage 2, beside the clip's and the true label.",
    "stage1": "Stage 1 as boxes and arrows: networks, projections, losses and stopped gradients.",
    "stage2": "Stage 2 as boxes and arrows: the two denoising tasks and the two updates of MUCN.",
    "stage3": "Stage 3 as boxes and arrows: the unimodal and the multimodal task.",
    "stage1_losses": "Losses of stage 1 over its epochs, beside chance and a constant prediction.",
    "stage2_history": "Losses of stage 2 and the share of steps with an open gate, over its epochs.",
    "stage3_curves": "Training and validation loss of stage 3 over its epochs, with and without unimodal tasks.",
    "gap": "t-SNE of unimodal and projected representations of the networks of notebook 04.",
    "gap_bars": "Accuracy of a linear probe that tells unimodal from projected representations, by modality.",
    "mucn_output": "What Eq. 28 makes of a label for three corrections, as printed and in its scaled form.",
    "lambda_decay": "How λ of Eq. 17 decays over the epochs of stage 2, for several λ_init.",
    "selection": "What choosing among many models by their test score seems to gain over choosing by validation.",
    "search": "Validation error of every trial of the random search over each hyperparameter.",
    "search_tuning": "What choosing a trial by its test score seems to gain over choosing by validation.",
    "dials": "How well y_m can be predicted at each expression, and correlations of y and y_m at each disagreement.",
    "data_streams": "Acoustic and visual frames of two clips over time.",
    "data_prep": "A spoken sentence and a face generated in the notebook, and the features extracted from them.",
    "data_prep_scores": "The prediction for the clip generated in the notebook, beside those for real clips.",
}
