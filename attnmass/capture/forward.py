"""One forward pass of a view: what it may see, what it leaves behind, and what is recorded.

The pass is the meeting point of the hooks that transformers offers: the attention function, the
mask function and the cache all ask the pass that is active in their thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from attnmass.capture.core import check_finite
from attnmass.capture.fused import Fused
from attnmass.capture.rule import OnlineSoftmax, ScoreRule
from attnmass.capture.states import KeyValues, blocks, joined

MaskFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

ACTIVE: ContextVar[ForwardPass] = ContextVar("attnmass_forward_pass")


class Tapped(Protocol):
    """What extracts vectors from a pass, see `attnmass.capture.vectors`."""

    wanted: tuple[str, ...]
    turning: str

    def see(self, layer: int, query: Tensor, key: Tensor, rule: ScoreRule) -> None:
        """Called with a selected layer's new vectors."""


class StopForward(Exception):  # noqa: N818 - a signal, never seen by callers
    """Ends a forward pass once nothing above is needed."""


class passing:  # noqa: N801 - as in contextlib
    """Around a forward pass: the functions that transformers calls find its state in `active`.

    A class, since on Python 3.13.0 a generator that an exception was thrown into holds it in a
    reference cycle, and with it whatever is in the frames that it came through: the model.
    """

    def __init__(self, active: ContextVar[Any], state: object) -> None:
        self._active = active
        self._state = state

    def __enter__(self) -> None:
        self._token = self._active.set(self._state)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> bool:
        self._active.reset(self._token)
        return isinstance(error, StopForward)


