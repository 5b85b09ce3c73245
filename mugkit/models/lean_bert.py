"""BERT without the work that nobody reads: padding, and of the last layer all but the first token.

Tokens of a batch stand one after the other, so every linear layer sees real tokens alone; only attention spreads them
into padded rows. Where Eq. 1 reads the first token, the last layer's queries and its feed-forward part are computed for
that token; keys and values still come from all. Results and gradients are the whole encoder's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

# Queries, keys and values by head, the mask, dropout of attention weights → what attention makes of the values.
Attend = Callable[[Tensor, Tensor, Tensor, Tensor, nn.Dropout], Tensor]


def applies(encoder: nn.Module) -> bool:
    """Whether this is a plain BERT; every other encoder has to be run as it comes."""
    from transformers import BertModel

    if type(encoder) is not BertModel:
        return False
    config = encoder.config
    plain = getattr(config, "position_embedding_type", "absolute") == "absolute" and not config.is_decoder
    return plain and config._attn_implementation in ("eager", "sdpa")


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a batch are: `packed` one after the other, or `spread` into rows that end in padding.

    Attributes:
        mask: whether a place in a row holds a token.
        places: the places of all tokens, counted through all rows.
    """

    mask: Bool[Tensor, "batch length"]
    places: Int64[Tensor, "tokens"]

    @classmethod
    def of(cls, mask: Int64[Tensor, "batch length"], places: Int64[Tensor, "tokens"] | None = None) -> Layout:
        """Of a mask that is 1 on tokens; every row begins with one."""
        return cls(mask.bool(), mask.flatten().nonzero()[:, 0] if places is None else places)

    @property
    def starts(self) -> Int64[Tensor, "batch"]:
        """Where each row's first token is among the packed ones."""
        lengths = self.mask.sum(1)
        return lengths.cumsum(0) - lengths

    def packed(self, rows: Shaped[Tensor, "batch length *dim"]) -> Shaped[Tensor, "tokens *dim"]:
        return rows.flatten(0, 1).index_select(0, self.places)

    def spread(self, tokens: Float[Tensor, "tokens dim"]) -> Float[Tensor, "batch length dim"]:
        rows = tokens.new_zeros(self.mask.numel(), tokens.shape[1]).index_copy(0, self.places, tokens)
        return rows.unflatten(0, self.mask.shape)


def last_states(
    encoder: Any, ids: Int64[Tensor, "batch length"], layout: Layout, first_only: bool
) -> Float[Tensor, "batch _ width"]:
    """The last layer's states of every row's first token, or of all its tokens with zeros behind them.

    Args:
        encoder: one that this `applies` to.
        layout: where the tokens are.
    """
    position = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    packed, place = layout.packed(ids)[None], layout.packed(position)[None]
    kind = torch.zeros_like(packed)  # all of one sentence; left out, transformers 4 takes them for 512 tokens at most
    states = encoder.embeddings(input_ids=packed, token_type_ids=kind, position_ids=place)[0]
    return through_layers(encoder, states, layout, first_only)


def through_layers(
    encoder: Any, states: Float[Tensor, "tokens width"], layout: Layout, first_only: bool
) -> Float[Tensor, "batch _ width"]:
    """The same, given what the embeddings make of the packed tokens."""
    attend = _attend if encoder.config._attn_implementation == "sdpa" else _attend_eagerly
    *below, last = encoder.encoder.layer
    for layer in below:
        states = _layer(layer, states, layout, attend)
    if first_only:
        return _first(last, states, layout, attend)[:, None]
    return layout.spread(_layer(last, states, layout, attend))


def _layer(
    layer: Any, states: Float[Tensor, "tokens width"], layout: Layout, attend: Attend
) -> Float[Tensor, "tokens width"]:
    """A whole layer."""
    attention = layer.attention.self
    mixed = _mixed(attention, layout.spread(attention.query(states)), states, layout, attend)
    return _finished(layer, layout.packed(mixed), states)


def _first(
    layer: Any, states: Float[Tensor, "tokens width"], layout: Layout, attend: Attend
) -> Float[Tensor, "batch width"]:
    """A layer for the first tokens."""
    attention, first = layer.attention.self, states[layout.starts]
    return _finished(layer, _mixed(attention, attention.query(first)[:, None], states, layout, attend)[:, 0], first)


def _mixed(
    attention: Any,
    query: Float[Tensor, "batch queries width"],
    states: Float[Tensor, "tokens width"],
    layout: Layout,
    attend: Attend,
) -> Float[Tensor, "batch queries width"]:
    """What attention makes of the values of each row's tokens, for each of its queries."""
    rows = (query, layout.spread(attention.key(states)), layout.spread(attention.value(states)))
    q, k, v = (x.unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2) for x in rows)
    mixed = attend(q, k, v, layout.mask[:, None, None], attention.dropout)  # the mask: batch 1 1 length
    return mixed.transpose(1, 2).flatten(2)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dropout: nn.Dropout) -> Tensor:
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout.p if dropout.training else 0.0)


def _attend_eagerly(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dropout: nn.Dropout) -> Tensor:
    """Has second derivatives on a CPU, too."""
    scores = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).masked_fill(~mask, torch.finfo(q.dtype).min)
    mixed: Tensor = dropout(scores.softmax(-1)) @ v
    return mixed


def _finished(layer: Any, mixed: Float[Tensor, "some width"], states: Float[Tensor, "some width"]) -> Tensor:
    """The rest of a layer behind its attention, token by token."""
    attended = layer.attention.output(mixed, states)
    return layer.output(layer.intermediate(attended), attended)
