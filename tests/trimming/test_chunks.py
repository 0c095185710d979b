"""Ranked chunks with their spans chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from attnmass import RankedChunk, Span, Trim
from attnmass.profiles import SpanRule
from attnmass.text.segmentation import segment
from attnmass.trimming import (
    ScoredText,
    TokenCounter,
    TokenMass,
    Trimmed,
    score_text,
    trim_chunks,
)
from tests.trimming.build import words

TEXTS = {
    0: "Boats are common. Ships sink.",
    1: "",
    2: "# Rivers\n\nThe Rhine is long. It ends in Rotterdam, Holland.",
    3: "Coal is black. Salt is white.",
}
SCORES = {0: [0.4, 0.1], 2: [0.9, 0.3, 0.6], 3: [0.2, 0.5]}


def scored() -> dict[int, ScoredText]:
    """The spans of all chunks that have text; their mass is half of their score."""
    return {
        index: ScoredText(
            TEXTS[index], segment(TEXTS[index]), np.array(scores) / 2, np.array(scores)
        )
        for index, scores in SCORES.items()
    }


def ranked(index: int, score: float, **fields: Any) -> RankedChunk:
    """A whole chunk."""
    return RankedChunk(index, score, 7, text=TEXTS[index], **fields)


BEST_FIRST = [
    ranked(2, 0.3),
    ranked(0, 0.2),
    ranked(3, 0.1),
    ranked(1, 0.0, skipped="blank"),
]


def trimmed(
    kept: Sequence[RankedChunk] = BEST_FIRST,
    dropped: Sequence[RankedChunk] = (),
    leaning: Mapping[int, Mapping[int, int]] | None = None,
    **options: Any,
) -> Trimmed:
    """What becomes of them; the reader gets a source line of three words with each."""
    return trim_chunks(
        kept,
        dropped,
        scored(),
        Trim(**options),
        TokenCounter(words),
        lambda index, text: f"source number {index}\n{text}",
        leaning,
    )


def test_score_text_by_hand() -> None:
    """Each span's mass is that of its tokens, its score by the rule."""
    text = "Ab. Cd."
    tokens = TokenMass(np.array([0.01, 0.04, 0.09]), np.array([(0, 2), (3, 6), (7, 10)]), 3)
    rule = SpanRule(((0, 0),), (1.0,), length_exponent=0.0, chunk_share=0.5)
    found = score_text(text, segment(text), tokens, 0.25, rule)
    assert [text[s.start : s.end] for s in found.segments] == ["Ab.", "Cd."]
    assert found.masses.tolist() == pytest.approx([0.04, 0.09])
    assert found.scores.tolist() == pytest.approx([0.1, 0.15])


def test_score_text_by_exponents() -> None:
    """Mass is the weighted heads' as ever; the score is of what each span has of the chunk."""
    text = "Ab. Cd."
    offsets = np.array([(0, 2), (3, 6), (7, 10)])
    rule = SpanRule(((0, 0), (0, 1)), (1.0, 0.0), 0.0, 0.5, exponents=(0.0, 1.0))
    by_head = np.array([[0.01, 0.04, 0.09], [0.5, 0.3, 0.1]])
    tokens = TokenMass(by_head[0], offsets, 3)
    found = score_text(text, segment(text), tokens, 0.25, rule, by_head=by_head)
    assert found.masses.tolist() == pytest.approx([0.04, 0.09])
    first, other = 1.5 + 0.02, 0.5 + 0.02
    shares = [first / (first + other), other / (first + other)]
    assert found.scores.tolist() == pytest.approx([(share * 0.25) ** 0.5 for share in shares])


def test_texts_and_spans() -> None:
    """Kept chunks have the kept text and all their spans with mass, score, place and reason."""
    found = trimmed(max_tokens=17)
    assert [(c.index, c.text) for c in found.chunks] == [
        (2, "# Rivers\n\n… It ends in Rotterdam, Holland."),
        (3, "Salt is white."),
    ]
    spans = found.chunks[0].spans
    assert [TEXTS[2][s.start : s.end] for s in spans] == [
        "# Rivers",
        "The Rhine is long.",
        "It ends in Rotterdam, Holland.",
    ]
    assert [(s.kind, s.kept, s.reason) for s in spans] == [
        ("heading", True, "title"),
        ("sentence", False, "max_tokens"),
        ("sentence", True, "score"),
    ]
    assert [(s.score, s.mass) for s in spans] == [(0.9, 0.45), (0.3, 0.15), (0.6, 0.3)]
    assert all(type(s.score) is float and type(s.mass) is float for s in spans)
    assert found.chunks[0].kept_spans == (spans[0], spans[2])


def test_ids_name_a_place_in_a_text() -> None:
    """An id has the digest of the text and the place; the query plays no part in it."""
    digest = hashlib.sha256(TEXTS[0].encode()).hexdigest()[:12]
    spans = next(chunk for chunk in trimmed().chunks if chunk.index == 0).spans
    assert [span.id for span in spans] == [f"{digest}-0-17", f"{digest}-18-29"]


def test_the_rest_of_a_chunk_stays() -> None:
    """Score, index and the like are those of the whole chunk."""
    chunk = ranked(0, 0.2, n_windows=2, retrieval_score=0.7, relevance=0.6)
    (found,) = trimmed([chunk], top_p=0.1).chunks
    told = ("index", "score", "n_tokens", "n_windows", "retrieval_score", "relevance", "skipped")
    assert [getattr(found, name) for name in told] == [getattr(chunk, name) for name in told]


