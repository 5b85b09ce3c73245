"""The claims of the paper: every checkable sentence on results, of its abstract and of sections 3.3.1 and 4.6–4.12.

Sentences are in our words; systems are named as in `mugkit systems`, rows and columns as in the paper's tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mugkit.claims.comparisons import Better
from mugkit.claims.kinds import (
    AllClips,
    Contradicted,
    Embedding,
    FasterStep,
    InOrder,
    Noisy,
    SameCount,
    SameLevel,
    SameOrder,
    SmallShare,
    Steadier,
    Sweep,
    Test,
    Unmeasured,
)
from mugkit.evaluation.verdicts import Amount


@dataclass(frozen=True)
class Claim:
    """One claim, in our words, and the test that decides it.

    Attributes:
        name: unique; begins with the claim's place and a hyphen.
        about: the data sets that the paper claims it for; () if it names none.
        tables: the paper's tables with the numbers that it rests on.
        rows: their rows; () if the test names them.
        quoted: the data sets whose columns it rests on; () means all of `about`.
        sizes: differences between the first two rows that the text quantifies, by metric, in the metric's unit; the
            table's own differences may not be the same.
        amount: what the sentence says about an effect's size: nothing; that it is at least about, or over, that of
            `sizes`; without `sizes`, that it is considerable (over) or slight (under), by the suite's sizes.
        said: other numbers in the text, by name.
    """

    name: str
    says: str
    test: Test
    about: tuple[str, ...] = ()
    tables: tuple[int, ...] = ()
    rows: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()
    sizes: Mapping[str, float] = field(default_factory=dict)
    amount: Amount = "any"
    said: Mapping[str, float] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where the paper states it: the abstract, or a section."""
        return self.name.partition("-")[0]


BERT_BASELINES = ("graph-mfn", "mfm", "misa", "mmim", "self-mm", "hycon", "sugrm", "cubemlp", "aobert")
BASELINES = (*BERT_BASELINES, "tfn", "lmf", "mfn", "mult")  # of Tables 3 and 4, without T5
LABEL_MEASURES = ("MAE", "Corr")
_POINTS = ("Acc7", "Acc2", "F1")
_OF_SIMS = ("MAE", "Corr", "Acc2", "F1")  # Table 4's columns
_MOSI, _MOSEI, _SIMS = ("mosi",), ("mosei",), ("sims",)
_BOTH, _ALL_THREE = ("mosi", "mosei"), ("mosi", "mosei", "sims")
_SELF_MM_ROWS = ("MUG (BERT)", "Self-MM")
_TABLE_3 = (
    "MUG (BERT)", "MUG (T5)", "UniMSE (T5)",
    "Graph-MFN", "MFM", "MISA", "MMIM", "Self-MM", "HyCon", "SUGRM", "CubeMLP", "AOBERT",
)  # fmt: skip
_CLIP = Unmeasured(
    "this clip's frames and the authors' labels for others to compare with", "mugkit prepare mosi --source PATH"
)

# Each claim lists its name, its sentence, its test, its data sets and its tables, in two or three lines.
# fmt: off
_ABSTRACT = (
    Claim("abstract-noise", "The clip's label is not always right for a single modality.", Contradicted(0.01)),
    Claim("abstract-baselines", "MUG is better than its competitive baselines.",
          Better("mug", BASELINES), _ALL_THREE, (3, 4)),
    Claim("abstract-labels", "MUG learns accurate unimodal labels: closer to the truth than the clip's label.",
          Better("mug", ("copy",), LABEL_MEASURES, "labels"), _ALL_THREE),
    Claim("abstract-gap",
          "The contrastive projection narrows the gap between unimodal and projected representations.",
          Embedding("probe", -1), _MOSI),
    Claim("abstract-joint",
          "Training unimodal tasks along gives features that serve the multimodal prediction better.",
          Better("mug", ("mug-without-unimodal",)), ("mosi", "sims"), (5,)),
)

_ALGORITHM = (
    Claim("3.3.1-mlc", "MUG's meta-learning is better than MLC's with a considerable margin.",
          Better("mug", ("mlc",)), _MOSI, (5,), amount="over"),
)

