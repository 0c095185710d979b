"""Attention inside chunks: where some of a chunk's tokens look at what comes before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from attnmass.capture import KeyValues, Reader
from attnmass.layouts.base import Groups, LayoutOptions
from attnmass.layouts.tails import Tail, look_from
from attnmass.layouts.windows import Window, lowest, query_batches
from attnmass.models.out_of_memory import advising_shorter, halving
from attnmass.text.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Part(Window):
    """The same, for some of the chunk's groups."""

    groups: tuple[int, ...]

    def rows(self, groups: Sequence[Groups], start: int) -> list[list[int]]:
        """Where the tokens of each of its groups are in a pass in which it begins at `start`."""
        shift = start - self.start
        return [
            [t + shift for t in groups[self.chunk][number] if self.start <= t < self.end]
            for number in self.groups
        ]


def look_within(
    reader: Reader,
    prefix: KeyValues,
    chunks: Sequence[Tokens],
    groups: Sequence[Groups],
    options: LayoutOptions,
    room: int | None,
) -> list[Tensor]:
    """Read chunks on their own and see where groups of their tokens look.

    Several chunks share one pass, at the same positions, and do not see each other.

    Args:
        reader: The heads to read.
        prefix: What every chunk comes after.
        chunks: The chunks.
        groups: For each chunk, the token indices of each group, none of them empty.
        options: Bounds on one pass.
        room: Tokens that the model takes of a chunk; `None` for any number. A longer one, or one of
            more than `max_chunk_tokens`, is read in windows that share half of their tokens, each
            group in one of them.

    Returns:
        For each chunk, the attention averaged over each group's tokens, `[group, head, token]`,
        fp32 on the CPU; zeros outside a group's window.

    Raises:
        OutOfMemoryError: Where memory does not hold one window.
    """

    def look(batch: Sequence[Part]) -> list[Tensor]:
        tails = [Tail(part.ids(chunks), tuple(map(tuple, part.rows(groups, 0)))) for part in batch]
        starts = accumulate(map(len, batch), initial=len(prefix))
        return [
            looked[:, :, start : start + len(part)]
            for looked, start, part in zip(
                look_from(reader, (prefix,), len(prefix), tails), starts, batch, strict=False
            )
        ]

    return look_in_parts(look, len(reader.heads), chunks, groups, options, room)


def look_in_parts(
    look: Callable[[Sequence[Part]], list[Tensor]],
    n_heads: int,
    chunks: Sequence[Tokens],
    groups: Sequence[Groups],
    options: LayoutOptions,
    room: int | None,
) -> list[Tensor]:
    """`look_within`, whatever reads the parts: that is `look`, in one pass, for `n_heads` heads.

    For each part, `look` gives `[group, head, token]`; all else is as in `look_within`.
    """
    room = lowest(room, options.max_chunk_tokens)
    parts = [part for i in range(len(chunks)) for part in _parts(i, chunks[i], groups[i], room)]
    found = [
        torch.zeros(len(mine), n_heads, len(chunk), dtype=torch.float32)
        for mine, chunk in zip(groups, chunks, strict=True)
    ]
    for places in query_batches(parts, options):
        batch = [parts[place] for place in places]
        with advising_shorter(max(map(len, batch))):
            done = halving(look, batch)
        for part, looked in zip(batch, done, strict=True):
            found[part.chunk][list(part.groups), :, part.start : part.end] = looked
    return found


def _parts(chunk: int, tokens: Tokens, groups: Groups, room: int | None) -> Iterator[Part]:
    """Windows of a chunk that have groups to read; one window where the chunk is short enough."""
    size = len(tokens) if room is None else min(room, len(tokens))
    starts = [*range(0, len(tokens) - size, max(1, size // 2)), len(tokens) - size]
    mine: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        # The first window that contains the whole group, else the last one that contains its
        # beginning.
        whole = [s for s in starts if s <= group[0] and group[-1] < s + size]
        mine.setdefault(whole[0] if whole else max(s for s in starts if s <= group[0]), []).append(
            number
        )
    for start, numbers in mine.items():
        yield Part(chunk, start, start + size, tuple(numbers))
