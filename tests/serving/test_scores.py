"""Scores as clients get them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from attnmass.results.ranking import Ranking, Timings
from attnmass.scoring.ranked import RankedChunk
from attnmass.serving.errors import HttpError
from attnmass.serving.scores import scored


def ranking(*chunks: Any) -> Ranking:
    """A ranking of these."""
    return Ranking("q", tuple(chunks), (), None, Timings(0, 0, 0, 0))  # type: ignore[arg-type]


def test_share_and_top1() -> None:
    """Shares are the ranker's; with top1 the best is at 1, whatever its share."""
    found = ranking(RankedChunk(2, 0.05, 3), RankedChunk(0, 0.02, 3), RankedChunk(1, 0.0, 0))
    assert [(each.index, each.score) for each in scored(found, "share")] == [
        (2, 0.05),
        (0, 0.02),
        (1, 0.0),
    ]
    assert [each.score for each in scored(found, "top1")] == [1.0, 0.02 / 0.05, 0.0]


@pytest.mark.parametrize("score", [0.0, 5e-324, 1.0])
def test_top1_at_the_ends(score: float) -> None:
    """No score is above 1, and nothing is divided by 0."""
    found = scored(ranking(RankedChunk(0, score, 1), RankedChunk(1, score, 1)), "top1")
    assert [each.score for each in found] == [1.0 if score else 0.0] * 2
    assert scored(ranking(), "top1") == []


@dataclass(frozen=True)
class Told(RankedChunk):
    """A chunk that tells its relevance."""

    relevance: float | None = None


def test_relevance_orders_what_has_it() -> None:
    """Relevance is the score and the order, and what was not read has none and comes last."""
    first = Told(0, 0.6, 3, relevance=0.2)
    skipped = Told(2, 0.0, 0, skipped="blank")
    found = scored(ranking(first, Told(1, 0.4, 3, relevance=0.9), skipped), "relevance")
    assert [(each.index, each.score) for each in found] == [(1, 0.9), (0, 0.2), (2, 0.0)]
    with pytest.raises(HttpError, match="--scores top1") as caught:
        scored(ranking(replace(first, relevance=None)), "relevance")
    assert caught.value.status == 424


def test_evidence_keeps_the_order() -> None:
    """The best is at the evidence that there is, and all else below it in the ranking's order."""
    chunks = (Told(1, 0.6, 3, relevance=0.3), Told(0, 0.3, 3, relevance=0.8), Told(2, 0.0, 0))
    found = replace(ranking(*chunks), evidence=0.8)
    assert [(each.index, each.score) for each in scored(found, "evidence")] == [
        (1, 0.8),
        (0, 0.4),
        (2, 0.0),
    ]
    assert scored(found, "auto") == scored(found, "evidence")
    assert scored(replace(found, evidence=0.01), "auto")[0].score == 0.01


def test_without_relevance_the_best_is_at_1() -> None:
    """What a model does not tell is not made up: by default it is top1, else an error."""
    found = replace(ranking(RankedChunk(0, 0.05, 3), RankedChunk(1, 0.01, 3)), evidence=0.05)
    assert scored(found, "auto") == scored(found, "top1")
    with pytest.raises(HttpError, match="--scores top1"):
        scored(found, "evidence")
    nothing = ranking(RankedChunk(0, 0.0, 0, skipped="blank"))
    assert [each.score for each in scored(nothing, "evidence")] == [0.0]


@pytest.mark.parametrize("least", [0.2, 0.5])
def test_thresholds_of_clients(least: float) -> None:
    """Those that RAGFlow (0.2) and Dify (0.5) come with keep what answers, or nothing."""
    many = [Told(n, 0.05 - n / 1000, 3, relevance=0.05) for n in range(1, 20)]
    answered = replace(ranking(Told(0, 0.3, 3, relevance=0.95), *many), evidence=0.95)
    assert [each.index for each in scored(answered, "auto") if each.score >= least] == [0]
    unanswered = replace(ranking(*many), evidence=0.05)
    assert [each for each in scored(unanswered, "auto") if each.score >= least] == []
    assert [each for each in scored(unanswered, "top1") if each.score >= least]
