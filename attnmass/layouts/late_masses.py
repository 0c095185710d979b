"""The masses of the late layout's chunks: those of chunks at once, of tokens when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from attnmass.layouts.base import Groups
from attnmass.layouts.ignored import Places, cleared
from attnmass.layouts.shards import Held
from attnmass.masses import (
    Denominator,
    KeyVectors,
    Queries,
    look,
    mass_beside,
    token_scores,
)

_MOST_ROWS = 256  # rows of several queries that look at a block of chunks together


@dataclass(frozen=True, slots=True, eq=False)
class HeldVectors:
    """Key vectors of chunks that are in this process; see `attnmass.layouts.shards.Held`.

    Attributes:
        keys: What is kept of each chunk.
        n_read: Tokens that were read for this.
    """

    keys: Sequence[KeyVectors]
    n_read: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    def look(self, queries: Queries, ignored: Places) -> Tensor:
        """See `Held.look`; a bounded number of rows look at a time."""
        keys = list(self.keys)
        gone = []
        for place, tokens in ignored.items():
            counts = torch.ones(len(keys[place]), dtype=torch.bool)
            counts[list(tokens)] = False
            if bool(counts.any()):
                keys[place] = _some(keys[place], counts)
            else:
                gone.append(place)
        parts = queries.vectors.split(_MOST_ROWS)
        found = torch.cat(
            [look(Queries(part, queries.key_of, queries.caps), keys) for part in parts], dim=-1
        )
        found[gone] = -torch.inf
        return found

    def tokens(self, queries: Queries, place: int) -> Tensor:
        """See `Held.tokens`."""
        return token_scores(queries, self.keys[place])


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What rows of a query look at.

    Attributes:
        looking: The rows.
        held: The chunks.
        ignored: For some of them, the tokens that do not count.
    """

    looking: Queries
    held: Held
    ignored: Places

    def seen(self) -> Tensor:
        """How much each chunk has before it shares, `[chunk, head, row]`, see `Held.look`."""
        return self.held.look(self.looking, self.ignored)

    def of(self, part: slice) -> Sight:
        """The same for some rows."""
        looking = self.looking
        rows = Queries(looking.vectors[part], looking.key_of, looking.caps)
        return Sight(rows, self.held, self.ignored)

    def tokens(self, place: int) -> Tensor:
        """What each token of a chunk has, `[row, head, token]`; minus infinity if ignored."""
        found = self.held.tokens(self.looking, place)
        ignored = self.ignored.get(place, ())
        return cleared(found, ignored, -torch.inf) if ignored else found


@dataclass(frozen=True, eq=False)
class TokenMasses(Sequence[Tensor]):
    """What each token of each chunk gets, `[head, token]`, computed when it is asked for.

    A ranking needs it for the chunks that are trimmed or drawn, not for thousands.

    Attributes:
        sight: What is looked at.
        among: What all of them share attention with.
    """

    sight: Sight
    among: Denominator

    def __len__(self) -> int:
        return len(self.sight.held)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Tensor, ...]: ...

    def __getitem__(self, index: int | slice) -> Tensor | tuple[Tensor, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        return self._of(range(len(self))[index])

    def _of(self, place: int) -> Tensor:
        return self._by_row(place).mean(dim=0).float()

    def _by_row(self, place: int) -> Tensor:
        scores = self.sight.tokens(place).double()  # [row, head, token]
        return torch.exp(scores - self.among.total.T[:, :, None]).nan_to_num(nan=0.0)


class RowMasses(TokenMasses):
    """The same for each row by itself, `[row, head, token]`."""

    def _of(self, place: int) -> Tensor:
        return self._by_row(place).float()


class BesideBackground:
    """What chunks and groups of their tokens get alone beside a background; see `Beside`."""

    def __init__(self, sight: Sight, seen: Tensor, company: Denominator) -> None:
        """Compute that of the chunks.

        Args:
            sight: What is looked at.
            seen: Its `seen`.
            company: What the rows see of the background.
        """
        self._sight = sight
        self._company = company
        self.chunks = mass_beside(seen, company)

    def parts(self, place: int, groups: Groups) -> Tensor:
        """See `Beside.parts`."""
        scores = self._sight.tokens(place)
        sums = [
            scores[:, :, list(group)].logsumexp(dim=-1).T  # [head, row]
            if len(group)
            else scores.new_full(scores.shape[1::-1], -torch.inf)
            for group in groups
        ]
        if not sums:
            return torch.zeros(0, scores.shape[1], dtype=torch.float64)
        return mass_beside(torch.stack(sums), self._company)


def _some(keys: KeyVectors, counts: Tensor) -> KeyVectors:
    return KeyVectors(keys.codes[counts], keys.scales[counts])
