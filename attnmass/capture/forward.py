"""One forward pass of a view: what it may see, what it leaves, and what is recorded of it.

The pass is the meeting point of the hooks that transformers offers: the attention function, the
mask function and the cache all ask the pass that is active in their thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        scores = self.scores(query, key, mask)
        if self.sinks is None:
            return scores.softmax(dim=-1)
        shared = self.sinks.float().reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        return torch.cat([scores, shared], dim=-1).softmax(dim=-1)[..., :-1]

    def scores(self, query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
        """What the softmax is taken of, fp32, sinks left out; arguments as in `weights`."""
        scores = (query @ key.transpose(2, 3)).float() * self.scaling
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        return scores.masked_fill(~mask, -math.inf)


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
        key_block: Past keys that are looked at together; `None` for all. Blocks need less memory
            and give the same.
    """

    positions: Tensor
    last_layer: int
    past: Sequence[KeyValues] = ()
    segments: Tensor | None = None
    heads: Mapping[int, Tensor] = field(default_factory=dict)
    rows: Sequence[Tensor] = ()
    keep: bool = False
    key_block: int | None = None
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
        old = self._gather(self.past, layer, kind, new)
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
        mask = mask.to(query.device)  # layers may lie on several devices
        self.store(key, value, layer)
        if self.key_block is not None:
            return self._attend_in_blocks(layer, query, key, value, mask, rule)
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

    def _attend_in_blocks(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, rule: ScoreRule
    ) -> Tensor:
        """`attend`, block of keys by block, merged exactly by their log-sum-exp.

        As in online softmax (Milakov and Gimelshein, arXiv 1805.02867, algorithm 3).
        """
        group = query.shape[1] // key.shape[1]
        needed = layer != self.last_layer
        shape = query.shape[:3]
        if rule.sinks is None:
            best = query.new_full((*shape, 1), -math.inf, dtype=torch.float32)
            total = torch.zeros_like(best)
        else:
            best = rule.sinks.float().reshape(1, -1, 1, 1).expand(*shape, 1)
            total = torch.ones_like(best)
        out = query.new_zeros((*shape, value.shape[-1]), dtype=torch.float32)
        chosen = self.heads[layer].to(query.device) if layer in self.heads else None
        rows = torch.cat(list(self.rows)).to(query.device) if chosen is not None else None
        seen: list[Tensor] = []
        start = 0
        for block in self._blocks():
            keys = self._gather(block, layer, "keys", key)
            end = start + keys.shape[2]
            keys = keys.repeat_interleave(group, dim=1)
            scores = rule.scores(query, keys, mask[..., start:end])  # [1, head, token, key]
            higher = torch.maximum(best, scores.amax(dim=-1, keepdim=True))
            safe = higher.masked_fill(higher == -math.inf, 0.0)  # rows that have seen nothing yet
            shrink = torch.exp(best - safe)
            weights = torch.exp(scores - safe)
            total = total * shrink + weights.sum(dim=-1, keepdim=True)
            if needed:
                values = self._gather(block, layer, "values", value)
                out = out * shrink + weights @ values.repeat_interleave(group, dim=1).float()
            if chosen is not None and rows is not None:
                exact = rule.of(chosen).scores(
                    query[:, chosen][:, :, rows].float(),
                    keys[:, chosen].float(),
                    mask[:, :, rows, start:end],
                )
                seen.append(exact)
            best, start = higher, end
        if chosen is not None and rows is not None:
            every = torch.cat(seen, dim=-1)
            if rule.sinks is not None:
                shared = rule.sinks[chosen].float().reshape(1, -1, 1, 1)
                every = torch.cat([every, shared.expand(*every.shape[:3], 1)], dim=-1)
            weights = every.softmax(dim=-1)[..., : mask.shape[-1]]
            self.keep_rows(layer, weights[0], query.dtype)
            if not needed:
                raise StopForward
        return (out / total).to(value.dtype).transpose(1, 2).contiguous()

    def _blocks(self) -> Iterator[Sequence[KeyValues] | None]:
        """The past in runs of at most `key_block` tokens, then `None` for the new tokens."""
        block: list[KeyValues] = []
        for part in self.past:
            if block and sum(map(len, block)) + len(part) > (self.key_block or 0):
                yield block
                block = []
            block.append(part)
        if block:
            yield block
        yield None

    def _gather(
        self, block: Sequence[KeyValues] | None, layer: int, kind: str, new: Tensor
    ) -> Tensor:
        """Keys or values of a block, `[1, kv_head, key, dim]`, where the new ones are."""
        if block is None:
            return new
        parts = [getattr(part, kind)[layer].to(new.device, new.dtype) for part in block]
        return torch.cat(parts, dim=1)[None]

    def record(self, layer: int, query: Tensor, key: Tensor, mask: Tensor, rule: ScoreRule) -> None:
        """Recompute the selected heads' rows in fp32 and keep their mean over each segment."""
        heads = self.heads[layer].to(query.device)  # [selected]
        keys = key[:, heads // (query.shape[1] // key.shape[1])]  # [1, selected, key, dim]
        rows = torch.cat(list(self.rows)).to(query.device)
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
        means = torch.stack([part.mean(dim=1) for part in parts])  # [query, selected, key]
        self.recorded[layer] = means.to(self.positions.device)
