"""What follows the chunks, a query or a query with its answer, and one pass over several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from attnmass.capture import KeyValues, Reader
from attnmass.layouts.base import AnsweredQuery
from attnmass.text.prompt import PromptTokens


@dataclass(frozen=True, slots=True)
class Tail:
    """Tokens after the chunks, and which of them are read.

    Attributes:
        ids: Token ids.
        groups: Indices of the tokens of each group whose attention is averaged.
    """

    ids: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.ids)


def query_tail(prompt: PromptTokens, query: Sequence[int], *, by_token: bool = False) -> Tail:
    """The instruction and a query, whose tokens form a group, and on request one each, too."""
    ids = (*prompt.between, *query)
    whole = tuple(range(len(prompt.between), len(ids)))
    return Tail(ids, (whole, *(((token,) for token in whole) if by_token else ())))


def answer_tail(before: Sequence[int], between: Sequence[int], asked: AnsweredQuery) -> Tail:
    """A query with what comes before it and before its answer, with the answer's groups looking."""
    head = (*before, *asked.query.ids, *between)
    return Tail(
        (*head, *asked.answer.ids),
        tuple(tuple(len(head) + token for token in group) for group in asked.groups),
    )


def look_from(
    reader: Reader,
    past: Sequence[KeyValues],
    start: int,
    tails: Sequence[Tail],
    key_block: int | None = None,
    shifts: Sequence[int] = (),
) -> list[Tensor]:
    """Attention of tails that share one pass.

    They come one after the other, at the same positions, and do not see each other.

    Args:
        reader: The heads to read.
        past: What all of them see.
        start: Position of their first token.
        tails: At least one.
        key_block: See `Reader.look`.
        shifts: Likewise.

    Returns:
        For each tail, `[group, head, key]`, the keys being the past's and then those of all tails,
        fp32 on the CPU.
    """
    device = reader.device
    sizes = [len(tail) for tail in tails]
    begins = [0, *accumulate(sizes)][:-1]
    attention = reader.look(
        torch.tensor([token for tail in tails for token in tail.ids], device=device),
        torch.cat([torch.arange(size, device=device) + start for size in sizes]),
        past,
        rows=[
            torch.tensor(group, device=device) + begin
            for tail, begin in zip(tails, begins, strict=True)
            for group in tail.groups
        ],
        segments=torch.arange(len(tails)).repeat_interleave(torch.tensor(sizes)).to(device),
        key_block=key_block,
        shifts=shifts,
    ).cpu()
    return list(attention.split([len(tail.groups) for tail in tails]))
