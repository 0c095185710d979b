"""The attention that a ranking keeps, and where each token of the query looked."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from attnmass import AttentionRanker, Chunk, Trim
from attnmass.layouts import QueryAttention
from tests.conftest import HEADS
from tests.explain.support import CHUNKS, QUERY, rank
from tests.tiny import tiny_model, tiny_tokenizer

LONG = [Chunk("Numbers and trains, books and words about the river. " * 12), *CHUNKS]


def test_trace_is_always_kept_and_adds_up(ranker: AttentionRanker) -> None:
    """By the weights of the heads the tokens' masses add up to each chunk's score."""
    ranking = rank(ranker)
    assert ranking.trace is not None
    weights = np.array(ranking.profile.chunk_weights)
    for index, found in ranking.trace.scored.items():
        assert found.rows is None
        assert found.masses.dtype == np.float32
        assert found.masses.shape == (len(HEADS), len(found.offsets))
        mass = float((weights @ found.masses.astype(np.float64)).sum())
        assert mass == pytest.approx(ranking.scores[index], abs=1e-6)


def test_trace_is_neither_shown_nor_compared_nor_written_to(ranker: AttentionRanker) -> None:
    """A ranking's repr and equality are what they were, and nobody can change the arrays."""
    ranking = rank(ranker)
    assert "trace" not in repr(ranking)
    other = pickle.loads(pickle.dumps(ranking))
    assert other == ranking
    assert other.trace.threshold == ranking.trace.threshold  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="read-only"):
        ranking.trace.scored[0].masses[0, 0] = 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize("max_chunk_tokens", [None, 70])
def test_query_rows_average_to_the_same(max_chunk_tokens: int | None) -> None:
    """The tokens' rows average to what a pass without them gives, in split chunks too."""
    ranker = AttentionRanker(
        tiny_model(), tiny_tokenizer(), heads=HEADS, max_chunk_tokens=max_chunk_tokens
    )
    plain = ranker.rank(QUERY, LONG)
    split = ranker.rank(QUERY, LONG, query_words=True)
    assert (plain.chunks[0].n_windows > 1 or plain.split != ()) == (max_chunk_tokens is not None)
    np.testing.assert_allclose(split.scores, plain.scores, atol=1e-6)
    for index, found in plain.trace.scored.items():  # type: ignore[union-attr]
        other = split.trace.scored[index]  # type: ignore[union-attr]
        assert other.rows is not None
        assert other.rows.shape == (len(split.trace.query_offsets), *found.masses.shape)  # type: ignore[union-attr]
        np.testing.assert_allclose(other.masses, found.masses, atol=1e-6)
        np.testing.assert_allclose(other.rows.mean(axis=0), found.masses, atol=1e-6)


def test_query_rows_are_in_the_order_of_the_query(ranker: AttentionRanker) -> None:
    """What a token looks at does not depend on later ones: a shorter query has the same rows."""
    short, long = (
        ranker.rank(query, list(CHUNKS), query_words=True).trace
        for query in ("Who invented", "Who invented the theory?")
    )
    assert short is not None
    assert long is not None
    n_short = len(short.query_offsets)
    assert n_short < len(long.query_offsets)
    np.testing.assert_array_equal(short.query_offsets, long.query_offsets[:n_short])
    for index, found in short.scored.items():
        rows = long.scored[index].rows
        assert rows is not None
        np.testing.assert_allclose(found.rows, rows[:n_short], atol=1e-5)
        assert np.abs(rows[0] - rows[1]).max() > 1e-3  # the test could fail


def test_query_rows_in_a_batch(ranker: AttentionRanker) -> None:
    """Queries that share a pass get their own rows, as many as they have tokens."""
    queries = ["Who invented the theory?", "Trains", "  words and numbers "]
    batch = ranker.rank_batch(queries, list(CHUNKS), query_words=True)
    for query, found in zip(queries, batch, strict=True):
        alone = ranker.rank(query, list(CHUNKS), query_words=True)
        trace = found.trace
        assert trace is not None
        spans = [query[start:end] for start, end in trace.query_offsets]
        assert "".join(spans) == query.strip()
        for index, mine in alone.trace.scored.items():  # type: ignore[union-attr]
            np.testing.assert_allclose(trace.scored[index].rows, mine.rows, atol=1e-5)


def test_trimming_with_query_words_changes_nothing(ranker: AttentionRanker) -> None:
    """Spans, scores and reasons are the same with the rows kept."""
    trim = Trim(keep_ratio=0.5, resolve_context=True)
    plain, split = (rank(ranker, trim=trim, query_words=asked) for asked in (False, True))
    assert [c.text for c in split.chunks] == [c.text for c in plain.chunks]
    assert [[(s.kept, s.reason) for s in c.spans] for c in split.chunks] == [
        [(s.kept, s.reason) for s in c.spans] for c in plain.chunks
    ]


async def test_every_way_to_rank_takes_query_words(ranker: AttentionRanker) -> None:
    """`trim` and `arank` hand the option on."""
    trimmed = ranker.trim(QUERY, list(CHUNKS), keep_ratio=0.5, query_words=True)
    waited = await ranker.arank(QUERY, list(CHUNKS), query_words=True)
    for ranking in (trimmed, waited):
        assert all(c.rows is not None for c in ranking.trace.scored.values())  # type: ignore[union-attr]


def test_query_words_must_be_a_bool(ranker: AttentionRanker) -> None:
    """A list of words is refused with what the option is."""
    with pytest.raises(TypeError, match="query_words must be a bool"):
        ranker.rank(QUERY, list(CHUNKS), query_words=["theory"])  # type: ignore[arg-type]


def test_a_layout_that_cannot_tell_says_so(
    ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a layout has no rows, the error names it and says what to leave out."""
    attend = ranker._attend

    def without_rows(*given: object) -> object:
        result = attend(*given)  # type: ignore[arg-type]
        queries = tuple(QueryAttention(one.chunks, one.context) for one in result.queries)
        return type(result)(queries, result.windows, 0.0, 0.0)

    monkeypatch.setattr(ranker, "_attend", without_rows)
    with pytest.raises(ValueError, match=r"'parallel' does not tell .* leave out query_words"):
        rank(ranker, query_words=True)
    assert rank(ranker).trace is not None
