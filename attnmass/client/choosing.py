"""The choice of chunks and spans by what a server said about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from attnmass.engine.asking import Asked
from attnmass.engine.choosing import Call
from attnmass.results.ranking import Ranking
from attnmass.results.scored import ScoredRanking
from attnmass.scoring.ranked import RankedChunk
from attnmass.scoring.selection import arranged, cut
from attnmass.trimming import Leaning, ScoredText


@dataclass(frozen=True, slots=True)
class Scored:
    """What a server told, as `attnmass.engine.choosing.Looked` has it."""

    told: ScoredRanking

    def scored(self, indices: Sequence[int]) -> Mapping[int, ScoredText]:
        """See `Looked.scored`."""
        return {index: self.told.texts[index] for index in indices}

    def bound(self, index: int) -> float:
        """See `Looked.bound`."""
        return self.told.bounds[index]

    def leaning(
        self, chunks: Sequence[RankedChunk], scored: Mapping[int, ScoredText]
    ) -> Mapping[int, Leaning]:
        """See `Looked.leaning`."""
        return {each.index: self.told.leaning.get(each.index, {}) for each in chunks}


def chosen(scored: ScoredRanking, asked: Asked, least: float | None, call: Call | None) -> Ranking:
    """The ranking that was asked for, out of one that has all chunks.

    Args:
        scored: That one, best first.
        asked: What was asked for.
        least: Relevance below this is too little.
        call: Trims; `None` where that was not asked for.

    Raises:
        BudgetError, PatternError: As `Call.trimmed`.
    """
    every = scored.ranking
    kept, dropped = cut(asked, every.chunks, every.no_evidence, least)
    ranking = replace(every, chunks=tuple(kept), dropped=tuple(dropped))
    if call is None:
        return ranking
    if call.trim.dry_run:
        whole = replace(every, chunks=tuple(arranged(every.chunks, asked.order)))
        return call.tried(whole, ranking, Scored(scored))
    return call.trimmed(ranking, Scored(scored))
