"""Right answers written in another way than the solutions: none may lose a point."""

from __future__ import annotations

from typing import NamedTuple


class Right(NamedTuple):
    """One right answer: what is other about it, and the whole cell."""

    manner: str
    assignment: int
    answer: str
    code: str


RIGHT = (
    Right("a loop", 1, "mae", """
def mae(prediction, truth):
    total = 0
    for p, t in zip(prediction, truth):
        total += abs(p - t)
    return total / len(truth)
"""),
    Right("rounds before it clips, integers", 1, "acc7", """
def acc7(prediction, truth):
    to_class = lambda v: np.clip(np.rint(v), -3, 3).astype(int)
    return np.mean(to_class(prediction) == to_class(truth)) * 100
"""),
    Right("scikit-learn", 1, "f1", """
from sklearn.metrics import f1_score

def weighted_f1(prediction, truth):
    p, t = prediction[truth != 0] > 0, truth[truth != 0] > 0
    return 100 * f1_score(t, p, average="weighted", zero_division=0)
"""),
    Right("returns a tensor-like numpy scalar", 1, "choose", """
def reported(valid_mae, test_mae):
    return sorted(zip(valid_mae, test_mae))[0][1]
"""),
    Right("torch's own cosine", 2, "similarity", """
def similarity(anchors, targets, temperature):
    return torch.nn.functional.cosine_similarity(anchors[:, None], targets[None], dim=-1) / temperature
"""),
    Right("cross-entropy, detached by data", 2, "loss", """
def contrastive_loss(projected, unimodal, temperature):
    logits = similarity(projected, unimodal.data, temperature)
    return torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)))
"""),
    Right("torch.func", 3, "meta", """
def meta_gradient(theta, unimodal, multimodal, alpha):
    def after(values):
        down = torch.func.grad(lambda v: task_loss(v, unimodal))(values)
        return task_loss(values - alpha * down, multimodal)
    return torch.func.grad(after)(theta.detach())
"""),
    Right("the functions of before", 3, "learn2learn", """
def with_learn2learn(theta, unimodal, multimodal, alpha, alpha_prime):
    maml = MAML(Corrector(theta), lr=alpha)
    learner = maml.clone()
    loss = lambda model, task: torch.nn.functional.l1_loss(model(task[0], task[1]), task[2])
    learner.adapt(loss(learner, unimodal))
    after = loss(learner, multimodal)
    if after.item() < loss(maml, multimodal).item():
        return [p.detach() for p in learner.parameters()][0]
    after.backward()
    with torch.no_grad():
        return maml.module.theta - alpha_prime * maml.module.theta.grad
"""),
    Right("pairwise distances", 4, "delta", """
def relative_distance(features, positive, negative):
    distances = torch.cdist(features, torch.stack([positive, negative]))
    return (distances[:, 1] - distances[:, 0]) / (distances[:, 0] + 1e-8)
"""),
    Right("one formula", 4, "generate", """
def generated(y, delta_s, delta_m):
    return (y * delta_s / (delta_m + 1e-8) + y + delta_s - delta_m) / 2
"""),
    Right("scipy's interval", 5, "paired", """
def paired_difference(base, changed):
    low, high = stats.ttest_rel(changed, base).confidence_interval()
    return (low + high) / 2, (high - low) / 2
"""),
    Right("more epochs than smoke has", 5, "plan", """
change = {"max_epochs": 5}
expected = "fall"
"""),
    Right("a plain loop", 5, "holm", """
def holm(p_values):
    ranked = sorted(range(len(p_values)), key=lambda i: p_values[i])
    result, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(ranked):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        result[i] = largest
    return result
"""),
    Right("precision and recall", 1, "f1", """
def weighted_f1(prediction, truth):
    pairs = [(p > 0, t > 0) for p, t in zip(prediction, truth) if t != 0]
    result = 0
    for side in {t for _, t in pairs}:
        hits = sum(p == t == side for p, t in pairs)
        predicted, actual = sum(p == side for p, _ in pairs), sum(t == side for _, t in pairs)
        precision, recall = hits / max(predicted, 1), hits / actual
        if hits:
            result += actual / len(pairs) * 2 * precision * recall / (precision + recall)
    return 100 * result
"""),
    Right("recursive", 1, "stop", """
def kept_epoch(valid_mae, patience):
    best = 0
    while True:
        window = valid_mae[best + 1 : best + 1 + patience]
        better = [i for i, error in enumerate(window) if error < valid_mae[best]]
        if not better:
            return best
        best += 1 + better[0]
"""),
    Right("a floor inside the root", 2, "normalise", """
def normalise(x):
    return x * x.square().sum(1, keepdim=True).clamp_min(1e-24).rsqrt()
"""),
    Right("a loop that accumulates", 2, "total", """
def stage1_loss(multimodal, projected, contrastive, eta, gamma):
    loss = multimodal.clone()
    for name in projected:
        loss += eta * projected[name]
        loss += gamma * contrastive[name]
    return loss
"""),
    Right("grad fields, set to None", 2, "train", """
def train(x, unimodal, weight, bias, lr, steps, temperature):
    weight, bias = torch.nn.Parameter(weight.clone()), torch.nn.Parameter(bias.clone())
    for _ in range(steps):
        weight.grad = bias.grad = None
        contrastive_loss(project(x, weight, bias), unimodal, temperature).backward()
        with torch.no_grad():
            weight -= lr * weight.grad
            bias -= lr * bias.grad
    return weight.detach(), bias.detach()
"""),
    Right("in a helper", 3, "learn2learn", """
def _adapted(maml, task):
    learner = maml.clone()
    learner.adapt((learner(task[0], task[1]) - task[2]).abs().mean())
    return learner

def with_learn2learn(theta, unimodal, multimodal, alpha, alpha_prime):
    maml = MAML(Corrector(theta), lr=alpha)
    learner = _adapted(maml, unimodal)
    x, noisy, y = multimodal
    after = (learner(x, noisy) - y).abs().mean()
    if after < (maml(x, noisy) - y).abs().mean():
        return learner.theta.detach()
    return maml.theta.detach() - alpha_prime * torch.autograd.grad(after, maml.module.theta)[0]
"""),
    Right("a running mean", 4, "momentum", """
def moved(labels, proposed, epoch, rho):
    if epoch == 1:
        return labels.clone()
    return torch.lerp(labels, torch.clip(proposed, -rho, rho), 2 / (epoch + 1))
"""),
    Right("ends of the interval", 5, "verdict", """
def verdict(mean, half, higher_is_better):
    low, high = mean - half, mean + half
    if low <= 0 <= high:
        return "no difference shown"
    return "better" if (low > 0) is higher_is_better else "worse"
"""),
)  # fmt: skip
