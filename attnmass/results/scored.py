"""A ranking with the scores of all spans, for whoever chooses among them elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attnmass.results.ranking import Ranking
from attnmass.trimming import Leaning, ScoredText


@dataclass(frozen=True, slots=True)
class ScoredRanking:
    """A ranking of whole chunks, and their spans.

    Attributes:
        ranking: The ranking.
        texts: The spans of each chunk that was read, with their scores, by input index.
        bounds: What no span of a chunk scores more than, likewise.
        leaning: For each chunk what its spans lean on, where that was asked for.
    """

    ranking: Ranking
    texts: Mapping[int, ScoredText]
    bounds: Mapping[int, float]
    leaning: Mapping[int, Leaning]
