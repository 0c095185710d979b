"""A budget through the ranker: what is relevant, what is looked into, and what a dry run tells."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attnmass.engine.looks
from attnmass import AttentionRanker, Chunk, HeadProfile, NoEvidenceError, Trim
from attnmass.profiles import RelevanceRule, SpanRule
from attnmass.text.segmentation import segment
from tests.conftest import HEADS
from tests.contract.stub import StubRanker
from tests.engine.to_trim import CHUNKS, QUERY
from tests.tiny import tiny_model, tiny_tokenizer

MORE = [*CHUNKS, "Coal is black. Ships carry salt, in bags.", "A city. 5 boats. A book of numbers."]


SHARING = SpanRule(HEADS, (1 / 3,) * 3, 0.25, 0.5, exponents=(1.5, -0.75, 0.5))


def late(least: float | None = None, spans: SpanRule | None = None, **rule: Any) -> AttentionRanker:
    """A ranker that tells relevance, of a tiny model: meaningless, but exact."""
    known = RelevanceRule(HEADS, (1.0,) * 3, 8.0, span_bias=9.0, min_relevance=least, **rule)
    profile = HeadProfile("tiny", "late", HEADS, (1 / 3,) * 3, spans=spans, relevance=known)
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)


def median() -> float:
    """A threshold that about half of the chunks pass."""
    found = sorted(chunk.relevance or 0.0 for chunk in late().rank(QUERY, MORE).chunks)
    return (found[2] + found[3]) / 2


@pytest.fixture(scope="module")
def half() -> AttentionRanker:
    """A ranker whose profile finds about half of the chunks relevant."""
    return late(median())


class TestRelevance:
    """What is not relevant stays out."""

    def test_under_a_ceiling_only(self, half: AttentionRanker) -> None:
        """`max_tokens` brings in the profile's threshold; other requests, and a rerank, do not."""
        least = median()
        found = half.trim(QUERY, MORE, max_tokens=1000)
        assert {c.index for c in found.chunks} <= {
            c.index for c in half.rank(QUERY, MORE).chunks if (c.relevance or 0.0) >= least
        }
        assert {c.dropped for c in found.dropped} == {"min_relevance"}
        assert all(s.kept == (s.relevance >= least) for c in found.chunks for s in c.spans
                   if s.kind != "heading" and s.relevance is not None)  # fmt: skip
        for options in ({}, {"keep_ratio": 1.0}, {"top_p": 1.0}):
            assert half.trim(QUERY, MORE, **options).dropped == ()
        assert half.rank(QUERY, MORE).dropped == ()

    def test_as_the_user_says(self, half: AttentionRanker) -> None:
        """A number counts with any request, `None` turns the profile's off."""
        everything = half.trim(QUERY, MORE, max_tokens=1000, min_relevance=None)
        assert everything.dropped == ()
        for options in ({"keep_ratio": 1.0}, {"max_tokens": 1000}, {}):
            found = half.trim(QUERY, MORE, min_relevance=median(), **options)
            assert {c.dropped for c in found.dropped} == {"min_relevance"}

    def test_without_relevance_nothing_changes(self, ranker: AttentionRanker) -> None:
        """A layout that cannot tell fills the budget as ever, and refuses a number."""
        assert ranker.trim(QUERY, MORE, max_tokens=1000).dropped == ()
        with pytest.raises(ValueError, match=r"min_relevance=0\.5 needs relevance"):
            ranker.trim(QUERY, MORE, max_tokens=1000, min_relevance=0.5)

    def test_only_what_may_matter_is_looked_into(
        self, half: AttentionRanker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Chunks that are not relevant are not cut into spans, where enough others are."""
        texts: list[str] = []
        monkeypatch.setattr(
            attnmass.engine.looks,
            "segment",
            lambda text, **o: texts.append(text) or segment(text, **o),
        )
        found = half.trim(QUERY, MORE, max_tokens=1000)
        assert texts == [MORE[i] for i in sorted(c.index for c in found.chunks)]
        assert all(c.spans == () for c in found.dropped)

    @settings(max_examples=60, deadline=None)
    @given(
        numbers=st.lists(st.integers(0, 5), min_size=1, max_size=40),
        n_least=st.integers(1, 4),
        budget=st.sampled_from([25, 60, 1000]),
        spans=st.sampled_from([None, SHARING]),
    )
    def test_the_best_of_what_is_not(
        self, numbers: list[int], n_least: int, budget: int, spans: SpanRule | None
    ) -> None:
        """Where nothing is relevant, the best is kept as if every chunk had been looked into."""
        chunks = [f"{MORE[number]} It is {place}." for place, number in enumerate(numbers)]
        options = {"max_tokens": budget, "min_keep": n_least, "on_empty": "empty"}
        found = _none(spans).trim(QUERY, chunks, **options)
        with patch.object(attnmass.engine.looks, "best_possible", lambda *_: float("inf")):
            expected = _none(spans).trim(QUERY, chunks, **options)
        assert [(c.index, c.text) for c in found.chunks] == [
            (c.index, c.text) for c in expected.chunks
        ]
        assert found.n_tokens_after == expected.n_tokens_after

    def test_top_n_bounds_what_is_brought_in(self) -> None:
        """What is kept for want of better is of no more chunks than were asked for."""
        found = _none().trim(QUERY, MORE, max_tokens=1000, min_keep=9, top_n=1)
        assert len(found.chunks) == 1

    def test_what_must_stay_need_not_be_relevant(self) -> None:
        """A pattern brings in the spans that have it, of chunks that are not relevant either."""
        found = _none().trim(QUERY, MORE, max_tokens=1000, must_keep=["numbers", "(?i)coal"])
        kept = {c.index: [s.reason for s in c.spans if s.kept] for c in found.chunks}
        assert {0, 4, 5} <= kept.keys()
        assert "5 boats." in next(c.text for c in found.chunks if c.index == 5)
        assert sum(reasons.count("score") for reasons in kept.values()) <= 1


_RANKERS: dict[SpanRule | None, AttentionRanker] = {}


def _none(spans: SpanRule | None = None) -> AttentionRanker:
    """A ranker for which nothing is relevant."""
    if spans not in _RANKERS:
        _RANKERS[spans] = late(1.0, spans)
    return _RANKERS[spans]


class TestNotes:
    """What is told in sentences."""

    def test_the_best_span_that_did_not_fit(self) -> None:
        """It is named with its place and its tokens."""
        ranker = StubRanker(hot="theory")
        text = "Rain fell. Einstein had a theory of all things that move at any speed."
        found = ranker.trim(QUERY, [Chunk(text)], max_tokens=4)
        assert found.chunks[0].text == "Rain fell."
        assert found.notes == (
            "chunks[0], characters 11 to 70, is the best span that did not fit into max_tokens=4: "
            "12 tokens",
        )
        assert ranker.trim(QUERY, [Chunk(text)], max_tokens=99).notes == ()

    def test_what_must_stay_and_does_not_fit(self) -> None:
        """By how much it is too much is told where it is no error."""
        with pytest.raises(ValueError, match="2 more than max_tokens=3"):
            StubRanker().trim(
                QUERY, [Chunk("One 1. A second 2.")], max_tokens=3, must_keep=["numbers"]
            )
        found = StubRanker().trim(
            QUERY,
            [Chunk("One 1. A second 2.")],
            max_tokens=3,
            must_keep=["numbers"],
            on_empty="cut",
        )
        assert "takes 2 tokens more than max_tokens=3, and is not all kept" in found.notes[0]


class TestDryRun:
    """What would be saved and lost."""

    @settings(max_examples=60, deadline=None)
    @given(
        texts=st.lists(st.text(max_size=60) | st.sampled_from(MORE), max_size=5),
        budget=st.integers(1, 80),
        order=st.sampled_from(["score", "input", "best_last"]),
        top_n=st.none() | st.integers(1, 3),
        must=st.sampled_from([(), ("numbers",)]),
    )
    def test_texts_are_unchanged(
        self, texts: list[str], budget: int, order: Any, top_n: int | None, must: tuple[str, ...]
    ) -> None:
        """All chunks come back whole in the order asked for; the saving is what trimming does."""
        ranker = _RANKERS.setdefault("half", late(median()))
        options: dict[str, Any] = {
            "max_tokens": budget, "order": order, "top_n": top_n, "must_keep": must,
        }  # fmt: skip
        found = ranker.trim(QUERY, texts, dry_run=True, **options)
        whole = ranker.rank(QUERY, texts, order=order)
        assert found.chunks == whole.chunks
        assert found.dropped == ()
        assert found.saving is not None
        assert found.n_tokens_before == found.n_tokens_after == found.saving.n_tokens_before
        assert str(found.saving) == found.notes[-1]
        if found.saving.error is not None:
            with pytest.raises(ValueError, match=re.escape(found.saving.error)):
                ranker.trim(QUERY, texts, **options)
            return
        trimmed = ranker.trim(QUERY, texts, **options)
        assert (found.saving.chunks, found.saving.dropped) == (trimmed.chunks, trimmed.dropped)
        assert found.saving.n_tokens_after == trimmed.n_tokens_after
        assert found.saving.n_tokens_before == trimmed.n_tokens_before

    def test_what_it_says(self) -> None:
        """Tokens, chunks and spans, and why each of them would go."""
        ranker = StubRanker(hot="theory")
        chunks = [Chunk("He had a theory. Rain fell."), Chunk("Tea is cold.")]
        found = ranker.trim(QUERY, chunks, keep_ratio=0.5, dry_run=True)
        assert found.saving is not None
        assert found.saving.lost_spans == {"keep_ratio": 2}
        assert found.saving.lost_chunks == {"keep_ratio": 1}
        assert found.notes[-1] == (
            "dry run: 3 of 9 tokens would be left (67% saved), 1 of 2 chunks, 1 of 3 scored spans; "
            "chunks left out: 1 keep_ratio; spans left out: 2 keep_ratio"
        )

    def test_no_evidence_is_told_and_not_raised(self) -> None:
        """Without evidence everything would go, and nothing does."""
        ranker = StubRanker()
        options: dict[str, Any] = {"evidence_threshold": 1.0, "on_no_evidence": "raise"}
        with pytest.raises(NoEvidenceError):
            ranker.rank(QUERY, [Chunk("Tea.")], trim=Trim(max_tokens=9), **options)
        found = ranker.rank(
            QUERY, [Chunk("Tea.")], trim=Trim(max_tokens=9, dry_run=True), **options
        )
        assert [c.text for c in found.chunks] == ["Tea."]
        assert found.no_evidence
        assert found.saving is not None
        assert found.saving.lost_chunks == {"no_evidence": 1}
