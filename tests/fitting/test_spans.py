"""Heads that score sentences, on captures in which it is known which they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnmass.fitting.captures.arrays import Choice
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.heads.crossval import split_folds
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery
from attnmass.fitting.sentences.quality import Spans, spans_of
from attnmass.fitting.sentences.shares import features, fit_exponents, shares_of
from attnmass.fitting.sentences.spans import fit_spans, span_rule_of
from attnmass.trimming import span_shares

N_HEADS, N_CHUNKS, N_SENTENCES = 8, 4, 5
TEXT = "x" * 50


def labelled(draw: np.random.Generator) -> LabelledQuery:
    """Four chunks of five sentences; in the first, one of them supports."""
    chunks = []
    for number in range(N_CHUNKS):
        wanted = int(draw.integers(N_SENTENCES)) if number == 0 else -1
        sentences = tuple((10 * i, 10 * i + 10, i == wanted) for i in range(N_SENTENCES))
        chunks.append(LabelledChunk(TEXT, float(number == 0), str(number), sentences=sentences))
    return LabelledQuery("who?", tuple(chunks), "q", "here")


def captured(query: LabelledQuery, heads: list[int], draw: np.random.Generator) -> Capture:
    """Noise, and in `heads` more mass on sentences that support."""
    labels = [label for chunk in query.chunks for _, _, label in chunk.sentences or ()]
    masses = draw.random((N_HEADS, len(labels))).astype(np.float32)
    for head in heads:
        masses[head] += np.array(labels) * 0.5
    by_chunk = masses.reshape(N_HEADS, N_CHUNKS, N_SENTENCES).sum(axis=2)
    tokens = np.full(len(labels), 4.0, dtype=np.float32)
    return Capture(by_chunk, np.full(N_CHUNKS, 20.0), None, masses, tokens)


def queries(heads: list[int], n: int = 60) -> list[Spans]:
    """So many queries."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(n):
        query = labelled(draw)
        spans = spans_of(query, captured(query, heads, draw), Choice.equal([0]))
        assert spans is not None
        found.append(spans)
    return found


def test_planted_span_heads_are_found() -> None:
    """The two heads that tell sentences apart are selected, and better than the chunks' heads."""
    sets = np.zeros(60, dtype=np.int64)
    found = fit_spans(
        queries([2, 5]), split_folds(sets, 5, 0), sets, range(N_HEADS), Choice.equal([0]), 4
    )
    assert found.choice is not None
    assert set(found.choice.heads) == {2, 5}
    assert found.inside.mean > 0.85 > 0.6 > found.inside_by_chunk_heads.mean
    assert found.queries == 60


def test_only_heads_that_are_allowed() -> None:
    """Heads that are not read anyway do not take part."""
    sets = np.zeros(60, dtype=np.int64)
    folds = split_folds(sets, 5, 0)
    found = fit_spans(queries([2, 5]), folds, sets, [0, 1, 2], Choice.equal([0]), 4)
    assert found.choice is not None
    assert set(found.choice.heads) == {2}


def test_chunk_heads_stay_where_others_are_no_better() -> None:
    """Where those that rank chunks tell sentences best, they do it."""
    sets = np.zeros(60, dtype=np.int64)
    folds = split_folds(sets, 5, 0)
    found = fit_spans(queries([2, 5]), folds, sets, range(N_HEADS), Choice.equal([2, 5]), 4)
    assert found.choice is None


def test_what_is_no_lesson() -> None:
    """Without labels, or with none that tell sentences of a chunk apart, there is nothing."""
    draw = np.random.default_rng(0)
    query = labelled(draw)
    capture = captured(query, [], draw)
    choice = Choice.equal([0])
    assert spans_of(query, capture, choice) is not None
    none = replace(query, chunks=(*query.chunks[1:],))
    assert spans_of(none, capture, choice) is None
    bare = replace(query, chunks=(replace(query.chunks[0], sentences=None), *query.chunks[1:]))
    assert spans_of(bare, capture, choice) is None


def test_mass_of_the_chunk_comes_with_its_sentences() -> None:
    """Each sentence has the mass that its chunk gets from the heads that rank, weighed."""
    draw = np.random.default_rng(0)
    query = labelled(draw)
    capture = captured(query, [], draw)
    found = spans_of(query, capture, Choice((1, 2), (0.75, 0.25)))
    assert found is not None
    expected = 0.75 * capture.masses[1] + 0.25 * capture.masses[2]
    assert found.chunk_scores == pytest.approx(np.repeat(expected, N_SENTENCES))
    assert [part.tolist() for part in found.parts] == [[0, 1, 2, 3, 4]]


