"""One forward pass of an encoder-decoder's view, and the functions that transformers calls in it.

The counterpart of `forward` and `interface` for decoders: the attention function asks the pass that
is active in its thread what to look at, and what to record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from attnmass.capture.core import check_finite
from attnmass.capture.forward import StopForward
from attnmass.capture.rule import OnlineSoftmax, ScoreRule
from attnmass.capture.states import KeyValues, blocks, joined

# Views of encoder-decoders name it in their own configs; no other model ever sees it.
CROSS_INTERFACE = "attnmass_cross"

ACTIVE: ContextVar[CrossPass] = ContextVar("attnmass_cross_pass")


@dataclass(frozen=True)
class CrossAttention:
    """Where the selected heads look from the rows of each query, fp32.

    Attributes:
        weights: Attention averaged over the rows, `[query, head, key]`; sums to 1 over the keys.
        logs: Its logarithm averaged over the rows, likewise: the scores before the softmax, up to a
            number that all keys of a head share.
        each: The same for single tokens, where that was asked for, `[query, token, head, key]`.
    """

    weights: Tensor
    logs: Tensor
    each: CrossAttention | None = None


@dataclass
class CrossPass:
    """What one forward pass sees and records. Used by one thread, once.

    Attributes:
        rows: Weights of the rows whose attention is averaged, `[batch, group, token]`.
        heads: The selected heads by layer number.
        cross: The cross-attention modules of layers that look at `past`, by `id`, to their layer.
        inside: The encoder's modules that are recorded, by `id`, to the layer.
        past: What the chunks left behind, in one row; every row of the batch looks at all of it.
        last_layer: The layer after which nothing is needed.
        kept_heads: Which KV heads of the last layer `past` has; `None` for all.
        key_block: Keys that are looked at together; `None` for all.
        recorded: Mean attention of the selected heads by layer, `[batch, selected, group, key]`,
            fp32.
        logs: Mean logarithm of the attention, likewise, for the decoder only.
    """

    rows: Tensor
    heads: Mapping[int, Sequence[int]]
    cross: Mapping[int, int] = field(default_factory=dict)
    inside: Mapping[int, int] = field(default_factory=dict)
    past: Sequence[KeyValues] = ()
    last_layer: int = -1
    kept_heads: tuple[int, ...] | None = None
    key_block: int | None = None
    recorded: dict[int, Tensor] = field(default_factory=dict)
    logs: dict[int, Tensor] = field(default_factory=dict)

    def attend(self, layer: int, query: Tensor, key: Tensor, rule: ScoreRule) -> Tensor:
        """Cross-attention over all of `past`, block by block, merged by the log-sum-exp.

        Args:
            layer: Number of the decoder's layer.
            query: `[batch, head, token, dim]`.
            key: Any of the layer's keys, `[batch, kv_head, any, dim]`, for shape and dtype.
            rule: How the family makes scores from products.

        Returns:
            `[batch, token, head, dim]`, the same as over one sequence of all states.
        """
        group = query.shape[1] // key.shape[1]
        heads = list(self.heads.get(layer, ()))
        read = [head // group for head in heads]
        is_last = layer == self.last_layer
        like = key[:1]
        if is_last and self.kept_heads is not None:
            like = like[:, list(self.kept_heads)]
            read = [self.kept_heads.index(head) for head in read]
        merged = OnlineSoftmax(query, key.shape[-1], rule)
        seen: list[Tensor] = []
        for block in blocks(self.past, self.key_block):
            keys = joined(block, like, layer, "keys", append=False)
            mask = torch.ones((), dtype=torch.bool, device=keys.device)
            if heads:
                some = rule.of(heads).scores(query[:, heads].float(), keys[:, read].float(), mask)
                seen.append(some)
            if not is_last:
                values = joined(block, like, layer, "values", append=False)
                scores = rule.scores(query, keys.repeat_interleave(group, dim=1), mask)
                merged.add(scores, values.repeat_interleave(group, dim=1))
        if heads:
            scores = torch.cat(seen, dim=-1)
            logs = scores.log_softmax(dim=-1) if rule.sinks is None else None
            self.keep(layer, rule.of(heads).softmax(scores), query.dtype, logs)
        if is_last:
            raise StopForward
        return merged.result().to(query.dtype).transpose(1, 2).contiguous()

    def keep(
        self, layer: int, weights: Tensor, dtype: torch.dtype, logs: Tensor | None = None
    ) -> None:
        """Average cross-attention `[batch, selected, row, key]`, and its logarithms, by group."""
        check_finite(weights, f"cross-attention of layer {layer} has", dtype)
        rows = self.rows.to(weights.device)
        if logs is None:
            logs = weights.clamp_min(torch.finfo(weights.dtype).tiny).log()
        self.recorded[layer] = torch.einsum("bgt,bhtk->bhgk", rows, weights).to(self.rows.device)
        self.logs[layer] = torch.einsum("bgt,bhtk->bhgk", rows, logs).to(self.rows.device)

    def keep_inside(self, layer: int, weights: Tensor, dtype: torch.dtype) -> None:
        """Average the encoder's attention `[batch, selected, row, key]` over each group's rows."""
        check_finite(weights, f"attention of encoder layer {layer} has", dtype)
        rows = self.rows.to(weights.device)
        found = torch.einsum("bgt,bhtk->bhgk", rows, weights)
        self.recorded[layer] = found.to(self.rows.device)


def attention_function(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: object,
) -> tuple[Tensor, None]:
    """What views name as their attention; see `transformers.AttentionInterface`."""
    rule = ScoreRule.handed(query, scaling, kwargs)
    active = ACTIVE.get(None)
    if active is not None and id(module) in active.cross:
        return active.attend(active.cross[id(module)], query, key, rule), None
    bias = kwargs.get("position_bias")
    mask = _additive(attention_mask, bias if isinstance(bias, Tensor) else None, query)
    group = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(group, dim=1) for x in (key, value))
    if active is not None and id(module) in active.inside:
        layer = active.inside[id(module)]
        heads = list(active.heads[layer])
        scores = rule.of(heads).scores(
            query[:, heads].float(), key[:, heads].float(), torch.ones_like(query[0, 0, 0, 0]) > 0
        )
        if mask is not None:
            some = mask if mask.shape[1] == 1 else mask[:, heads]
            scores = scores + some.float()
        active.keep_inside(layer, rule.of(heads).softmax(scores), query.dtype)
        if layer == active.last_layer:
            raise StopForward
    if rule.is_plain:
        out = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, scale=rule.scaling
        )
    else:
        scores = rule.scores(query, key, torch.ones_like(query[0, 0, 0, 0]) > 0)
        scores = scores if mask is None else scores + mask.float()
        out = rule.softmax(scores).to(value.dtype) @ value
    return out.transpose(1, 2).contiguous(), None


def full_mask(*args: Any, **kwargs: Any) -> Tensor | None:
    """What views name as their mask: always written in full, so that no rule is left implicit."""
    kwargs |= {"allow_is_causal_skip": False}
    return sdpa_mask(*args, **kwargs)


def _additive(mask: Tensor | None, bias: Tensor | None, query: Tensor) -> Tensor | None:
    """What is added to scores: a position bias, and the dtype's minimum where blocked."""
    if mask is not None and mask.dtype == torch.bool:
        blocked = torch.zeros(mask.shape, dtype=query.dtype, device=mask.device)
        mask = blocked.masked_fill(~mask, torch.finfo(query.dtype).min)
    if mask is None or bias is None:
        return bias if mask is None else mask.to(query.dtype)
    return (mask + bias).to(query.dtype)


AttentionInterface.register(CROSS_INTERFACE, attention_function)
AttentionMaskInterface.register(CROSS_INTERFACE, full_mask)
