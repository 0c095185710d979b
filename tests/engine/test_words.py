"""The query's words in what chunks are worth and in their order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnmass import AttentionRanker, HeadProfile
from attnmass.profiles import RelevanceRule
from attnmass.profiles.fusing import ORDINARY, UNFITTED_PAIRS
from tests.engine.relevance import HEADS, PARAGRAPHS, QUERY, profile
from tests.tiny import tiny_model, tiny_tokenizer

SAYS = "The theory of relativity was developed by Einstein, in Bern."
CHUNKS = [*PARAGRAPHS[:5], SAYS]


def ranker(made: HeadProfile) -> AttentionRanker:
    """By a profile."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=made, layout="late")


@pytest.fixture(scope="module")
def unfitted() -> AttentionRanker:
    """One by heads that nobody fitted."""
    return ranker(HeadProfile.from_heads(HEADS, model="tiny", layout="late", fusing=UNFITTED_PAIRS))


def test_words_are_in_relevance() -> None:
    """By their weight, for chunks and spans; a text that only repeats the query has none."""
    counted = profile()
    assert counted.relevance is not None
    ignored = replace(counted, relevance=replace(counted.relevance, words=0.0, span_words=0.0))
    found = [
        ranker(made).trim(QUERY, [*CHUNKS, QUERY, SAYS], max_tokens=400, min_relevance=0.0)
        for made in (counted, ignored)
    ]
    for with_words, without in zip(*[sorted(one.chunks, key=_index) for one in found], strict=True):
        assert with_words.relevance is not None
        assert without.relevance is not None
        assert with_words.relevance >= without.relevance
        if with_words.text == SAYS:
            assert with_words.relevance > without.relevance
            spans = zip(with_words.spans, without.spans, strict=True)
            assert all((one.relevance or 0) > (other.relevance or 0) for one, other in spans)
    alone = ranker(counted).rank(QUERY, [QUERY])
    assert alone.chunks[0].relevance == 0.0


def test_evidence_is_of_all_words_that_are_said() -> None:
    """A question on two things has more where both are there, in whatever order."""
    query = "Was Einstein older than the minster of Ulm?"
    parts = ["Einstein was born in Bern.", "The minster of Ulm is old."]
    made = profile()
    assert made.relevance is not None
    passes = replace(made.relevance, evidence_threshold=0.001)
    found = ranker(replace(made, relevance=passes))
    each = [found.rank(query, [part]).evidence for part in parts]
    both = found.rank(query, parts)
    assert both.evidence > max(each)
    assert both.evidence == found.rank(query, [*parts[::-1], *parts]).evidence
    assert both.evidence < max(chunk.relevance or 0 for chunk in both.chunks)


def _index(chunk: object) -> int:
    return chunk.index  # type: ignore[attr-defined,no-any-return]


def test_heads_that_nobody_fitted_are_helped_by_words(unfitted: AttentionRanker) -> None:
    """In front is what says the query's words; by attention alone and with scores it is not."""
    found = unfitted.rank(QUERY, CHUNKS)
    assert found.chunks[0].text == SAYS
    assert sum(chunk.score for chunk in found.chunks) == pytest.approx(1.0)
    alone = unfitted.rank(QUERY, CHUNKS, fuse=None)
    assert [c.score for c in alone.chunks] == [c.share for c in alone.chunks]
    scores = [0.9, 0.1, 0.1, 0.1, 0.1, 0.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnmass.engine.words.bm25", lambda *_: pytest.fail("not needed"))
        assert unfitted.rank(QUERY, CHUNKS, retrieval_scores=scores).chunks[0].index == 0
    partly = unfitted.rank(QUERY, CHUNKS, retrieval_scores=[*scores[:5], None])
    assert [c.score for c in partly.chunks] == [c.score for c in found.chunks]


def test_a_copy_changes_no_order(unfitted: AttentionRanker) -> None:
    """Texts are compared; and a text that only repeats the query says no words."""
    once = unfitted.rank(QUERY, CHUNKS)
    twice = unfitted.rank(QUERY, [*CHUNKS, SAYS])
    assert twice.scores[: len(CHUNKS)] == once.scores
    assert twice.scores[-1] == twice.scores[-2]
    beside = unfitted.rank(QUERY, [*CHUNKS, QUERY * 10])
    assert beside.chunks[0].text == SAYS


def test_fitted_heads_without_a_rule_of_their_own_fuse() -> None:
    """With the weights that others have on average; heads that are named count alone."""
    named = HeadProfile.from_heads(HEADS, model="tiny", layout="late")
    made = replace(named, source="fitted")
    assert made.fuse_rule is ORDINARY
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    found = ranker(made).rank(QUERY, CHUNKS, retrieval_scores=scores)
    same = ranker(replace(made, fusing=ORDINARY)).rank(QUERY, CHUNKS, retrieval_scores=scores)
    alone = ranker(made).rank(QUERY, CHUNKS)
    assert found.scores == same.scores != alone.scores
    assert named.fuse_rule is None
    by_named = ranker(named).rank(QUERY, CHUNKS, retrieval_scores=scores)
    assert by_named.scores == alone.scores


def test_rules_are_checked() -> None:
    """As all of their numbers are."""
    with pytest.raises(ValueError, match="span_words"):
        RelevanceRule(HEADS, (1.0,) * 3, span_words=float("nan"))
    for threshold in (None, 0.0, 1.0):
        with pytest.raises(ValueError, match="coverage needs an evidence_threshold"):
            RelevanceRule(HEADS, (1.0,) * 3, evidence_threshold=threshold, coverage=1.0)
    with pytest.raises(ValueError, match="coverage must be at least 0"):
        RelevanceRule(HEADS, (1.0,) * 3, coverage=-1.0)
    with pytest.raises(ValueError, match="words must be 2 numbers"):
        replace(UNFITTED_PAIRS, words=(1.0,))  # type: ignore[arg-type]