_BASELINES = (
    Claim("4.6-majority", "On BERT, MUG is the best system in most metrics.",
          Better("mug", BERT_BASELINES, most=True), _BOTH, (3,)),
    Claim("4.6-hycon", "MUG is better than HyCon in Acc7, Acc2 and F1.",
          Better("mug", ("hycon",), _POINTS), _MOSI, (3,), sizes={"Acc7": 0.9, "Acc2": 0.6, "F1": 0.5}),
    Claim("4.6-aobert-acc7", "MUG is far better than AOBERT in Acc7.",
          Better("mug", ("aobert",), ("Acc7",)), _MOSI, (3,), sizes={"Acc7": 7.0}, amount="over"),
    Claim("4.6-human", "People, asked for the sentiment of MOSI's clips, do about as well as these systems.",
          Unmeasured("the single raters' scores of MOSI",
                     "none is published; the paper cites another paper's number"), _MOSI),
    Claim("4.6-cubemlp", "MUG is better than CubeMLP in Acc2 and F1.",
          Better("mug", ("cubemlp",), ("Acc2", "F1")), _MOSEI, (3,), sizes={"Acc2": 0.5, "F1": 1.1}),
    Claim("4.6-aobert", "MUG is better than AOBERT in Acc7, F1 and Corr.",
          Better("mug", ("aobert",), ("Acc7", "F1", "Corr")), _MOSEI, (3,)),
    Claim("4.6-best-on-bert", "On BERT, MUG has the best Acc2, F1 and Corr.",
          Better("mug", BERT_BASELINES, ("Acc2", "F1", "Corr")), _MOSEI, (3,)),
    Claim("4.6-self-mm", "MUG is clearly better than Self-MM.", Better("mug", ("self-mm",)), _BOTH, (3,),
          amount="over"),
    Claim("4.6-self-mm-sims", "On SIMS too, MUG is better than Self-MM, in MAE, Corr and Acc2.",
          Better("mug", ("self-mm",), ("MAE", "Corr", "Acc2")), _SIMS, (4,)),
    Claim("4.6-label-learning",
          "It is the labels that make MUG better than Self-MM: on MUG's networks, MUCN's labels beat Self-MM's (ULGM, "
          "with the weights of clips that come with them).",
          Better("mug", ("ulgm",)), _ALL_THREE, (3,), _SELF_MM_ROWS),
    Claim("4.6-sugrm", "MUG is clearly better than SUGRM.", Better("mug", ("sugrm",)), _ALL_THREE, (3, 4),
          amount="over"),
    Claim("4.6-meta-learned-labels",
          "Meta-learned labels are better than those that Self-MM and SUGRM compute from distances between features.",
          Better("mug", ("ulgm", "sugrm"), LABEL_MEASURES, "labels"), _ALL_THREE),
    Claim("4.6-unimse-on-bert", "A system that reads text with T5 (UniMSE) is better than systems on BERT.",
          Better("unimse", BERT_BASELINES), _BOTH, (3,)),
    Claim("4.6-t5", "T5 in place of BERT makes MUG better in every metric.",
          Better("mug-t5", ("mug",)), _BOTH, (3,)),
    Claim("4.6-unimse", "On T5, MUG is better than UniMSE.", Better("mug-t5", ("unimse",)), _BOTH, (3,)),
    Claim("4.6-order-table3", "Table 3 as a whole: its systems come in this order.",
          SameOrder(3), _BOTH, (3,), _TABLE_3, quoted=_MOSI),
    Claim("4.6-order-table4", "Table 4 as a whole: its systems come in this order.", SameOrder(4), _SIMS),
    *(Claim(f"4.6-level-{name}", f"The numbers of Table {table} on {name.upper()} themselves.",
            SameLevel(table, name), (name,)) for table, name in ((3, "mosi"), (3, "mosei"), (4, "sims"))),
)

