"""What relevance is told by: masses beside the background, and words where they tell."""

from __future__ import annotations

import numpy as np
import pytest

from attnmass.fitting.captures.store import Capture
from attnmass.fitting.evidence.beside import with_others
from attnmass.fitting.evidence.relevance import RelevanceFit, fit_relevance
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery

HEADS = ((1, 0), (2, 1))
N, CHUNKS = 40, 6


def fitted(*, shift: float, says: bool, sentences: bool = False) -> RelevanceFit:
    """A fit on queries whose first chunk supports the answer.

    Args:
        shift: What it has more of the first head's mass, in the logarithm.
        says: Whether it says the query's words; else no chunk does.
        sentences: Whether sentences are labelled.
    """
    queries = []
    for number in range(N):
        words = f"zeb{number}ra qua{number}gga"
        texts = [f"plain{number} text{i}. More of it." for i in range(CHUNKS)]
        texts[0] = f"{words if says else 'nothing'} here. More of it."
        end = texts[0].index(".") + 1
        chunks = [
            LabelledChunk(
                text,
                float(i == 0),
                str(i),
                sentences=((0, end, i == 0), (end, len(text), False)) if sentences else None,
            )
            for i, text in enumerate(texts)
        ]
        queries.append(LabelledQuery(f"Where are {words}?", tuple(chunks), f"q{number}", "here"))
    beside, draw = with_others(queries), np.random.default_rng(0)
    captures = []
    for query in beside:
        masses = np.exp(draw.normal(-3, 0.5, (2, len(query.chunks))))
        masses[0, 0] *= np.exp(shift)
        spans = np.exp(draw.normal(-4, 0.5, (2, 2 * CHUNKS))) if sentences else None
        counts = np.ones(len(query.chunks), dtype=np.float32)
        captures.append(Capture(np.minimum(masses, 1), counts, span_masses=spans))
    return fit_relevance(HEADS, queries, beside, captures, np.arange(N) % 4)


def test_words_count_where_they_tell() -> None:
    """They find what the heads do not; it is said what the heads find alone."""
    found = fitted(shift=0.0, says=True)
    assert found.rule.words > 1
    assert found.nearest > 0.95 > 0.7 > found.attention
    assert found.others > 0.95
    assert found.rule.span_words == found.rule.words  # no sentence told otherwise
    assert found.brier < 0.1


def test_words_are_left_aside_where_they_do_not() -> None:
    """Where no chunk says any, masses alone tell."""
    found = fitted(shift=3.0, says=False)
    assert found.rule.words == found.rule.span_words == 0
    assert not found.rule.counts_words
    assert found.nearest == found.attention > 0.95
    assert found.rule.weights[0] > abs(found.rule.weights[1])


def test_sentences_tell_their_own_weight() -> None:
    """Of words, and the threshold that keeps most of those that support."""
    found = fitted(shift=0.5, says=True, sentences=True)
    assert found.spans == 2 * CHUNKS * N
    assert found.rule.span_words > 1
    assert found.rule.min_relevance is not None
    told, other = (found.rule.of_span((0.02, 0.02), words) for words in (1.0, 0.0))
    assert told > 0.5 > other
    assert found.rule.min_relevance <= told


@pytest.mark.parametrize("says", [True, False])
def test_relevance_of_a_chunk_is_the_fits(says: bool) -> None:
    """By the rule that was fitted."""
    rule = fitted(shift=2.0, says=says).rule
    logit = rule.bias + 0.5 * rule.words
    logit += sum(w * np.log(m + 0.01) for w, m in zip(rule.weights, (0.2, 0.1), strict=True))
    assert rule.of_chunk((0.2, 0.1), 0.5) == pytest.approx(1 / (1 + np.exp(-logit)))
