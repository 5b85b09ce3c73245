"""Answers that students plausibly give, as edits of the solutions, with the test that is meant to catch each."""

from __future__ import annotations

from typing import NamedTuple


class Wrong(NamedTuple):
    """One wrong answer.

    Attributes:
        assignment: its number.
        answer: grade_id of the cell.
        old, new: the edit that makes the solution wrong.
        test: grade_id of the test that must not pass.
    """

    mistake: str
    assignment: int
    answer: str
    old: str
    new: str
    test: str


WRONG = (
    # 1: metrics and protocol
    Wrong("squared error", 1, "mae", "np.abs(prediction - truth)", "(prediction - truth) ** 2", "test-mae"),
    Wrong("no absolute value", 1, "mae", "np.abs(prediction - truth)", "(prediction - truth)", "test-mae"),
    Wrong("sum of errors", 1, "mae", ".mean()", ".sum()", "test-mae"),
    Wrong("clipped error", 1, "mae", "prediction - truth", "np.clip(prediction, -3, 3) - truth", "test-mae"),
    Wrong("no clipping", 1, "acc7", "np.clip(values, -3, 3)", "values", "test-acc7"),
    Wrong("fraction", 1, "acc7", "100 * ", "", "test-acc7"),
    Wrong("cut off", 1, "acc7", "np.round(np.clip(values, -3, 3))", "np.trunc(np.clip(values, -3, 3))", "test-acc7"),
    Wrong("half upwards", 1, "acc7", "np.round(np.clip(values, -3, 3))", "np.floor(np.clip(values, -3, 3) + 0.5)",
          "test-acc7"),
    Wrong("five classes", 1, "acc7", "-3, 3", "-2, 2", "test-acc7"),
    Wrong("neutral clips kept", 1, "acc2", "truth != 0", "truth == truth", "test-acc2"),
    Wrong("drops by prediction", 1, "acc2", "truth != 0", "prediction != 0", "test-acc2"),
    Wrong("zero is positive", 1, "acc2", "(prediction > 0)", "(prediction >= 0)", "test-acc2"),
    Wrong("arguments swapped", 1, "f1", "predicted, actual = prediction[kept] > 0, truth[kept] > 0",
          "actual, predicted = prediction[kept] > 0, truth[kept] > 0", "test-f1-order"),
    Wrong("macro average", 1, "f1", "(actual == side).mean() * ", "0.5 * ", "test-f1-value"),
    Wrong("positive class only", 1, "f1", "total += (actual == side).mean() * ", "total = ", "test-f1-value"),
    Wrong("accuracy for F1", 1, "f1", "return 100 * float(total)", "return 100 * float((predicted == actual).mean())",
          "test-f1-value"),
    Wrong("tuned on the test set", 1, "choose", "test_mae[np.argmin(valid_mae)]", "test_mae.min()", "test-choose"),
    Wrong("validation error reported", 1, "choose", "test_mae[", "valid_mae[", "test-choose"),
    Wrong("largest error", 1, "choose", "argmin", "argmax", "test-choose"),
    Wrong("mean of both splits", 1, "choose", "argmin(valid_mae)", "argmin(valid_mae + test_mae)", "test-choose"),
    Wrong("no early stop", 1, "stop", "epoch - best >= patience", "False", "test-stop"),
    Wrong("one epoch too patient", 1, "stop", "epoch - best >= patience", "epoch - best > patience", "test-stop"),
    Wrong("equal counts as best", 1, "stop", "valid_mae[epoch] < valid_mae[best]",
          "valid_mae[epoch] <= valid_mae[best]", "test-stop"),
    Wrong("last epoch", 1, "stop", "return best", "return epoch", "test-stop"),
    Wrong("sign of the gain", 1, "optimism", "honest - test_mae.min(1)", "test_mae.min(1) - honest", "test-optimism"),
    Wrong("best of all repetitions", 1, "optimism", "test_mae.min(1)", "test_mae.min()", "test-optimism"),
    # 2: contrastive projection
    Wrong("no tanh", 2, "project", "torch.tanh(x @ weight.T + bias)", "x @ weight.T + bias", "test-project"),
    Wrong("bias outside", 2, "project", "torch.tanh(x @ weight.T + bias)", "torch.tanh(x @ weight.T) + bias",
          "test-project"),
    Wrong("over the batch", 2, "normalise", "dim=1", "dim=0", "test-normalise"),
    Wrong("L1 norm", 2, "normalise", "x.norm(", "x.norm(p=1, ", "test-normalise"),
    Wrong("NaN at zero", 2, "normalise", ".clamp_min(1e-12)", "", "test-normalise"),
    Wrong("large floor", 2, "normalise", "clamp_min(1e-12)", "clamp_min(0.1)", "test-normalise"),
    Wrong("times temperature", 2, "similarity", "/ temperature", "* temperature", "test-similarity"),
    Wrong("no normalisation", 2, "similarity", "normalise(anchors) @ normalise(targets).T", "anchors @ targets.T",
          "test-similarity"),
    Wrong("one side normalised", 2, "similarity", "normalise(anchors)", "anchors", "test-similarity"),
    Wrong("missing detach", 2, "loss", "unimodal.detach()", "unimodal", "test-loss-gradient"),
    Wrong("wrong side detached", 2, "loss", "(projected, unimodal.detach()", "(projected.detach(), unimodal",
          "test-loss-gradient"),
    Wrong("softmax over anchors", 2, "loss", "dim=1", "dim=0", "test-loss-value"),
    Wrong("sign error", 2, "loss", "return -logits", "return logits", "test-loss-value"),
    Wrong("sum over anchors", 2, "loss", ".diagonal().mean()", ".diagonal().sum()", "test-loss-value"),
    Wrong("softmax without log", 2, "loss", "log_softmax", "softmax", "test-loss-value"),
    Wrong("least similar", 2, "retrieval", "argmax", "argmin", "test-retrieval"),
    Wrong("targets look for anchors", 2, "retrieval", "dim=1", "dim=0", "test-retrieval"),
    Wrong("dot products", 2, "retrieval", "similarity(projected, unimodal, 1.0)", "(projected @ unimodal.T)",
          "test-retrieval"),
    Wrong("weights swapped", 2, "total", "eta * projected[m] + gamma * contrastive[m]",
          "gamma * projected[m] + eta * contrastive[m]", "test-total"),
    Wrong("mean over modalities", 2, "total", "for m in projected)", "for m in projected) / len(projected)",
          "test-total"),
    Wrong("ascent", 2, "train", "weight - lr * down, bias", "weight + lr * down, bias", "test-train"),
    Wrong("bias forgotten", 2, "train", "bias - lr * down_bias", "bias", "test-train"),
    Wrong("one step only", 2, "train", "range(steps)", "range(1)", "test-train"),
    Wrong("graph kept", 2, "train", "return weight.detach(), bias.detach()", "return weight, bias", "test-train"),
    # 3: the bi-level step
    Wrong("squared loss", 3, "denoise", ".abs()", ".square()", "test-denoise"),
    Wrong("label not corrected", 3, "denoise", "corrected(theta, x, noisy)", "noisy + 0 * theta.sum()", "test-denoise"),
    Wrong("up the gradient", 3, "inner", "theta - alpha", "theta + alpha", "test-inner-value"),
    Wrong("step without α", 3, "inner", "alpha * gradient", "gradient", "test-inner-value"),
    Wrong("no create_graph", 3, "inner", ", create_graph=True", "", "test-inner-graph"),
    Wrong("detached step", 3, "inner", "return theta - alpha * gradient",
          "return (theta - alpha * gradient).detach()", "test-inner-graph"),
    Wrong("first order", 3, "meta", "multimodal), theta)", "multimodal), adapted)", "test-meta"),
    Wrong("gradient before the step", 3, "meta", "task_loss(adapted, multimodal)", "task_loss(theta, multimodal)",
          "test-meta"),
    Wrong("loss on the same task", 3, "meta", "task_loss(adapted, multimodal)", "task_loss(adapted, unimodal)",
          "test-meta"),
    Wrong("step on the wrong task", 3, "meta", "inner_step(theta, unimodal", "inner_step(theta, multimodal",
          "test-meta"),
    Wrong("gate the wrong way", 3, "gate", "<", ">", "test-gate"),
    Wrong("equal opens", 3, "gate", "<", "<=", "test-gate"),
    Wrong("always open", 3, "step", "if gate_opens(theta, adapted, multimodal):", "if True:", "test-step-closed"),
    Wrong("always closed", 3, "step", "if gate_opens(theta, adapted, multimodal):", "if False:", "test-step-open"),
    Wrong("from θ′", 3, "step", "(theta - alpha_prime", "(adapted - alpha_prime", "test-step-closed"),
    Wrong("α for α′", 3, "step", "theta - alpha_prime *", "theta - alpha *", "test-step-closed"),
    Wrong("judged by the unimodal task", 3, "step", "adapted, multimodal)", "adapted, unimodal)", "test-step-closed"),
    Wrong("first-order MAML", 3, "learn2learn", "first_order=False", "first_order=True", "test-learn2learn"),
    Wrong("no clone", 3, "learn2learn", "maml.module.theta, maml.clone()", "maml.module.theta, maml",
          "test-learn2learn"),
    Wrong("exponent E", 3, "target", "epoch + 1", "epoch", "test-target"),
    Wrong("shares swapped", 3, "target", "share * previous.detach() + (1 - share) * y",
          "(1 - share) * previous.detach() + share * y", "test-target"),
    Wrong("gradient into the past", 3, "target", "previous.detach()", "previous", "test-target"),
    # 4: label generation
    Wrong("zero is negative", 4, "centres", "labels >= 0", "labels > 0", "test-centres"),
    Wrong("centres swapped", 4, "centres", "positive = labels >= 0", "positive = labels < 0", "test-centres"),
    Wrong("mean over features", 4, "centres", "dim=0", "dim=1", "test-centres"),
    Wrong("sign of δ", 4, "delta", "(far - near)", "(near - far)", "test-delta"),
    Wrong("divided by the other", 4, "delta", "/ (near", "/ (far", "test-delta"),
    Wrong("squared distances", 4, "delta", ".norm(dim=-1)", ".square().sum(-1)", "test-delta"),
    Wrong("quotient upside down", 4, "generate", "delta_s / (delta_m + 1e-8)", "delta_m / (delta_s + 1e-8)",
          "test-generate"),
    Wrong("no halves", 4, "generate", "0.5 * (y + delta_s - delta_m)", "(y + delta_s - delta_m)", "test-generate"),
    Wrong("shift the wrong way", 4, "generate", "y + delta_s - delta_m", "y - delta_s + delta_m", "test-generate"),
    Wrong("no bounds", 4, "momentum", ".clamp(-rho, rho)", "", "test-momentum"),
    Wrong("bounded after", 4, "momentum", "proposed.clamp(-rho, rho)", "proposed", "test-momentum"),
    Wrong("moves at once", 4, "momentum", "epoch < 2", "epoch < 1", "test-momentum"),
    Wrong("counted from 0", 4, "momentum", "(epoch - 1) / (epoch + 1)", "epoch / (epoch + 2)", "test-momentum"),
    Wrong("no absolute value", 4, "weight", ".abs()", "", "test-weight"),
    Wrong("no tanh", 4, "mucn", "torch.tanh(noisy + correction)", "(noisy + correction)", "test-mucn"),
    Wrong("no residual", 4, "mucn", "noisy + correction)", "correction)", "test-mucn"),
    Wrong("ρ inside", 4, "mucn", "rho * torch.tanh(noisy + correction)", "torch.tanh(rho * (noisy + correction))",
          "test-mucn"),
    Wrong("no ReLU", 4, "mucn", "torch.relu(together @ hidden.T + bias)", "(together @ hidden.T + bias)", "test-mucn"),
    Wrong("neutral clips counted", 4, "compare", "(labels.sign() != truth.sign())[told]",
          "(labels.sign() != truth.sign())", "test-compare"),
    Wrong("squared error", 4, "compare", "(labels - truth).abs()", "(labels - truth).square()", "test-compare"),
    # 5: an ablation
    Wrong("two changes", 5, "plan", '{"gamma": 0.0}', '{"gamma": 0.0, "beta": 0.5}', "test-plan"),
    Wrong("nothing changed", 5, "plan", '{"gamma": 0.0}', '{"gamma": 0.01}', "test-plan"),
    Wrong("what smoke has already", 5, "plan", '{"gamma": 0.0}', '{"pooling": "mean"}', "test-plan"),
    Wrong("smoke's epochs", 5, "plan", '{"gamma": 0.0}', '{"max_epochs": 2}', "test-plan"),
    Wrong("rate of a frozen encoder", 5, "plan", '{"gamma": 0.0}', '{"text_learning_rate": 1e-4}', "test-plan"),
    Wrong("patience of two epochs", 5, "plan", '{"gamma": 0.0}', '{"patience": 2}', "test-plan"),
    Wrong("no such field", 5, "plan", '{"gamma": 0.0}', '{"gama": 0.0}', "test-plan"),
    Wrong("base minus changed", 5, "paired", "changed - base", "base - changed", "test-paired"),
    Wrong("population spread", 5, "paired", "ddof=1", "ddof=0", "test-paired"),
    Wrong("normal quantile", 5, "paired", "stats.t.ppf(0.975, n - 1)", "stats.norm.ppf(0.975)", "test-paired"),
    Wrong("one-sided quantile", 5, "paired", "0.975", "0.95", "test-paired"),
    Wrong("spread, not its error", 5, "paired", " / np.sqrt(n)", "", "test-paired"),
    Wrong("unpaired", 5, "paired", "differences.std(ddof=1)", "np.hypot(base.std(ddof=1), changed.std(ddof=1))",
          "test-paired"),
    Wrong("any difference counts", 5, "verdict", "abs(mean) <= half", "mean == 0", "test-verdict"),
    Wrong("negative means forgotten", 5, "verdict", "abs(mean) <= half", "mean <= half", "test-verdict"),
    Wrong("more is always better", 5, "verdict", "(mean > 0) == higher_is_better", "mean > 0", "test-verdict"),
    Wrong("Bonferroni", 5, "holm", "len(order) - np.arange(len(order))", "len(order)", "test-holm"),
    Wrong("not monotone", 5, "holm", "np.maximum.accumulate(np.asarray(p_values)[order] * factors)",
          "np.asarray(p_values)[order] * factors", "test-holm"),
    Wrong("order lost", 5, "holm", "corrected[order] = raised", "corrected[:] = raised", "test-holm"),
    Wrong("above 1", 5, "holm", "np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)",
          "np.maximum.accumulate(np.asarray(p_values)[order] * factors)", "test-holm"),
    # what the first tests did not see: boundaries, second calls, aliasing, gradients, ties, other scales
    Wrong("never reset", 1, "stop", "    best = 0\n"
          "    for epoch in range(1, len(valid_mae)):\n"
          "        if valid_mae[epoch] < valid_mae[best]:\n"
          "            best = epoch\n"
          "        elif epoch - best >= patience:\n"
          "            break\n", "    best = waited = 0\n"
          "    for epoch in range(1, len(valid_mae)):\n"
          "        if valid_mae[epoch] < valid_mae[best]:\n"
          "            best = epoch\n"
          "        else:\n"
          "            waited += 1\n"
          "            if waited >= patience:\n"
          "                break\n", "test-stop"),
    Wrong("compares with the epoch before", 1, "stop",
          "valid_mae[epoch] < valid_mae[best]:\n            best = epoch\n        elif epoch - best",
          "valid_mae[epoch] < valid_mae[epoch - 1]:\n"
          "            best = epoch if valid_mae[epoch] < valid_mae[best] else best\n"
          "        elif epoch - best", "test-stop"),
    Wrong("a margin", 1, "stop", "valid_mae[epoch] < valid_mae[best]", "valid_mae[epoch] < valid_mae[best] - 1e-3",
          "test-stop"),
    Wrong("starts from an error of 1", 1, "stop", "valid_mae[epoch] < valid_mae[best]",
          "valid_mae[epoch] < min(1.0, valid_mae[best])", "test-stop"),
    Wrong("absent class counts as found", 1, "f1", "(2 * hits / size if size else 0.0)",
          "(2 * hits / size if hits else 1.0)", "test-f1-value"),
    Wrong("no guard for an absent class", 1, "f1", "(2 * hits / size if size else 0.0)", "(2 * hits / size)",
          "test-f1-value"),
    Wrong("rounds predictions", 1, "acc2", "(prediction > 0)", "(np.round(prediction) > 0)", "test-acc2"),
    Wrong("drops nearly neutral labels", 1, "acc2", "truth != 0", "np.abs(truth) > 0.05", "test-acc2"),
    Wrong("overwrites", 1, "mae", "np.abs(prediction - truth)",
          "np.abs(np.subtract(prediction, truth, out=prediction))", "test-mae"),
    Wrong("near ties by the test set", 1, "choose", "test_mae[np.argmin(valid_mae)]",
          "test_mae[valid_mae <= valid_mae.min() + 0.005].min()", "test-choose"),
    Wrong("sorts what it was given", 1, "choose", "return float(", "np.asarray(valid_mae).sort()\n    return float(",
          "test-choose"),
    Wrong("detached", 2, "project", "return torch.tanh(x @ weight.T + bias)",
          "return torch.tanh(x @ weight.T + bias).detach()", "test-project"),
    Wrong("NaN gradient at zero", 2, "normalise", "x.norm(dim=1, keepdim=True)",
          "x.pow(2).sum(1, keepdim=True).sqrt()", "test-normalise"),
    Wrong("NaN gradient behind where", 2, "normalise", "return x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)",
          "length = x.norm(dim=1, keepdim=True)\n    return torch.where(length > 0, x / length, x)",
          "test-normalise"),
    Wrong("length detached", 2, "normalise", "x.norm(", "x.detach().norm(", "test-normalise"),
    Wrong("in place", 2, "normalise", "return x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)",
          "return x.div_(x.norm(dim=1, keepdim=True).clamp_min(1e-12))", "test-normalise"),
    Wrong("anchors detached", 2, "similarity", "normalise(anchors)", "normalise(anchors).detach()", "test-similarity"),
    Wrong("ties found", 2, "retrieval", "    nearest = similarity(projected, unimodal, 1.0).argmax(dim=1)\n"
          "    return (nearest == torch.arange(len(projected))).float().mean().item()",
          "    all_pairs = similarity(projected, unimodal, 1.0)\n"
          "    return (all_pairs.diagonal() >= all_pairs.max(dim=1).values).float().mean().item()", "test-retrieval"),
    Wrong("detached parts", 2, "total", "eta * projected[m] + gamma * contrastive[m]",
          "eta * projected[m].item() + gamma * contrastive[m].item()", "test-total"),
    Wrong("adds in place", 2, "total",
          "return multimodal + sum(eta * projected[m] + gamma * contrastive[m] for m in projected)",
          "whole = multimodal.clone()\n"
          "    multimodal.data.add_(1)\n"
          "    return whole + sum(eta * projected[m] + gamma * contrastive[m] for m in projected)", "test-total"),
    Wrong("overwrites", 2, "train", "for _ in range(steps):\n        weight, bias = weight.detach()",
          "given = weight\n"
          "    for _ in range(steps):\n"
          "        given.data.copy_(weight.data)\n"
          "        weight, bias = weight.detach()", "test-train"),
    Wrong("fixed temperature", 2, "train", "unimodal, temperature)", "unimodal, 0.2)", "test-train"),
    Wrong("clipped gradient", 2, "train", "weight - lr * down, bias",
          "weight - lr * down * (0.5 / down.norm().clamp_min(0.5)), bias", "test-train"),
    Wrong("bias from 0", 2, "train", "for _ in range(steps):", "bias = 0 * bias\n    for _ in range(steps):",
          "test-train"),
    Wrong("relative gain of 1 %", 3, "gate", "task_loss(adapted, multimodal) < task_loss(theta, multimodal)",
          "task_loss(adapted, multimodal) < 0.99 * task_loss(theta, multimodal)", "test-gate"),
    Wrong("a margin", 3, "gate", "task_loss(adapted, multimodal) < task_loss(theta, multimodal)",
          "task_loss(adapted, multimodal) < task_loss(theta, multimodal) - 1e-4", "test-gate"),
    Wrong("squared losses", 3, "gate",
          "        return bool(task_loss(adapted, multimodal) < task_loss(theta, multimodal))",
          "        squares = [(corrected(t, *multimodal[:2]) - multimodal[2]).square().mean() for t "
          "in (adapted, theta)]\n"
          "        return bool(squares[0] < squares[1])", "test-gate"),
    Wrong("overwrites θ where open", 3, "step", "        return adapted.detach()",
          "        return theta.data.copy_(adapted.detach())", "test-step-open"),
    Wrong("overwrites θ where closed", 3, "step",
          "    return (theta - alpha_prime * meta_gradient(theta, unimodal, multimodal, alpha)).detach()",
          "    return theta.data.sub_(alpha_prime * meta_gradient(theta, unimodal, multimodal, alpha))",
          "test-step-closed"),
    Wrong("clipped gradient", 3, "inner", "theta - alpha * gradient",
          "theta - alpha * gradient / gradient.norm().clamp_min(2)", "test-inner-value"),
    Wrong("λ divided by the epoch", 3, "target", "lambda_init ** (epoch + 1)", "lambda_init / (epoch + 1)",
          "test-target"),
    Wrong("starts an epoch late", 4, "momentum", "epoch < 2", "epoch < 3", "test-momentum"),
    Wrong("bounds the old label", 4, "momentum", "* labels +", "* labels.clamp(-rho, rho) +", "test-momentum"),
    Wrong("in place", 4, "momentum", "proposed.clamp(", "proposed.clamp_(", "test-momentum"),
    Wrong("root mean square", 4, "delta", "(features - centre).norm(dim=-1)",
          "(features - centre).square().mean(-1).sqrt()", "test-delta"),
    Wrong("output detached", 4, "mucn", "return rho * torch.tanh(noisy + correction)",
          "return (rho * torch.tanh(noisy + correction)).detach()", "test-mucn"),
    Wrong("correction detached", 4, "mucn", "noisy + correction)", "noisy + correction.detach())", "test-mucn"),
    Wrong("label detached", 4, "mucn", "torch.tanh(noisy + ", "torch.tanh(noisy.detach() + ", "test-mucn"),
    Wrong("rounded labels", 4, "compare", "labels.sign()", "labels.round().sign()", "test-compare"),
    Wrong("slightly negative is positive", 4, "centres", "labels >= 0", "labels >= -0.1", "test-centres"),
    Wrong("bounded", 4, "generate", "0.5 * y * delta_s / (delta_m + 1e-8)",
          "0.5 * y * (delta_s / (delta_m + 1e-8)).clamp(-10, 10)", "test-generate"),
    Wrong("absolute mean", 5, "paired", "float(differences.mean())", "abs(float(differences.mean()))", "test-paired"),
    Wrong("fixed threshold", 5, "verdict", "abs(mean) <= half", "abs(mean) <= 0.3", "test-verdict"),
    Wrong("half the half-width", 5, "verdict", "abs(mean) <= half", "abs(mean) <= half / 2", "test-verdict"),
    Wrong("twice the half-width", 5, "verdict", "abs(mean) <= half", "abs(mean) <= 2 * half", "test-verdict"),
    Wrong("0 at the end", 5, "verdict", "abs(mean) <= half", "abs(mean) < half", "test-verdict"),
    Wrong("one rank for equal ones", 5, "holm", "len(order) - np.arange(len(order))",
          "len(order) - np.unique(np.asarray(p_values)[order], return_inverse=True)[1]", "test-holm"),
    Wrong("last rank for equal ones", 5, "holm", "len(order) - np.arange(len(order))",
          "len(order) - (stats.rankdata(np.asarray(p_values)[order], 'max') - 1)", "test-holm"),
    Wrong("sorts what it was given", 5, "holm", "    return corrected.tolist()",
          "    p_values.sort()\n    return corrected.tolist()", "test-holm"),
    Wrong("labels not clipped", 1, "acc7", "[np.round(np.clip(values, -3, 3)) for values in (prediction, truth)]",
          "[np.round(np.clip(prediction, -3, 3)), np.round(truth)]", "test-acc7"),
    Wrong("labels rounded half upwards", 1, "acc7",
          "[np.round(np.clip(values, -3, 3)) for values in (prediction, truth)]",
          "[np.round(np.clip(prediction, -3, 3)), np.floor(np.clip(truth, -3, 3) + 0.5)]", "test-acc7"),
    Wrong("a wrapper and no step of it", 3, "learn2learn", "def with_learn2learn(",
          "def with_learn2learn(theta, unimodal, multimodal, alpha, alpha_prime):\n"
          "    maml = MAML(Corrector(theta), lr=alpha)\n"
          "    return bilevel_step(maml.module.theta, unimodal, multimodal, alpha, alpha_prime)\n"
          "\n"
          "\n"
          "def unused(", "test-learn2learn"),
)  # fmt: skip
