"""HyCon: contrastive learning by sentiment class, within modalities, across modalities and within a clip.

Sijie Mai, Ying Zeng, Shuangjia Zheng, Haifeng Hu: Hybrid Contrastive Learning of Tri-Modal Representation for
Multimodal Sentiment Analysis. IEEE Transactions on Affective Computing, 2022 (arXiv 2109.01797).

One network per modality computes x_l, x_a, x_v of the same width; their fusion predicts ŷ. With unit vectors
z_m = x_m / |x_m|, the similarity s = z_m · z_n′ of two clips is raised if they share a class, and lowered if not:
    L(m, n)     = mean over anchors of [s⁻ − s⁺ + margin]₊ + [level − s⁺]₊ + [s⁻ − floor]₊
    L_intra     = mean of L(m, m);   L_inter = mean of L(m, n), m ≠ n
    L_semi      = mean of [1 − gap − z_m · z_n]₊ of a clip with itself, m ≠ n: nothing is pushed apart
    L           = |y − ŷ| + weight · (L_intra + L_inter + L_semi)
s⁺ and s⁻ are weighted means of an anchor's positive and negative similarities; the hardest pairs have the largest
weights (pair selection). [level − s⁺]₊ is the refinement: without it, s⁻ < s⁺ is enough, however far positives are.

Departures:
- Only the article's abstract was available, and no code is published: hinges, pair weights and numbers are ours.
- Labels are scaled to ±3 and rounded to seven integers, the classes.
- Networks and fusion are MUG's; a layer per modality brings sound and video to the common width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from mugkit.baselines.base import Baseline, Shapes
from mugkit.data.batch import Batch
from mugkit.data.schema import MODALITIES
from mugkit.models.losses import l1
from mugkit.models.mug import Fusion, LanguageNetwork, Predictor, SequenceNetwork, TextEncoder, activation


@dataclass(frozen=True)
class HyConConfig:
    """Sizes and loss weights; the article's are not public."""

    d_frames: int = 128  # dims of the LSTMs over frames
    d: int = 128  # dims of x_l, x_a and x_v, in which clips and modalities are compared
    d_fused: int = 64
    fusion_width: int = 512
    activation: str = "tanh"
    shrink: int = 2
    weight: float = 0.1  # weight of the contrastive losses
    intra_margin: float = 0.4
    inter_margin: float = 0.2  # modality margin: smaller between modalities
    level: float = 0.8  # the refinement: positives should be at least this similar
    floor: float = 0.0  # negatives should be at most this similar
    gap: float = 0.2  # how much modalities of one clip may differ
    temperature: float = 0.1  # of the pair weights: a small value counts only the hardest pairs


def sentiment_classes(labels: Float[Tensor, "batch"], scale: float) -> Float[Tensor, "batch"]:
    """The nearest of the integers −3 … 3, after labels are scaled from ±scale to ±3."""
    return (labels * 3 / scale).round()


def weighted_mean(
    similarity: Float[Tensor, "batch batch"], pairs: Bool[Tensor, "batch batch"], sharpness: float
) -> Float[Tensor, "batch"]:
    """Each anchor's mean over its pairs, 0 if it has none; weights are softmax(similarity · sharpness), detached."""
    weights = (similarity.detach() * sharpness).masked_fill(~pairs, -torch.inf).softmax(1)
    return (weights.nan_to_num(0.0) * similarity).sum(1)


def mean_where(values: Float[Tensor, "batch"], wanted: Bool[Tensor, "batch"]) -> Float[Tensor, ""]:
    """Mean of the wanted values; 0 if no value is wanted."""
    return (values * wanted).sum() / wanted.sum().clamp(min=1)


@dataclass(frozen=True)
class Pairs:
    """Which clips of a batch are an anchor's positives (its class, not itself) and negatives (another class)."""

    positive: Bool[Tensor, "batch batch"]
    negative: Bool[Tensor, "batch batch"]

    @classmethod
    def of(cls, classes: Float[Tensor, "batch"]) -> "Pairs":
        same = classes[:, None] == classes[None]
        own = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
        return cls(same & ~own, ~same)


def contrast(
    anchors: Float[Tensor, "batch d"],
    others: Float[Tensor, "batch d"],
    pairs: Pairs,
    margin: float,
    level: float,
    floor: float,
    temperature: float,
) -> Float[Tensor, ""]:
    """L(m, n) of unit vectors of two modalities, or of one. A term leaves out anchors without the pairs it needs."""
    similarity = anchors @ others.T
    positive = weighted_mean(similarity, pairs.positive, -1 / temperature)
    negative = weighted_mean(similarity, pairs.negative, 1 / temperature)
    has_positive, has_negative = pairs.positive.any(1), pairs.negative.any(1)
    apart = mean_where((negative - positive + margin).relu(), has_positive & has_negative)
    near = mean_where((level - positive).relu(), has_positive)
    far = mean_where((negative - floor).relu(), has_negative)
    return apart + near + far


class HyCon(Baseline):
    """ŷ = P(fusion(x_l, x_a, x_v)); contrastive losses act on x_l, x_a, x_v."""

    Config = HyConConfig
    light = HyConConfig(d_frames=32, d=64, d_fused=32, fusion_width=512)

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: HyConConfig) -> None:
        super().__init__(shapes, encoder, config)
        pooled = None if encoder is None else TextEncoder(encoder, shapes.pooling)
        self.language = LanguageNetwork(shapes.text, config.d, config.activation, pooled)
        dims = {"a": shapes.acoustic, "v": shapes.visual}
        self.sequences = nn.ModuleDict({m: SequenceNetwork(dim, config.d_frames) for m, dim in dims.items()})
        self.down = nn.ModuleDict({m: nn.Linear(config.d_frames, config.d) for m in dims})
        self.f = activation(config.activation)
        self.fusion = Fusion((config.d, config.d, config.d), config.fusion_width, config.d_fused, 0.0)
        self.predictor = Predictor(config.d_fused, config.shrink, 0.0)

    def represent(self, batch: Batch) -> dict[str, Float[Tensor, "batch d"]]:
        """x_m by modality."""
        frames = {m: self.f(self.down[m](network(batch.frames[m]))) for m, network in self.sequences.items()}
        return {"l": self.language(batch.text), **frames}

    def predict(self, x: Mapping[str, Float[Tensor, "batch d"]]) -> Float[Tensor, "batch"]:
        return self.predictor(self.fusion(x["l"], x["a"], x["v"]))

    def contrastive(
        self, x: Mapping[str, Float[Tensor, "batch d"]], labels: Float[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        """L_intra + L_inter + L_semi."""
        c, unit = self.config, {m: F.normalize(value, dim=1) for m, value in x.items()}
        pairs = Pairs.of(sentiment_classes(labels, self.shapes.label_scale))
        intra = [contrast(unit[m], unit[m], pairs, c.intra_margin, c.level, c.floor, c.temperature) for m in MODALITIES]
        across = [(unit[m], unit[n]) for m, n in permutations(MODALITIES, 2)]
        inter = [
            contrast(z_m, z_n, pairs, c.inter_margin, c.level - c.gap, c.floor, c.temperature) for z_m, z_n in across
        ]
        semi = [(1 - c.gap - (z_m * z_n).sum(1)).relu().mean() for z_m, z_n in across]
        return torch.stack(intra).mean() + torch.stack(inter).mean() + torch.stack(semi).mean()

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        return self.predict(self.represent(batch))

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        x = self.represent(batch)
        return l1(self.predict(x), batch.labels) + self.config.weight * self.contrastive(x, batch.labels)