def test_tokens_of_what_is_kept() -> None:
    """What is rendered of all kept chunks is counted."""
    assert trimmed().n_tokens_after == 3 * 3 + 5 + 11 + 6
    found = trimmed(BEST_FIRST[:1], [ranked(0, 0.2, dropped="top_n")], max_tokens=12)
    assert found.n_tokens_after == 11


def test_what_left_a_chunk_without_spans() -> None:
    """A chunk of which nothing is kept is dropped for what its best span was."""
    found = trimmed(max_tokens=11)
    assert [chunk.index for chunk in found.chunks] == [2]
    assert [(c.index, c.dropped, c.text) for c in found.dropped] == [
        (0, "max_tokens", ""),
        (3, "max_tokens", ""),
        (1, "blank", ""),
    ]
    assert {c.dropped for c in trimmed(top_p=0.1).dropped} == {"top_p", "blank"}
    assert {c.dropped for c in trimmed(keep_ratio=0.1).dropped} == {"keep_ratio", "blank"}


def test_a_heading_is_not_what_a_chunk_was_dropped_for() -> None:
    """A heading, however good, only goes with others: the best of these says why."""
    found = trimmed([ranked(2, 0.3), ranked(0, 0.2)], max_tokens=6)
    (gone,) = (chunk for chunk in found.dropped if chunk.index == 2)
    assert gone.spans[0].reason == "title"
    assert gone.dropped == "max_tokens"


def test_chunks_that_were_dropped_before() -> None:
    """They have their spans, each with the chunk's reason, and no text."""
    gone = [ranked(3, 0.1, dropped="top_n"), ranked(1, 0.0, skipped="blank", dropped="top_n")]
    found = trimmed(BEST_FIRST[:2], gone)
    assert [chunk.index for chunk in found.chunks] == [2, 0]
    assert [(c.index, c.text, c.dropped) for c in found.dropped] == [
        (3, "", "top_n"),
        (1, "", "top_n"),
    ]
    assert [(s.kept, s.reason, s.score) for s in found.dropped[0].spans] == [
        (False, "top_n", 0.2),
        (False, "top_n", 0.5),
    ]
    assert found.dropped[1].spans == ()


def test_dropped_chunks_are_best_first() -> None:
    """By their score; what was not scored comes last."""
    gone = [
        ranked(0, 0.1, dropped="top_n"),
        ranked(3, 0.2, dropped="top_n"),
        ranked(1, 0.0, skipped="blank", dropped="top_n"),
    ]
    found = trimmed([ranked(2, 0.3)], gone)
    assert [chunk.index for chunk in found.dropped] == [3, 0, 1]


@pytest.mark.parametrize(
    "order", [[2, 0, 3, 1], [0, 1, 2, 3], [1, 3, 0, 2]], ids=["score", "input", "best_last"]
)
def test_chunks_stay_in_their_order(order: list[int]) -> None:
    """What is kept stands in the order that was asked for, and does not depend on it."""
    by_index = {chunk.index: chunk for chunk in BEST_FIRST}
    found = trimmed([by_index[i] for i in order], max_tokens=22)
    expected = trimmed(max_tokens=22)
    assert len(expected.chunks) > 1
    kept = {chunk.index: chunk for chunk in expected.chunks}
    assert [chunk.index for chunk in found.chunks] == [i for i in order if i in kept]
    assert all(chunk == kept[chunk.index] for chunk in found.chunks)


def test_context_is_that_of_its_own_chunk() -> None:
    """What spans lean on is told by chunk."""
    found = trimmed(top_p=0.2, resolve_context=True, leaning={2: {2: 1}, 0: {1: 0}})
    assert [span.reason for span in found.chunks[0].spans] == ["title", "context", "score"]
    assert len(found.chunks) == 1


def test_a_cut_span_ends_where_it_was_cut() -> None:
    """Its place is that of what is kept of it; its id stays that of the whole span."""
    found = trimmed(max_tokens=4, on_empty="cut")
    (chunk,) = found.chunks
    cut = chunk.kept_spans[0]
    assert chunk.text == TEXTS[2][cut.start : cut.end] == "It"
    assert cut.id.endswith("-29-59")
    assert found.n_tokens_after == 4


def test_nothing_kept() -> None:
    """Nothing to choose from is no error."""
    found = trimmed([], [ranked(0, 0.1, dropped="no_evidence")], max_tokens=1)
    assert (found.chunks, found.n_tokens_after) == ((), 0)
    assert trimmed([BEST_FIRST[-1]], max_tokens=1).dropped[0].dropped == "blank"


def test_surrogates_have_ids() -> None:
    """Text with lone surrogates has a digest too."""
    text = "a \ud83d b."
    source = {0: ScoredText(text, segment(text), np.array([0.1]), np.array([0.1]))}
    chunk = RankedChunk(0, 0.1, 3, text=text)
    found = trim_chunks([chunk], [], source, Trim(), TokenCounter(words), lambda _, kept: kept)
    assert found.chunks[0].text == text
    assert isinstance(found.chunks[0].spans[0], Span)
