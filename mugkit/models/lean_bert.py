"""BERT without unused computation: it skips padding and, in the last layer, every token but the first.

The tokens of a batch are packed one after the other, so linear layers compute real tokens only; only attention spreads
them into padded rows. If Eq. 1 reads only the first token, the last layer computes its query and its feed-forward part
for that token only; keys and values still come from all tokens. Results and gradients are those of the full encoder.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def applies(encoder: nn.Module) -> bool:
    """Whether the encoder is a plain BERT with torch's attention; any other must run its own forward pass."""
    from transformers import BertModel

    if type(encoder) is not BertModel:
        return False
    config = encoder.config
    plain = getattr(config, "position_embedding_type", "absolute") == "absolute" and not config.is_decoder
    return plain and config._attn_implementation == "sdpa"


@dataclass(frozen=True)
class Layout:
    """Positions of a batch's tokens, which are `packed` one after the other or `spread` into rows padded at the end."""

    mask: Bool[Tensor, "batch length"]  # True where a row has a token
    places: Int64[Tensor, "tokens"]  # in the flattened rows

    @classmethod
    def of(cls, mask: Int64[Tensor, "batch length"], places: Int64[Tensor, "tokens"] | None = None) -> "Layout":
        """The layout of a mask that is 1 on tokens; every row begins with a token."""
        return cls(mask.bool(), mask.flatten().nonzero()[:, 0] if places is None else places)

    def packed(self, rows: Shaped[Tensor, "batch length *dim"]) -> Shaped[Tensor, "tokens *dim"]:
        return rows.flatten(0, 1).index_select(0, self.places)

    def spread(self, tokens: Float[Tensor, "tokens dim"]) -> Float[Tensor, "batch length dim"]:
        rows = tokens.new_zeros(self.mask.numel(), tokens.shape[1]).index_copy(0, self.places, tokens)
        return rows.unflatten(0, self.mask.shape)


def last_states(
    encoder: Any, ids: Int64[Tensor, "batch length"], layout: Layout, first_only: bool
) -> Float[Tensor, "batch _ width"]:
    """The last layer's states of each row's first token, or of all its tokens followed by zeros."""
    position = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    packed, place = layout.packed(ids)[None], layout.packed(position)[None]
    kind = torch.zeros_like(packed)  # one sentence; without `kind`, transformers 4 accepts at most 512 tokens
    states = encoder.embeddings(input_ids=packed, token_type_ids=kind, position_ids=place)[0]
    return through_layers(encoder, states, layout, first_only)


def through_layers(
    encoder: Any, states: Float[Tensor, "tokens width"], layout: Layout, first_only: bool
) -> Float[Tensor, "batch _ width"]:
    """`last_states`, given the embeddings of the packed tokens."""
    *below, last = encoder.encoder.layer
    for layer in below:
        states = _layer(layer, states, layout)
    if not first_only:
        return layout.spread(_layer(last, states, layout))
    attention, lengths = last.attention.self, layout.mask.sum(1)
    first = states[lengths.cumsum(0) - lengths]
    mixed = _mixed(attention, attention.query(first)[:, None], states, layout)
    return _finished(last, mixed[:, 0], first)[:, None]


def _layer(layer: Any, states: Float[Tensor, "tokens width"], layout: Layout) -> Float[Tensor, "tokens width"]:
    """One layer, for all tokens."""
    attention = layer.attention.self
    mixed = _mixed(attention, layout.spread(attention.query(states)), states, layout)
    return _finished(layer, layout.packed(mixed), states)


def _mixed(
    attention: Any, query: Float[Tensor, "batch queries width"], states: Float[Tensor, "tokens width"], layout: Layout
) -> Float[Tensor, "batch queries width"]:
    """The output of attention for each query, over the tokens of its row."""
    rows = (query, layout.spread(attention.key(states)), layout.spread(attention.value(states)))
    q, k, v = (x.unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2) for x in rows)
    mask, dropout = layout.mask[:, None, None], attention.dropout  # mask: (batch, 1, 1, length)
    mixed = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout.p if dropout.training else 0.0)
    return mixed.transpose(1, 2).flatten(2)


def _finished(layer: Any, mixed: Float[Tensor, "some width"], states: Float[Tensor, "some width"]) -> Tensor:
    """The part of a layer after attention, applied to each token."""
    attended = layer.attention.output(mixed, states)
    return layer.output(layer.intermediate(attended), attended)