def looking_away(n: int = 60) -> list[Spans]:
    """Head 1 looks at what supports and, as head 3 does, at something else that is louder."""
    draw = np.random.default_rng(1)
    found = []
    for _ in range(n):
        query = labelled(draw)
        capture = captured(query, [], draw)
        labels = np.array(
            [label for chunk in query.chunks for _, _, label in chunk.sentences or ()]
        )
        noise = draw.random(len(labels)) * 4
        masses = 0.01 + 0.01 * draw.random((N_HEADS, len(labels)))
        masses[1] += np.exp(noise) * (1 + 1.5 * labels)
        masses[3] += np.exp(noise)
        spans = spans_of(query, replace(capture, span_masses=masses), Choice.equal([1]))
        assert spans is not None
        found.append(spans)
    return found


def test_exponents_where_a_head_counts_against() -> None:
    """What two heads look at, one of them for the answer, is told by an exponent below zero."""
    sets = np.zeros(60, dtype=np.int64)
    folds = split_folds(sets, 5, 0)
    found = fit_spans(looking_away(), folds, sets, range(N_HEADS), Choice.equal([1]), 4, [1, 3])
    assert found.exponents is not None
    signs = dict(zip(found.exponents.heads, found.exponents.exponents, strict=True))
    assert signs[1] > 0.5
    assert signs[3] < -0.5
    assert found.all_spans == found.all_spans_by_exponents
    assert found.all_spans.mean > found.all_spans_by_weights.mean + 0.05
    rule = span_rule_of(found, Choice.equal([1]), [(0, i) for i in range(N_HEADS)])
    assert dict(zip(rule.heads, rule.exponents, strict=True))[0, 3] == signs[3]
    assert sum(rule.weights) == pytest.approx(1)


def test_weights_stay_where_exponents_are_no_better() -> None:
    """Where the heads that are read tell nothing and others do, these score by their weights."""
    sets = np.zeros(60, dtype=np.int64)
    folds = split_folds(sets, 5, 0)
    found = fit_spans(queries([2, 5]), folds, sets, range(N_HEADS), Choice.equal([0]), 4)
    assert found.exponents is None
    assert found.all_spans == found.all_spans_by_weights
    rule = span_rule_of(found, Choice.equal([0]), [(0, i) for i in range(N_HEADS)])
    assert rule.exponents == ()


def test_what_is_fitted_is_what_scores() -> None:
    """The shares that exponents are judged by are those that trimming makes of them."""
    draw = np.random.default_rng(2)
    masses, chunks = draw.random((2, 7)), np.array([0, 0, 0, 1, 1, 1, 1])
    exponents = np.array([1.5, -0.5])
    found = shares_of(exponents @ features(masses, chunks), chunks)
    for chunk in (0, 1):
        mine = chunks == chunk
        expected = span_shares(masses[:, mine], exponents.tolist())
        assert found[mine].tolist() == pytest.approx(expected.tolist())


def test_slope_is_that_of_the_loss() -> None:
    """Exponents are those of least loss: one head that tells, a step either way is worse."""
    rows = np.array([[1.0, 0.0, -1.0], [0.3, 0.1, 0.2]])
    lessons = [[(rows, np.array([True, False, False]))], [(rows, np.array([False, True, False]))]]
    weights = np.array([0.75, 0.25])
    found = np.array(fit_exponents(lessons, weights, [4, 6]).exponents)

    def loss(exponents: np.ndarray) -> float:
        shares = np.exp(exponents @ rows)
        shares /= shares.sum()
        return float(0.003 * exponents @ exponents - weights @ np.log(shares[:2]))

    for step in np.eye(2) * 0.05:
        assert loss(found) < min(loss(found + step), loss(found - step))


def test_headings_are_left_out() -> None:
    """A labelled heading is no sentence to learn from: trimming does not choose it for itself."""
    text = "# Rivers\n\nThe Rhine is long. It ends in Holland."
    told = ((0, 8, False), (10, 28, False), (29, 47, True))
    query = LabelledQuery("where?", (LabelledChunk(text, 1.0, "0", sentences=told),), "q", "here")
    masses = np.array([[0.5, 0.1, 0.2]])
    capture = Capture(masses.sum(axis=1)[:, None], np.array([12.0]), None, masses, np.ones(3))
    found = spans_of(query, capture, Choice.equal([0]))
    assert found is not None
    assert found.masses.tolist() == [[0.1, 0.2]]
    assert found.labels.tolist() == [False, True]
