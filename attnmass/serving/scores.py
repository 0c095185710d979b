"""Scores as clients get them: in [0, 1], best first."""

from __future__ import annotations

from attnmass.options.choices import Scores
from attnmass.results.ranking import Ranking
from attnmass.scoring.ranked import RankedChunk
from attnmass.serving.asked import Scored
from attnmass.serving.errors import HttpError


def scored(ranking: Ranking, how: Scores) -> list[Scored]:
    """Every chunk of a ranking with its score, best first; ties keep the ranking's order.

    Args:
        ranking: One from which no chunk is dropped.
        how: `"share"`, the ranking's own score, of which a chunk gets less the more others there
            are; `"top1"`, that score divided by the best one's, so that the best has 1 whether it
            is good or not; `"evidence"`, the same times how likely it is that anything here is
            evidence; `"relevance"`, which depends on the query and on the chunk alone, and orders
            by that; or `"auto"`, evidence where the model's head profile tells it, else top1.

    Raises:
        HttpError: If relevance or evidence is asked for and the model does not tell it.
    """
    tells = any(chunk.relevance is not None for chunk in ranking.chunks if not chunk.skipped)
    if how == "auto":
        how = "evidence" if tells else "top1"
    if how == "relevance":
        found = [Scored(chunk.index, _relevance(chunk)) for chunk in ranking.chunks]
        return sorted(found, key=lambda each: -each.score)
    if how == "evidence" and not tells and any(not chunk.skipped for chunk in ranking.chunks):
        raise _untold()
    largest = max((chunk.score for chunk in ranking.chunks), default=0.0)
    by = largest if how != "share" and largest > 0 else 1.0
    best = ranking.evidence if how == "evidence" else 1.0
    # A share divided by a subnormal one may be a little more than 1.
    return [Scored(chunk.index, best * min(1.0, chunk.score / by)) for chunk in ranking.chunks]


def _relevance(chunk: RankedChunk) -> float:
    if chunk.skipped is not None:
        return 0.0
    if chunk.relevance is None:
        raise _untold()
    return chunk.relevance


def _untold() -> HttpError:
    return HttpError(
        424,
        "no_relevance",
        "this model's head profile has no rule for relevance: start the server with "
        "--scores top1 or --scores share",
    )
