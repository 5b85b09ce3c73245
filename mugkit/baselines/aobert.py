"""AOBERT: one BERT over the sequence of words, video and sound, pre-trained on two tasks, then trained to regress.

Kyeonghun Kim, Sanghyun Park: AOBERT: All-modalities-in-One BERT for multimodal sentiment analysis. Information Fusion
92, 2023.

    input  = [CLS] words [SEP], visual frames, acoustic frames: each an embedding + position + segment
    tasks  = masked language modelling: hidden words of a clip are recovered from its other words, video and sound;
             alignment prediction: from [CLS], whether video and sound belong to the same clip as the words
    ŷ      = a predictor on [CLS]'s state
For the first `pretrain_epochs` epochs the loss is the sum of both tasks, then |y − ŷ|. As in BERT, 15 % of the words
are chosen; of these, 8 in 10 are hidden, 1 in 10 is replaced by another word of the batch, and 1 in 10 stays.

A trained text encoder is this BERT, with its word, position and segment embeddings and its layers. If the encoder is
frozen (the CPU profiles), a small BERT is trained from scratch. Its words are the encoder's token states, narrowed by a
linear layer, and the masked task recovers those states (normalised; mean squared error). A state has information about
its neighbours, so this task is easier than finding words.

Departures:
- Only the article's abstract was available: epochs of pre-training, learning rates and predictor are ours.
- The encoder comes without BERT's MLM head; a new head is trained, its output matrix tied to the word embeddings.
- Frames are averaged to one per token and take the token's position.
- BERT has two segments: video and sound both use the second, and each adds a vector of its own.
- Words are hidden only in clips that keep their own video and sound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from mugkit.baselines.base import Baseline, Shapes
from mugkit.data.batch import Batch, Padded, Tokens
from mugkit.data.encoders import load_tokenizer
from mugkit.data.text import MAX_TOKENS
from mugkit.errors import UserError
from mugkit.models import lean_bert
from mugkit.models.losses import l1
from mugkit.models.mug import Predictor
from mugkit.models.precision import computing, is_compiled
from mugkit.models.tokens import aligned


@dataclass(frozen=True)
class AOBERTConfig:
    """Pre-training, and the sizes of the small BERT that is used if the text encoder is frozen."""

    pretrain_epochs: int = 3  # ours
    hidden: float = 0.15  # share of words chosen, as in BERT
    shrink: int = 2
    dropout: float = 0.1
    width: int = 64
    layers: int = 2
    heads: int = 4


def small_bert(config: AOBERTConfig) -> nn.Module:
    """A BERT from scratch that reads vectors: it has no word embeddings and no pooler."""
    from transformers import BertConfig, BertModel

    shape = BertConfig(
        vocab_size=1,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=2 * config.width,
        max_position_embeddings=MAX_TOKENS,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=0.0,  # dropout of attention weights would take a third of the time
    )
    bert = BertModel(shape, add_pooling_layer=False)
    bert.set_input_embeddings(nn.Identity())
    return bert


def choose(mask: Int64[Tensor, "batch tokens"], share: float) -> Bool[Tensor, "batch tokens"]:
    """Draws the words to recover, but never the first and the last token of a clip, [CLS] and [SEP]."""
    place = torch.arange(mask.shape[1], device=mask.device)[None]
    words = (place > 0) & (place < mask.sum(1, keepdim=True) - 1)
    return words & (torch.rand(mask.shape, device=mask.device) < share)


def hide(
    words: Float[Tensor, "batch tokens width"],
    chosen: Bool[Tensor, "batch tokens"],
    mask: Int64[Tensor, "batch tokens"],
    blank: Float[Tensor, "width"],
) -> Float[Tensor, "batch tokens width"]:
    """Of the chosen words, 80 % become the blank, 10 % become a random word of the batch, and 10 % stay."""
    draw = torch.rand(mask.shape, device=mask.device)[..., None]
    pool = words[mask.bool()]
    others = pool[torch.randint(len(pool), mask.shape, device=mask.device)]
    hidden = torch.where(draw < 0.8, blank, torch.where(draw < 0.9, others, words))
    return torch.where(chosen[..., None], hidden, words)


def exchange(clips: int, device: torch.device) -> Int64[Tensor, "clips"]:
    """The clip whose frames each clip gets: for about half, its neighbour in the batch; for the others, itself."""
    own = torch.arange(clips, device=device)
    return torch.where(torch.rand(clips, device=device) < 0.5, own.roll(1), own)


class AOBERT(Baseline):
    """ŷ = P([CLS] of BERT over words, video and sound)."""

    level = "tokens"
    Config = AOBERTConfig
    light = AOBERTConfig(pretrain_epochs=1, width=32, layers=1, heads=2)

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: AOBERTConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.language = nn.ModuleDict({"encoder": small_bert(config) if encoder is None else encoder})
        width = int(self.bert.config.hidden_size)
        dims = {"v": shapes.visual, "a": shapes.acoustic}
        self.frames = nn.ModuleDict({m: nn.Linear(dim, width) for m, dim in dims.items()})
        self.streams = nn.ParameterDict({m: nn.Parameter(0.02 * torch.randn(width)) for m in dims})
        self.blank = nn.Parameter(0.02 * torch.randn(width))
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.alignment = nn.Linear(width, 1)
        self.predictor = Predictor(width, config.shrink, config.dropout)
        if encoder is None:
            self.words = nn.Linear(shapes.text, width)
            self.recover = nn.Linear(width, shapes.text)
        else:
            self._take_words(encoder)

    @property
    def bert(self) -> Any:
        return self.language["encoder"]

    def _take_words(self, encoder: Any) -> None:
        """Takes word embeddings and the blank ([MASK]) from a trained BERT; ties the output matrix to the embeddings.

        Raises:
            UserError: if the encoder is not a BERT.
        """
        if encoder.config.model_type != "bert":
            raise UserError(
                f"aobert reads all modalities with one BERT, and this text encoder is a {encoder.config.model_type}",
                field="text_encoder",
                fix="name a BERT, e.g. bert-base-uncased",
            )
        table = encoder.get_input_embeddings()
        self.words = table
        self.recover = nn.Linear(table.embedding_dim, table.num_embeddings)
        self.recover.weight = table.weight
        with torch.no_grad():
            self.blank.copy_(table.weight[load_tokenizer(encoder.name_or_path).mask_token_id])

    def embed(self, text: Tokens | Padded) -> Float[Tensor, "batch tokens width"]:
        return self.words(text.values if isinstance(text, Padded) else text.ids)

    def streamed(
        self, batch: Batch, mask: Int64[Tensor, "batch tokens"]
    ) -> dict[str, Float[Tensor, "batch tokens width"]]:
        """Frames of each stream, one per token, as BERT's input."""
        return {m: net(aligned(batch.frames[m], mask)) + self.streams[m] for m, net in self.frames.items()}

    def encode(
        self,
        words: Float[Tensor, "batch tokens width"],
        frames: Mapping[str, Float[Tensor, "batch tokens width"]],
        text_mask: Int64[Tensor, "batch tokens"],
        frame_mask: Int64[Tensor, "batch tokens"],
        first_only: bool = False,
    ) -> Float[Tensor, "batch _ width"]:
        """BERT's states of words, video and sound, or of [CLS] alone."""
        count = text_mask.shape[1]
        position = torch.arange(count, device=text_mask.device).repeat(3)
        segment = (torch.arange(3 * count, device=text_mask.device) >= count).long()
        rows = torch.cat([words, frames["v"], frames["a"]], dim=1)
        mask = torch.cat([text_mask, frame_mask, frame_mask], dim=1)
        places = {"position_ids": position.expand_as(mask), "token_type_ids": segment.expand_as(mask)}
        with computing(self.bert):
            if is_compiled(self.bert) or not lean_bert.applies(self.bert):
                return self.bert(inputs_embeds=rows, attention_mask=mask, **places).last_hidden_state.float()
            layout = lean_bert.Layout.of(mask)
            packed = {name: layout.packed(values)[None] for name, values in places.items()}
            states = self.bert.embeddings(inputs_embeds=layout.packed(rows)[None], **packed)[0]
            return lean_bert.through_layers(self.bert, states, layout, first_only).float()

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        mask = batch.text.mask  # type: ignore[union-attr]
        words, frames = self.embed(batch.text), self.streamed(batch, mask)  # type: ignore[arg-type]
        return self.predictor(self.encode(words, frames, mask, mask, first_only=True)[:, 0])

    def recovery(
        self,
        states: Float[Tensor, "batch tokens width"],
        chosen: Bool[Tensor, "batch tokens"],
        text: Tokens | Padded,
    ) -> Float[Tensor, ""]:
        """The masked task's loss, a mean over the chosen words; 0 if none was chosen."""
        found, count = self.recover(self.transform(states[chosen])), chosen.sum().clamp(min=1)
        if isinstance(text, Tokens):
            return F.cross_entropy(found, text.ids[chosen], reduction="sum") / count
        target = F.layer_norm(text.values[chosen], found.shape[1:])
        return F.mse_loss(found, target, reduction="sum") / (count * found.shape[1])

    def pretraining(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss of masked language modelling plus that of alignment prediction."""
        mask = batch.text.mask  # type: ignore[union-attr]
        words, frames = self.embed(batch.text), self.streamed(batch, mask)  # type: ignore[arg-type]
        source = exchange(len(words), words.device)
        match = source == torch.arange(len(words), device=words.device)
        chosen = choose(mask, self.config.hidden) & match[:, None]
        shown = hide(words, chosen, mask, self.blank)
        states = self.encode(shown, {m: x[source] for m, x in frames.items()}, mask, mask[source])
        matching = F.binary_cross_entropy_with_logits(self.alignment(states[:, 0]).squeeze(1), match.float())
        return self.recovery(states[:, : mask.shape[1]], chosen, batch.text) + matching  # type: ignore[arg-type]

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        if epoch < self.config.pretrain_epochs:
            return self.pretraining(batch)
        return l1(self(batch), batch.labels)
