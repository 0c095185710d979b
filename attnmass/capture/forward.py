"""One forward pass of a view: what it may see, what it leaves, and what is recorded of it.

The pass is the meeting point of the hooks that transformers offers: the attention function, the
mask function and the cache all ask the pass that is active in their thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from attnmass.errors import CaptureError

MaskFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

ACTIVE: ContextVar[ForwardPass] = ContextVar("attnmass_forward_pass")


class StopForward(Exception):  # noqa: N818 - a signal, never seen by callers
    """Ends a forward pass once nothing above is needed."""


@dataclass(frozen=True)
class KeyValues:
    """Keys and values that a run of tokens left behind, by layer.

    Attributes:
        keys: One `[kv_head, token, dim]` for each layer that runs.
        values: Likewise, but for the last layer, whose values nothing reads.
        positions: Position of each token, `[token]`.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    positions: Tensor

    def __len__(self) -> int:
        return self.positions.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the keys are."""
        return self.keys[0].device

    def to(self, device: torch.device) -> KeyValues:
        """The same on another device; positions stay where the model is."""
        return KeyValues(
            tuple(key.to(device) for key in self.keys),
            tuple(value.to(device) for value in self.values),
            self.positions,
        )


@dataclass(frozen=True)
class ScoreRule:
    """How a family makes scores of the products of queries and keys.

    Attributes:
        scaling: Factor on the products.
        softcap: Scores become `softcap * tanh(score / softcap)` (Gemma 2).
        sinks: A learned score by head that takes a share of every row (GPT-OSS), `[head]`.
    """

    scaling: float
    softcap: float | None = None
    sinks: Tensor | None = None

    @property
    def is_plain(self) -> bool:
        """Whether scaled dot-product attention can run it."""
        return self.softcap is None and self.sinks is None

    def of(self, heads: Tensor) -> ScoreRule:
        """The rule of some of the heads, `[selected]`."""
        sinks = None if self.sinks is None else self.sinks[heads]
        return ScoreRule(self.scaling, self.softcap, sinks)

    def weights(self, query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
        """Softmax attention in fp32, `[batch, head, row, key]`, as eager attention has it.

        Args:
            query: `[batch, head, row, dim]`.
            key: `[batch, head, key, dim]`, one for each head.
            mask: Broadcasts to the result, `True` where a row may look.
        """
        scores = (query @ key.transpose(2, 3)).float() * self.scaling
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        scores = scores.masked_fill(~mask, -math.inf)
        if self.sinks is None:
            return scores.softmax(dim=-1)
        shared = self.sinks.float().reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        return torch.cat([scores, shared], dim=-1).softmax(dim=-1)[..., :-1]


@dataclass
class ForwardPass:
    """What one forward pass sees and leaves. Used by one thread, once.

    Attributes:
        positions: Position of each new token, `[token]`; the same for every row of the batch.
        past: Keys and values that come before the new tokens, seen by each row of the batch.
        segments: Query number of each new token, `[token]`: queries in one pass do not see each
            other. `None` is one segment.
        heads: Heads to record, by layer.
        rows: The rows (new tokens) whose attention is recorded, one tensor for each segment.
        last_layer: The layer after which nothing is needed.
        keep: Whether keys and values of the new tokens are kept.
    """

    positions: Tensor
    last_layer: int
    past: Sequence[KeyValues] = ()
    segments: Tensor | None = None
    heads: Mapping[int, Tensor] = field(default_factory=dict)
    rows: Sequence[Tensor] = ()
    keep: bool = False
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    recorded: dict[int, Tensor] = field(default_factory=dict)

    def mask(self, mask_function: MaskFunction) -> Tensor:
        """Evaluate the model's own mask rule at positions, not at indices into a cache.

        Args:
            mask_function: `(batch, head, query, key) -> allowed`, as transformers composes it
                (causal, sliding window, chunked).

        Returns:
            Whether a new token may look at a key (past first), `[1, 1, token, key]`, bool.
        """
        new = self.positions
        keys = torch.cat([*(part.positions for part in self.past), new])
        zero = torch.zeros((1, 1, 1, 1), dtype=torch.long, device=new.device)
        allowed = mask_function(zero, zero, new[None, None, :, None], keys[None, None, None, :])
        allowed = allowed.expand(1, 1, len(new), len(keys))
        if self.segments is not None:
            own = self.segments[:, None] == self.segments[None, :]
            seen = own.new_ones((len(new), len(keys) - len(new)))
            allowed = allowed & torch.cat([seen, own], dim=1)
        return allowed

    def store(self, key: Tensor, value: Tensor, layer: int) -> None:
        """Keep the new tokens' keys and values, `[batch, kv_head, token, dim]`, and maybe stop."""
        if not self.keep:
            return
        self.keys.append(key)
        if layer == self.last_layer:
            raise StopForward
        self.values.append(value)

    def with_past(self, new: Tensor, layer: int, kind: str) -> Tensor:
        """Past and new keys or values of a layer, `[batch, kv_head, key, dim]`."""
        if not self.past:
            return new
        old = torch.cat([getattr(part, kind)[layer] for part in self.past], dim=1)
        old = old.to(device=new.device, dtype=new.dtype)
        return torch.cat([old.expand(new.shape[0], -1, -1, -1), new], dim=2)

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, rule: ScoreRule
    ) -> Tensor:
        """The model's own attention over past and new tokens, recording on the way.

        Args:
            layer: Number of the layer, 0-based.
            query: `[batch, head, token, dim]`.
            key: New tokens' keys, `[batch, kv_head, token, dim]`.
            value: New tokens' values, likewise.
            mask: From `mask`, `[1, 1, token, key]`.
            rule: How the family makes scores of products.

        Returns:
            `[batch, token, head, dim]`.
        """
        self.store(key, value, layer)
        key = self.with_past(key, layer, "keys")
        if layer in self.heads:
            self.record(layer, query, key, mask, rule)
            if layer == self.last_layer:
                raise StopForward
        value = self.with_past(value, layer, "values")
        batch, n_heads, n_tokens, _ = query.shape
        group = n_heads // key.shape[1]
        if rule.is_plain:
            # Heads that share keys become rows of one head: no copy of keys and values for each.
            rows = query.reshape(batch, key.shape[1], group * n_tokens, -1)
            out = functional.scaled_dot_product_attention(
                rows, key, value, attn_mask=mask.repeat(1, 1, group, 1), scale=rule.scaling
            )
            out = out.reshape(batch, n_heads, n_tokens, -1)
        else:
            key, value = (x.repeat_interleave(group, dim=1) for x in (key, value))
            out = rule.weights(query, key, mask).to(value.dtype) @ value
        return out.transpose(1, 2).contiguous()

    def record(self, layer: int, query: Tensor, key: Tensor, mask: Tensor, rule: ScoreRule) -> None:
        """Recompute the selected heads' rows in fp32 and keep their mean over each segment."""
        heads = self.heads[layer]  # [selected]
        keys = key[:, heads // (query.shape[1] // key.shape[1])]  # [1, selected, key, dim]
        rows = torch.cat(list(self.rows))
        queries = query[:, heads][:, :, rows]  # [1, selected, row, dim]
        weights = rule.of(heads).weights(queries.float(), keys.float(), mask[:, :, rows])
        self.keep_rows(layer, weights[0], query.dtype)

    def keep_rows(self, layer: int, weights: Tensor, dtype: torch.dtype) -> None:
        """Average attention rows `[selected, row, key]` over the rows of each segment."""
        if not torch.isfinite(weights).all():
            raise CaptureError(
                f"attention of layer {layer} has NaN or infinite values in {dtype}: "
                "load the model in float32 or bfloat16 (dtype='float32')."
            )
        parts = torch.split(weights, [len(rows) for rows in self.rows], dim=1)
        self.recorded[layer] = torch.stack(
            [part.mean(dim=1) for part in parts]
        )  # [query, sel, key]