@dataclass
class ForwardPass:
    """What one forward pass sees and leaves behind. Used by one thread, once.

    Attributes:
        positions: Position of each new token, `[token]`; the same for every row of the batch.
        past: Keys and values that come before the new tokens, seen by each row of the batch.
        segments: Query number of each new token, `[token]`: queries in one pass do not see each
            other. `None` is one segment.
        heads: The selected heads, by layer.
        rows: The rows (new tokens) whose attention is recorded, one tensor for each segment; none
            in a pass that only keeps.
        last_layer: The layer after which nothing is needed.
        keep: Whether keys and values of the new tokens are kept.
        key_block: Past keys that are looked at together; `None` for all. Blocks need less memory
            and give the same result.
        shifts: By how many positions each of `past` counts as nearer to the new tokens in what they
            may see, though not in its distance; none where it is empty.
        kept_heads: Which KV heads of the last layer are kept, once it has run; `None` is all.
        keys: What `store` kept, by layer.
        values: Likewise.
        recorded: Mean attention of the selected heads by layer, `[segment, selected, key]`.
        fused: How layers with nothing special about them attend.
        scratch: Memory that layers share, by kind.
        tap: Sees the selected layers' vectors, in a pass that is run for them.
    """

    positions: Tensor
    last_layer: int
    past: Sequence[KeyValues] = ()
    segments: Tensor | None = None
    heads: Mapping[int, Sequence[int]] = field(default_factory=dict)
    rows: Sequence[Tensor] = ()
    keep: bool = False
    key_block: int | None = None
    shifts: Sequence[int] = ()
    kept_heads: tuple[int, ...] | None = None
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    recorded: dict[int, Tensor] = field(default_factory=dict)
    fused: Fused = field(default_factory=Fused)
    scratch: dict[str, Tensor] = field(default_factory=dict)
    tap: Tapped | None = None

    def mask(self, mask_function: MaskFunction) -> Tensor:
        """Evaluate the model's own mask rule at positions, not at indices into a cache.

        Args:
            mask_function: `(batch, head, query, key) -> allowed`, as composed by transformers
                (causal, sliding window, chunked).

        Returns:
            Whether a new token may look at a key (past first), `[1, 1, token, key]`, bool.
        """
        new = self.positions
        shifts = self.shifts or [0] * len(self.past)
        places = [
            part.positions + shift if shift else part.positions
            for part, shift in zip(self.past, shifts, strict=True)
        ]
        keys = torch.cat([*places, new])
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
        return joined(self.past, new, layer, kind, append=True) if self.past else new

    def _with_past_for_now(self, new: Tensor, layer: int, kind: str) -> Tensor:
        """The same, until the next layer asks: fresh memory for each would take as long again."""
        if not self.past:
            return new
        out = joined(self.past, new, layer, kind, append=True, out=self.scratch.get(kind))
        self.scratch[kind] = out
        return out

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
            rule: How the family makes scores from products.

        Returns:
            `[batch, token, head, dim]`.
        """
        if self.tap is not None and layer in self.heads:
            self.tap.see(layer, query, key, rule)
            if layer == self.last_layer:
                raise StopForward
        mask = mask.to(query.device)  # layers may lie on several devices
        group = query.shape[1] // key.shape[1]
        read = [head // group for head in self.heads.get(layer, ())]  # KV head of each selected one
        if layer == self.last_layer:
            self.kept_heads = tuple(sorted(set(read)))
            key = key[:, list(self.kept_heads)]
            read = [self.kept_heads.index(head) for head in read]
        self.store(key, value, layer)
        if self.key_block is not None:
            return self._attend_in_blocks(layer, query, key, value, mask, rule, read)
        key = self._with_past_for_now(key, layer, "keys")
        if read and self.rows:
            self.record(layer, query, key, mask, rule, read)
        if layer == self.last_layer:
            raise StopForward
        value = self._with_past_for_now(value, layer, "values")
        if rule.is_plain:
            out = self.fused(query, key, value, mask, rule.scaling)
        else:
            key, value = (x.repeat_interleave(group, dim=1) for x in (key, value))
            out = rule.weights(query, key, mask).to(value.dtype) @ value
        return out.transpose(1, 2).contiguous()

    def _attend_in_blocks(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
        rule: ScoreRule,
        read: Sequence[int],
    ) -> Tensor:
        """`attend`, block of keys by block, merged exactly by their log-sum-exp.

        Arguments as in `attend`; `read` is the KV head in `key` of each selected head.
        """
        batch, n_heads, n_tokens, n_dims = query.shape
        group = n_heads // value.shape[1]
        merged = OnlineSoftmax(query, value.shape[-1], rule)
        seen: list[Tensor] = []
        start = 0
        for block in (*blocks(self.past, self.key_block), ()):  # the new tokens come last
            keys = joined(block, key, layer, "keys", append=False) if block else key
            part = mask[..., start : start + keys.shape[2]]
            if read:
                seen.append(self._selected_scores(layer, query, keys, part, rule, read))
            if layer != self.last_layer:
                values = joined(block, value, layer, "values", append=False) if block else value
                # Heads that share keys become rows of one head, as in `Fused`.
                rows = query.reshape(batch, values.shape[1], group * n_tokens, n_dims)
                scores = rule.scores(rows, keys, part.repeat(1, 1, group, 1))
                merged.add(scores, values)
            start += keys.shape[2]
        if read:
            every = torch.cat(seen, dim=-1)
            weights = rule.of(self.heads[layer]).softmax(every)
            self.keep_rows(layer, weights[0], query.dtype)
        if layer == self.last_layer:
            raise StopForward
        return merged.result().to(value.dtype).transpose(1, 2).contiguous()

    def record(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        mask: Tensor,
        rule: ScoreRule,
        read: Sequence[int],
    ) -> None:
        """Recompute the selected heads' rows in fp32 and keep their mean over each segment."""
        scores = self._selected_scores(layer, query, key, mask, rule, read)
        self.keep_rows(layer, rule.of(self.heads[layer]).softmax(scores)[0], query.dtype)

    def _selected_scores(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        mask: Tensor,
        rule: ScoreRule,
        read: Sequence[int],
    ) -> Tensor:
        """Scores of the selected heads' rows, fp32, `[1, selected, row, key]`."""
        rows = torch.cat(list(self.rows)).to(query.device)
        heads = list(self.heads[layer])
        queries = query[:, heads][:, :, rows].float()  # [1, selected, row, dim]
        keys = key[:, list(read)].float()  # [1, selected, key, dim]
        return rule.of(heads).scores(queries, keys, mask[:, :, rows])

    def keep_rows(self, layer: int, weights: Tensor, dtype: torch.dtype) -> None:
        """Average attention rows `[selected, row, key]` over the rows of each segment."""
        check_finite(weights, f"attention of layer {layer} has", dtype)
        parts = torch.split(weights, [len(rows) for rows in self.rows], dim=1)
        means = torch.stack([part.mean(dim=1) for part in parts])  # [query, selected, key]
        self.recorded[layer] = means.to(self.positions.device)
