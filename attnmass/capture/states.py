"""What tokens leave behind for later passes, and how it is placed before new tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class KeyValues:
    """Keys and values that a sequence of tokens left behind, by layer.

    Attributes:
        keys: One `[kv_head, token, dim]` for each layer that runs; for the last layer, only the
            heads that the selected heads read, see `Reader.kept_heads`.
        values: Likewise, except for the last layer, whose values nothing reads.
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

    @property
    def is_plain(self) -> bool:
        """Whether the tensors are the numbers themselves; else only `write` can read them."""
        return True

    def to(self, device: torch.device) -> KeyValues:
        """The same on another device; positions stay where the model is."""
        return KeyValues(
            tuple(key.to(device) for key in self.keys),
            tuple(value.to(device) for value in self.values),
            self.positions,
        )

    def write(self, kind: str, layer: int, out: Tensor) -> None:
        """Copy `"keys"` or `"values"` of a layer into `out`, whatever its dtype and device."""
        out.copy_(getattr(self, kind)[layer])


def by_row(
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    positions: Tensor,
    rows: Sequence[Sequence[int]],
) -> list[KeyValues]:
    """What each row of a batch left behind, without padding.

    Args:
        keys: By layer, `[row, kv_head, token, dim]`.
        values: Likewise.
        positions: Those of the longest row's tokens, `[token]`.
        rows: Their token ids.
    """
    return [
        KeyValues(
            tuple(key[i, :, : len(row)] for key in keys),
            tuple(value[i, :, : len(row)] for value in values),
            positions[: len(row)],
        )
        for i, row in enumerate(rows)
    ]


def blocks(past: Sequence[KeyValues], most: int | None) -> Iterator[Sequence[KeyValues]]:
    """The past in runs of at most `most` tokens; `None` is all in one."""
    block: list[KeyValues] = []
    for part in past:
        if most is not None and block and sum(map(len, block)) + len(part) > most:
            yield block
            block = []
        block.append(part)
    if block:
        yield block


def joined(
    past: Sequence[KeyValues],
    new: Tensor,
    layer: int,
    kind: str,
    *,
    append: bool,
    out: Tensor | None = None,
) -> Tensor:
    """Past keys or values one after the other, `[batch, kv_head, key, dim]`, each copied once.

    Args:
        past: At least one, the same for each row of the batch.
        new: The new tokens' own, `[batch, kv_head, token, dim]`; the result has the same form.
        layer: Which layer.
        kind: `"keys"` or `"values"`.
        append: Whether the new ones follow the past.
        out: The result of an earlier call, which this one may overwrite.
    """
    batch, n_heads, n_new, n_dims = new.shape
    last = [new] if append else []
    n_keys = sum(map(len, past)) + (n_new if append else 0)
    shape = (batch, n_heads, n_keys, n_dims)
    if out is None or (out.shape, out.dtype, out.device) != (shape, new.dtype, new.device):
        out = new.new_empty(shape)
    pieces: list[Tensor] = [getattr(part, kind)[layer] for part in past]
    if all(p.is_plain and t.device == new.device for p, t in zip(past, pieces, strict=True)):
        shared = [piece[None].expand(batch, -1, -1, -1) for piece in pieces]
        return torch.cat([*shared, *last], dim=2, out=out)  # converts dtypes on the way
    start = 0
    for part in past:
        part.write(kind, layer, out[:, :, start : start + len(part)])
        start += len(part)
    if append:
        out[:, :, start:] = new
    return out
