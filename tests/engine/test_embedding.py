"""Trimming with an embedding model of the caller's."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass import AttentionRanker, HeadProfile, Ranking
from attnmass.profiles import FuseRule, RelevanceRule
from attnmass.profiles.fusing import COSINE_WEIGHT
from attnmass.text.segmentation import segment
from tests.conftest import HEADS
from tests.engine.relevance import PROPERTY, profile, texts
from tests.engine.to_trim import CHUNKS, QUERY, without_times
from tests.tiny import tiny_model, tiny_tokenizer
from tests.trimming.embedders import KINDS, OfLangChain, vector


@cache
def late_ranker() -> AttentionRanker:
    """One that knows relevance, and keeps what it read."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile(), layout="late")


def scores_of(ranking: Ranking) -> dict[tuple[int, int, int], float]:
    """Every span's score."""
    return {
        (chunk.index, span.start, span.end): span.score
        for chunk in (*ranking.chunks, *ranking.dropped)
        for span in chunk.spans
    }


def cosine(one: str, other: str) -> float:
    """Of two texts."""
    a, b = np.array(vector(one)), np.array(vector(other))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_by_the_formula(ranker: AttentionRanker, kind: Any) -> None:
    """Of every framework: the score by attention, times what the cosine makes of it."""
    plain = scores_of(ranker.trim(QUERY, CHUNKS, keep_ratio=0.5))
    model = kind()
    found = ranker.trim(QUERY, CHUNKS, keep_ratio=0.5, embed_model=model)
    assert scores_of(found) == pytest.approx(
        {
            (index, start, end): score
            * math.exp(COSINE_WEIGHT * (cosine(QUERY, CHUNKS[index][start:end]) - 1))
            for (index, start, end), score in plain.items()
        }
    )
    assert found.scores == ranker.rank(QUERY, CHUNKS).scores
    assert model.queries == [QUERY]


def test_the_best_of_both_is_kept(ranker: AttentionRanker) -> None:
    """With a large weight, the sentence that is most like the query is what is left."""
    profile = replace(ranker.profile, fusing=FuseRule((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), 100.0))
    own = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    found = own.trim(QUERY, CHUNKS, keep_ratio=0.01, embed_model=OfLangChain())
    (chunk,) = found.chunks
    assert chunk.text.strip("… ") == "He developed the theory of relativity in 1905."


def test_without_one_nothing_changes(ranker: AttentionRanker) -> None:
    """`None` is as if nothing was said, to the bit; no weight is the same with a model."""
    plain = without_times(ranker.trim(QUERY, CHUNKS, max_tokens=40))
    assert without_times(ranker.trim(QUERY, CHUNKS, max_tokens=40, embed_model=None)) == plain
    profile = replace(ranker.profile, fusing=FuseRule((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), 0.0))
    none = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    found = without_times(none.trim(QUERY, CHUNKS, max_tokens=40, embed_model=OfLangChain()))
    assert scores_of(found) == scores_of(plain)


def test_spans_are_embedded_once_for_a_batch(ranker: AttentionRanker) -> None:
    """Several queries over the same chunks share vectors; each query is embedded once."""
    model, queries = OfLangChain(), [QUERY, "What are trains?"]
    together = ranker.trim_batch(queries, [*CHUNKS, CHUNKS[0]], max_tokens=40, embed_model=model)
    assert model.queries == queries
    assert len(model.batches) == 1
    spans = [text[s.start : s.end] for text in CHUNKS for s in segment(text)]
    assert sorted(model.texts) == sorted(set(spans))
    for query, found in zip(queries, together, strict=True):
        alone = ranker.trim(query, [*CHUNKS, CHUNKS[0]], max_tokens=40, embed_model=OfLangChain())
        assert scores_of(found) == pytest.approx(scores_of(alone), abs=1e-6)


def test_only_what_is_looked_into_is_embedded() -> None:
    """Spans of chunks that are not relevant are not scored, and so not embedded."""
    rule = RelevanceRule(((1, 0),), (1.0,), bias=0.0)
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="late", relevance=rule)
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    chunks = [*CHUNKS, "The theory of music is old. Music is made of numbers."]
    every = ranker.rank(QUERY, chunks)
    likely = sorted(chunk.relevance or 0.0 for chunk in every.chunks)
    least = (likely[-1] + likely[-2]) / 2
    model = OfLangChain()
    found = ranker.trim(
        QUERY, chunks, keep_ratio=0.9, min_relevance=least, min_keep=0, embed_model=model
    )
    looked = {chunk.index for chunk in (*found.chunks, *found.dropped) if chunk.spans}
    assert 0 < len(looked) < len(chunks)
    spans = {chunks[i][s.start : s.end] for i in looked for s in segment(chunks[i])}
    assert set(model.texts) == spans


def test_nothing_to_score_embeds_nothing(ranker: AttentionRanker) -> None:
    """Blank chunks have no spans: neither they nor the query are embedded."""
    model = OfLangChain()
    ranker.trim(QUERY, ["", " \n"], keep_ratio=0.5, embed_model=model)
    ranker.rank(QUERY, CHUNKS)
    assert (model.queries, model.batches) == ([], [])


