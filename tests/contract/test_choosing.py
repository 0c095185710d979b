"""What both adapters promise of which candidates come back, and in which order."""

from __future__ import annotations

import pytest

from attnmass import AttentionRanker
from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import CANDIDATES, QUERY, TEXTS
from tests.contract.stub import StubRanker


def test_ties_keep_input_order(adapter: Adapter) -> None:
    """Equal scores leave the order alone."""
    rerank = adapter.telling(StubRanker(lambda chunk: 0.25))
    result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
    assert [item.id for item in result] == [item.id for item in CANDIDATES]


@pytest.mark.parametrize(("top_n", "kept"), [(1, 1), (2, 2), (9, 4), (None, 4)])
def test_top_n(adapter: Adapter, ranker: AttentionRanker, top_n: int | None, kept: int) -> None:
    """The best `top_n` are kept, `None` keeps all."""
    full = adapter.run(adapter.telling(ranker), adapter.build(CANDIDATES), QUERY)
    rerank = adapter.telling(ranker, top_n=top_n)
    result = adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert [i.id for i in adapter.read(result)] == [i.id for i in adapter.read(full)[:kept]]


def test_min_relevance(adapter: Adapter) -> None:
    """Only candidates of at least that relevance are kept, down to none."""
    likely = dict(zip(TEXTS, (0.1, 0.4, 0.2, 0.35), strict=True))
    stub = StubRanker(lambda chunk: likely[chunk.text], relevance=lambda c: likely[c.text])
    found = adapter.build(CANDIDATES)
    kept = adapter.read(adapter.run(adapter.telling(stub, min_relevance=0.3), found, QUERY))
    assert [item.id for item in kept] == ["id-1", "id-3"]
    assert [item.hidden["relevance"] for item in kept] == pytest.approx([0.4, 0.35])
    assert adapter.run(adapter.telling(stub, min_relevance=0.9), found, QUERY) == []


@pytest.mark.in_process
def test_the_old_name_of_the_threshold(adapter: Adapter) -> None:
    """`score_threshold` is refused with what there is now."""
    with pytest.raises(ValueError, match="It is min_relevance now"):
        adapter.telling(StubRanker(), score_threshold=0.3)


def test_a_lone_chunk_keeps_its_low_score(adapter: Adapter, ranker: AttentionRanker) -> None:
    """Scores are absolute: one irrelevant candidate is not scaled to 1."""
    (item,) = adapter.read(
        adapter.run(adapter.telling(ranker), adapter.build(CANDIDATES[:1]), QUERY)
    )
    assert item.score == pytest.approx(ranker.rank(QUERY, TEXTS[:1]).scores[0])
    assert item.score < 1


@pytest.mark.parametrize("fuse", [0.0, 0.5, 1.0])
def test_fused_order_is_the_cores(adapter: Adapter, ranker: AttentionRanker, fuse: float) -> None:
    """`fuse` orders and scores as the core does with the retriever's scores."""
    rerank = adapter.telling(ranker, fuse=fuse)
    result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
    scores = [item.score for item in CANDIDATES]
    expected = ranker.rank(QUERY, TEXTS, retrieval_scores=scores, fuse=fuse).chunks
    assert [item.hidden["rank_before"] for item in result] == [chunk.index for chunk in expected]
    assert [item.score for item in result] == pytest.approx([chunk.score for chunk in expected])


def test_fuse_needs_retrieval_scores(adapter: Adapter, ranker: AttentionRanker) -> None:
    """Candidates without a score cannot be fused, and the error says so."""
    found = adapter.build([Candidate(text) for text in TEXTS])
    with pytest.raises(ValueError, match="fuse needs"):
        adapter.run(adapter.telling(ranker, fuse=0.5), found, QUERY)
