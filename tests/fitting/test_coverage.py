"""How much words that all candidates say together count in evidence, chosen on made-up queries."""

from __future__ import annotations

import numpy as np
import pytest

from attnmass.fitting.evidence.coverage import area_of_evidence, best_coverage
from attnmass.fitting.evidence.tables import Table
from attnmass.profiles.texts import ordinary_rarity
from attnmass.text.words import QueryWords

QUERY = "Ulm Bern"
THRESHOLD = 0.3


def told(count: int, *, both: bool) -> list[tuple[Table, np.ndarray, np.ndarray]]:
    """Queries of three chunks that all pass; the first answers, and is no likelier than others.

    Args:
        count: How many.
        both: Whether it says a word that the others leave out; else all say all.
    """
    generator = np.random.default_rng(0)
    words = QueryWords(QUERY, ordinary_rarity())
    one, other = words.found("Ulm"), words.found("Bern")
    found = [one, other, other] if both else [one | other] * 3
    own, none = np.ones(3, dtype=bool), np.zeros(0, dtype=bool)
    labels = np.array([True, False, False])
    table = Table(np.zeros((3, 2)), labels, own, np.zeros((0, 2)), none, words, found)
    return [(table, generator.uniform(0.4, 0.9, size=3), labels) for _ in range(count)]


def test_words_count_where_they_tell() -> None:
    """As much as any exponent gains; what they gain is told."""
    made = told(60, both=True)
    exponent, area = best_coverage(made, THRESHOLD)
    assert exponent > 0
    assert area == area_of_evidence(made, THRESHOLD, exponent)
    assert area > area_of_evidence(made, THRESHOLD, 0.0) + 0.1


def test_words_do_not_count_where_they_tell_nothing() -> None:
    """Where all is said by all, and where there is no threshold to stand above."""
    made = told(60, both=False)
    assert best_coverage(made, THRESHOLD) == (0.0, area_of_evidence(made, THRESHOLD, 0.0))
    for threshold in (0.0, 1.0):
        assert best_coverage(told(60, both=True), threshold)[0] == 0.0


def test_queries_without_others_are_left_aside() -> None:
    """Where every candidate supports the answer, none of them is without it."""
    ((table, each, labels),) = told(1, both=True)
    assert area_of_evidence([(table, each, labels | True)], THRESHOLD, 1.0) == pytest.approx(1.0)