def test_a_dry_run_and_a_second_call_tell_the_same(ranker: AttentionRanker) -> None:
    """It is deterministic, and a dry run names what a run would keep."""
    asked = {"max_tokens": 40, "embed_model": OfLangChain()}
    found = ranker.trim(QUERY, CHUNKS, **asked)  # type: ignore[arg-type]
    again = ranker.trim(QUERY, CHUNKS, **asked)  # type: ignore[arg-type]
    tried = ranker.trim(QUERY, CHUNKS, dry_run=True, **asked)  # type: ignore[arg-type]
    assert without_times(again) == without_times(found)
    assert tried.saving is not None
    assert tried.saving.chunks == found.chunks


def relevances_of(ranking: Ranking) -> dict[tuple[int, int], float | None]:
    """Every span's relevance, and every chunk's where the span would begin below zero."""
    every = (*ranking.chunks, *ranking.dropped)
    spans = {(c.index, s.start): s.relevance for c in every for s in c.spans}
    return spans | {(chunk.index, -1): chunk.relevance for chunk in every}


@PROPERTY
@given(chunks=texts, more=texts)
def test_relevance_and_evidence_are_attentions_own(chunks: list[str], more: list[str]) -> None:
    """With a model or without, alone or among others, they are the same to the last bit."""
    ranker = late_ranker()
    ranker.warm([*chunks, *more])
    asked = {"keep_ratio": 0.5, "min_relevance": None}
    plain = ranker.trim(QUERY, chunks, **asked)  # type: ignore[arg-type]
    found = ranker.trim(QUERY, chunks, embed_model=OfLangChain(), **asked)  # type: ignore[arg-type]
    among = ranker.trim(QUERY, [*chunks, *more], embed_model=OfLangChain(), **asked)  # type: ignore[arg-type]
    assert relevances_of(found) == relevances_of(plain)
    assert relevances_of(found).items() <= relevances_of(among).items()
    assert (found.evidence, found.scores) == (plain.evidence, plain.scores)
    assert among.evidence >= found.evidence
    for index, start, end in scores_of(found):
        assert 0 <= start < end <= len(chunks[index])


@PROPERTY
@given(chunks=texts, ratio=st.floats(0.05, 1), budget=st.integers(20, 200))
def test_what_is_kept_stays_within_what_was_asked(
    chunks: list[str], ratio: float, budget: int
) -> None:
    """The budget, what must stay, and a dry run hold as they do by attention alone."""
    ranker = late_ranker()
    asked: dict[str, Any] = {
        "max_tokens": budget,
        "keep_ratio": ratio,
        "must_keep": ["(?i)relativity"],
        "on_empty": "empty",
        "embed_model": OfLangChain(),
    }
    found = ranker.trim(QUERY, chunks, **asked)
    assert (found.n_tokens_after or 0) <= budget
    tried = ranker.trim(QUERY, chunks, dry_run=True, **asked)
    assert tried.saving is not None
    assert tried.saving.chunks == found.chunks
    assert {chunk.index: chunk.text for chunk in tried.chunks} == dict(enumerate(chunks))


def test_many_threads_with_a_slow_model(ranker: AttentionRanker) -> None:
    """Each gets what it would get alone, also where the model's size changed between calls."""

    class Slow(OfLangChain):
        def many(self, texts: Any) -> Any:
            time.sleep(0.02)
            return super().many(texts)

    class Other(Slow):
        def one(self, text: str) -> Any:
            return [*vector(text), 0.0]

        def many(self, texts: Any) -> Any:
            return [[*vector(text), 0.0] for text in texts]

    models = [Slow(), Other()] * 4
    expected = scores_of(ranker.trim(QUERY, CHUNKS, keep_ratio=0.5, embed_model=OfLangChain()))
    with ThreadPoolExecutor(4) as pool:
        every = pool.map(
            lambda model: ranker.trim(QUERY, CHUNKS, keep_ratio=0.5, embed_model=model), models
        )
        for found in every:
            assert scores_of(found) == pytest.approx(expected, abs=1e-6)


def test_a_model_that_fails_fails_the_call_alone(ranker: AttentionRanker) -> None:
    """Its own error comes out as it is, and the next call is as if it had not been."""

    class Fails(OfLangChain):
        def many(self, texts: Any) -> Any:
            raise ConnectionError("the service is down")

    plain = without_times(ranker.trim(QUERY, CHUNKS, keep_ratio=0.5))
    with pytest.raises(ConnectionError, match="the service is down"):
        ranker.trim(QUERY, CHUNKS, keep_ratio=0.5, embed_model=Fails())
    with pytest.raises(ConnectionError, match="the service is down"):
        ranker.trim(QUERY, CHUNKS, keep_ratio=0.5, embed_model=Fails(), dry_run=True)
    assert without_times(ranker.trim(QUERY, CHUNKS, keep_ratio=0.5)) == plain