_TRUE_LABELS = (
    Claim("4.7-true-labels-help",
          "True unimodal labels make the prediction better in every metric than no unimodal tasks do.",
          Better("mug-true-labels", ("mug-without-unimodal",), _OF_SIMS), _SIMS, (4,)),
    Claim("4.7-learned-labels-help", "Learned unimodal labels make the prediction better than no unimodal tasks do.",
          Better("mug", ("mug-without-unimodal",), _OF_SIMS), _SIMS, (4,)),
    Claim("4.7-true-before-learned", "Learned labels stay slightly behind true ones.",
          Better("mug-true-labels", ("mug",), _OF_SIMS), _SIMS, (4,), amount="under"),
    Claim("4.7-labels-noisy", "Learned labels still hold noise: more than is of interest.", Noisy("mug"), _SIMS),
)

_ABLATIONS = (
    Claim("4.8-unimodal-tasks", "Without unimodal tasks Acc7, Acc2 and F1 drop by about 2 points.",
          Better("mug", ("mug-without-unimodal",), _POINTS), _MOSI, (5,),
          sizes=dict.fromkeys(_POINTS, 2.0), amount="about"),
    Claim("4.8-multimodal-denoising", "The multimodal denoising task brings about 1 point of Acc7, Acc2 and F1.",
          Better("mug", ("mug-without-multimodal-denoising",), _POINTS), _MOSI, (5,),
          sizes=dict.fromkeys(_POINTS, 1.0), amount="about"),
    Claim("4.8-multimodal-denoising-labels", "The multimodal denoising task makes the learned labels better.",
          Better("mug", ("mug-without-multimodal-denoising",), LABEL_MEASURES, "labels"), _MOSI),
    Claim("4.8-contrastive", "Without contrastive learning most metrics are considerably worse.",
          Better("mug", ("mug-without-contrastive",), most=True), _MOSI, (5,), amount="over"),
    Claim("4.8-contrastive-labels", "Contrastive learning makes the learned labels more accurate.",
          Better("mug", ("mug-without-contrastive",), LABEL_MEASURES, "labels"), _MOSI),
    Claim("4.8-copy",
          "With the clip's label for every modality, Acc7 and Acc2 drop by about 1 point, and the rest is worse.",
          Better("mug", ("copy",)), _MOSI, (5,), sizes={"Acc7": 1.0, "Acc2": 1.0}, amount="about"),
    Claim("4.8-copy-labels", "Meta-learned labels are better unimodal labels than the clip's label.",
          Better("mug", ("copy",), LABEL_MEASURES, "labels"), _MOSI),
    Claim("4.8-mlc", "With MLC in place of MUG's meta-learning every metric declines.",
          Better("mug", ("mlc",)), _MOSI, (5,)),
    Claim("4.8-mlc-labels", "MUG's meta-learning learns more accurate labels than MLC.",
          Better("mug", ("mlc",), LABEL_MEASURES, "labels"), _MOSI),
    Claim("4.8-mlc-stable", "MUG's meta-learning is more stable than MLC: its labels depend less on the seed.",
          Steadier("mug", "mlc"), _MOSI),
    Claim("4.8-level-mosi", "The numbers of Table 5 themselves.", SameLevel(5, "mosi"), _MOSI),
)

_EMBEDDING = (
    Claim("4.9-gap", "With contrastive learning the gap between unimodal and projected representations shrinks.",
          Embedding("gap", -1), _MOSI),
    Claim("4.9-shape", "With contrastive learning their distributions take a similar shape.",
          Embedding("shape", -1), _MOSI),
    Claim("4.9-remains", "Some gap remains all the same.", Embedding("remains", 1), _MOSI),
    Claim("4.9-target",
          "Contrastive learning moves projected representations more than unimodal ones.",
          Embedding("target", -1), _MOSI),
    Claim("4.9-stays", "The distribution of unimodal representations is almost the same with and without it.",
          Embedding("stays", -1), _MOSI),
    Claim("4.9-probe", "The gap shrinks, asked of a linear probe (ours): it tells the two apart less well.",
          Embedding("probe", -1), _MOSI),
)

