"""Heads that score sentences, on captures in which it is known which they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnmass.fitting.arrays import Choice
from attnmass.fitting.crossval import split_folds
from attnmass.fitting.items import LabelledChunk, LabelledQuery
from attnmass.fitting.spans import Spans, fit_spans, spans_of
from attnmass.fitting.store import Capture

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
