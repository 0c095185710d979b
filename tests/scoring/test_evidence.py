"""Whether anything here answers, by relevance and by a retriever's scores."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass.options.choices import RetrievalKind
from attnmass.profiles import FuseRule
from attnmass.scoring.evidence import covered, evidence_of, log_odds
from attnmass.text.rarity import Rarity
from attnmass.text.words import QueryWords

RULE = FuseRule((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), evidence=(0.5, 6.0, -3.0))
LIKELY = [0.9, 0.4, 0.1]

shares = st.floats(0, 1)
words = st.integers(0, 15)
scores = st.one_of(st.none(), st.floats(-1, 1), st.floats(allow_nan=False, allow_infinity=False))
pairs = st.lists(st.tuples(shares, scores), min_size=1, max_size=8)


def best_evidence(
    relevance: list[float], given: list[float | None], kind: RetrievalKind, rule: FuseRule | None
) -> float:
    """That of the best chunk."""
    return max(evidence_of(relevance, given, kind, rule), default=0.0)


by_pairs = QueryWords("east west north south", Rarity({}, 1)).by_pairs


def test_by_hand() -> None:
    """It is the best chunk's logistic regression of its relevance and its cosine."""
    logits = [0.5 * math.log(9) + 6 * 0.55 - 3, 0.5 * math.log(2 / 3) + 6 * 0.7 - 3]
    found = best_evidence(LIKELY[:2], [0.55, 0.7], "similarity", RULE)
    assert found == pytest.approx(1 / (1 + math.exp(-max(logits))))


@pytest.mark.parametrize("relevance", [0.01, 0.3, 0.9])
def test_no_scale_makes_evidence_of_everything_or_of_nothing(relevance: float) -> None:
    """With some embedders all cosines are high, with others low: each counts within bounds."""
    logit = math.log(relevance / (1 - relevance))
    for score in (0.1001, 0.2, 0.7, 0.95, 1.0, 1.002):
        found = best_evidence([relevance], [score], "auto", RULE)
        assert abs(log_odds(found) - logit) <= 1.5 + 1e-9
    assert best_evidence([0.01], [0.95], "auto", RULE) < 0.05
    assert best_evidence([0.9], [0.11], "auto", RULE) > 0.6


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        ([None, None, None], "auto"),
        ([14.2, 9.1, 3.0], "auto"),  # BM25's scale is the corpus's
        ([0.0325, 0.0161, 0.0159], "auto"),  # sums of reciprocal ranks
        ([0.9, 0.5, 0.3], "distance"),
        ([1.0, 2.0, 3.0], "rank"),
        ([-0.1, -0.4, -0.9], "auto"),  # distances that a retriever has negated
        ([-0.8, -1.2, -1.9], "similarity"),
    ],
)
def test_other_scores_have_no_part(scores: list[float | None], kind: str) -> None:
    """Of what is no cosine one cannot tell what is near: relevance alone counts."""
    assert best_evidence(LIKELY, scores, kind, RULE) == 0.9  # type: ignore[arg-type]


def test_without_a_rule_scores_have_no_part() -> None:
    """A profile that was fitted without retrieval scores tells evidence by relevance alone."""
    rule = FuseRule((1.0, 1.0), (1.0, 1.0), (1.0, 1.0))
    assert best_evidence(LIKELY, [0.9, 0.2, 0.2], "auto", rule) == 0.9
    assert best_evidence(LIKELY, [0.9, 0.2, 0.2], "auto", None) == 0.9
    assert best_evidence([], [], "auto", RULE) == 0.0


@given(some=pairs, more=pairs, kind=st.sampled_from(get_args(RetrievalKind)))
def test_more_chunks_never_lower_it(
    some: list[tuple[float, float | None]],
    more: list[tuple[float, float | None]],
    kind: RetrievalKind,
) -> None:
    """Each chunk is told by its own numbers, scored or not, and the best one counts."""

    def told(rows: list[tuple[float, float | None]]) -> float:
        return best_evidence([one for one, _ in rows], [c for _, c in rows], kind, RULE)

    assert told([*some, *more]) == told([*more, *some, *some]) == max(told(some), told(more))


@given(share=st.floats(1e-9, 1 - 1e-9))
def test_log_odds_invert_the_logistic_function(share: float) -> None:
    """There and back is the same, and the ends are finite."""
    assert 1 / (1 + math.exp(-log_odds(share))) == pytest.approx(share)
    assert math.isfinite(log_odds(0.0))
    assert math.isfinite(log_odds(1.0))


def test_words_that_two_say_together() -> None:
    """What the log-odds have above the threshold's counts as far as the words were found."""
    threshold, best = 0.3, 0.8
    least, above = log_odds(threshold), log_odds(best) - log_odds(threshold)
    one = covered([best, 0.4, 0.2], [0b0001, 0b0011, 0b1111], threshold, by_pairs, 1.0)
    assert one == pytest.approx(1 / (1 + math.exp(-(least + above * 0.5))))
    assert covered([best, 0.4], [0b0001, 0b1110], threshold, by_pairs, 1.0) == pytest.approx(best)
    less = covered([best, 0.4], [0b0001, 0b0000], threshold, by_pairs, 0.5)
    assert less == pytest.approx(1 / (1 + math.exp(-(least + above * 0.5))))
    third = covered([best, 0.4, 0.4], [0b0001, 0b0010, 0b1100], threshold, by_pairs, 1.0)
    assert third == pytest.approx(1 / (1 + math.exp(-(least + above * 0.75))))
    assert covered([best, 0.7], [0, 0b1111], threshold, by_pairs, 1.0) == pytest.approx(best)
    assert covered([best], [0], threshold, by_pairs, 0.0) == pytest.approx(best)
    assert covered([best], [0], threshold, by_pairs, 1.0) == threshold
    assert covered([0.29, 0.1], [0b1111, 0b1111], threshold, by_pairs, 1.0) == 0.29
    assert covered([], [], threshold, by_pairs, 1.0) == 0.0


told = st.lists(st.tuples(shares, words), min_size=1, max_size=8)


@given(some=told, more=told, threshold=st.floats(0.01, 0.99))
def test_words_never_lower_it(
    some: list[tuple[float, int]], more: list[tuple[float, int]], threshold: float
) -> None:
    """Nor does any order, and none is none by the best chunk alone."""

    def found(rows: list[tuple[float, int]]) -> float:
        return covered(
            [one for one, _ in rows], [said for _, said in rows], threshold, by_pairs, 1.0
        )

    both = found([*some, *more])
    assert both == found([*more, *some, *some])
    assert both >= max(found(some), found(more))
    assert (both >= threshold) == (max(one for one, _ in [*some, *more]) >= threshold)
    below = [row for row in more if row[0] < threshold]
    if found(some) >= threshold:
        assert found([*some, *below]) == found(some)