_HYPERPARAMETERS = (
    Claim("4.10-beta", "MUG does well over a wide range of β, from 0.01 to 1.", Sweep("beta", good=(0.01, 1.0)), _MOSI,
          said={"smallest good β": 0.01, "largest good β": 1.0}),
    Claim("4.10-small-beta", "A smaller β is much worse (here: than the β that was chosen).",
          Sweep("beta", bad=(0.0, 0.009)), _MOSI, amount="over"),
    Claim("4.10-alpha", "MUG does well over a wide range of α (here: from a decade below Table 2's).",
          Sweep("alpha", good=(4e-4, 6e-3)), _MOSI),
    Claim("4.10-large-alpha", "A large α is much worse (here: from a decade above Table 2's).",
          Sweep("alpha", bad=(0.04, 1e9)), _MOSI, amount="over"),
)

_CASES = (
    Claim("4.11-sample-1",
          "A clip with a blank face gets a visual label near 0 and clearly negative acoustic and language labels.",
          _CLIP, _MOSI, said={"acoustic": -1.9150, "visual": 0.0059, "language": -1.5634, "clip": -1.8}),
    Claim("4.11-sample-2", "A clip whose modalities contradict each other gets labels of either sign.",
          _CLIP, _MOSI, said={"acoustic": -1.3074, "visual": 0.6132, "language": -0.9897, "clip": -1.0}),
    Claim("4.11-contradictory",
          "MUG handles clips whose modalities contradict each other: there too its labels are better than the clip's.",
          Better("mug", ("copy",), ("MAE", "sign %"), "labels of disagreeing clips"), _MOSI),
    Claim("4.11-right-way",
          "Learned labels are appropriate: "
          "where the clip's label is wrong for a modality, they move towards the truth.",
          AllClips("moved to the side of the truth"), _MOSI),
    Claim("4.11-neutral",
          "MUG labels a modality that says nothing near neutral more often than one that agrees with the clip.",
          AllClips("neutral modality found"), _MOSI),
    Claim("4.11-contradiction",
          "Where a modality contradicts the clip, its learned label has the sign opposite to the clip's more often than"
          " where they agree.",
          AllClips("contradiction found"), _MOSI),
    Claim("4.11-labels-to-inference",
          "Accurate unimodal labels make the multimodal prediction more accurate (here: true ones in place of copies).",
          Better("mug-true-labels", ("copy",)), _MOSI),
)

_COST = (
    Claim("4.12-parameters", "MUG, MISA, MMIM and Self-MM have these numbers of trainable parameters.",
          SameCount(("MUG", "MISA", "MMIM", "Self-MM")), _MOSEI, (6,)),
    Claim("4.12-mag-bert", "MAG-BERT has as many parameters as MISA.",
          Unmeasured("MAG-BERT, which is in none of the paper's tables",
                     "see NOTES in evaluation/published.py: MISA has them"), _MOSEI, said={"parameters": 110_917_345}),
    Claim("4.12-moderate", "MUG is of moderate size: between MMIM and MISA.",
          InOrder(("MMIM", "MUG", "MISA")), _MOSEI, (6,)),
    Claim("4.12-more-than-self-mm", "MUG has slightly more parameters than Self-MM.",
          InOrder(("Self-MM", "MUG")), _MOSEI, (6,)),
    Claim("4.12-stages-once",
          "Stages 1 and 2, which run once for all seeds, cost little (here: less than half of all training time).",
          SmallShare(("1 pretrain", "2 meta-learn"), 0.5)),
    Claim("4.12-self-mm", "An iteration of stage 3 is faster than one of Self-MM.",
          FasterStep("mug", "self-mm"), said={"MUG, s": 0.86, "Self-MM, s": 1.16}),
    Claim("4.12-stage-3",
          "Computing labels in training, as Self-MM does, costs time: on MUG's networks a step that does takes longer.",
          FasterStep("mug", "ulgm")),
)

CLAIMS: tuple[Claim, ...] = (
    *_ABSTRACT, *_ALGORITHM, *_BASELINES, *_TRUE_LABELS, *_ABLATIONS, *_EMBEDDING, *_HYPERPARAMETERS, *_CASES, *_COST
)
