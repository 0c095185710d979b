"""Evidence of candidates with an answer and without, as benchmarks gather it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnmass.profiles import RelevanceRule
from benchmarks.relevance import Evidence, _Sides, told

RULE = RelevanceRule(((0, 0),), (1.0,), evidence_threshold=0.45, coverage=1.0)


def test_sides_by_hand() -> None:
    """The answer stands alone or among others; without it what is left of its query counts."""
    sides = _Sides()
    for best in (0.9, 0.4):
        each = np.array([0.5, best, 0.1, 0.2, 0.6, 0.3, 0.3, 0.3])
        evidence = Evidence.of("who?", ["a"] * 8, each, replace(RULE, coverage=0.0))
        sides.add(evidence, np.array([False, True, False]), np.arange(3, 8))
    found = sides.told(0.45)
    assert list(found["others"]) == [1, 5]
    assert found["others"][1] == {
        "auroc": 1.0,
        "false alarms at 95%": 0.0,
        "silenced": 0.5,
        "let through": 0.0,
    }
    assert found["others"][5]["let through"] == 1.0  # the 0.6 is among five
    assert found["others"][5]["auroc"] == 0.75
    assert found["nearest"]["silenced"] == 0.0  # the 0.5 that answers nothing is there, too
    assert found["nearest"]["auroc"] == 0.75


def test_evidence_is_of_what_all_say() -> None:
    """Half of the words of what passes is half of the log-odds above the threshold."""
    rule = replace(RULE, evidence_threshold=0.5)
    texts = ["Ulm is old", "Bern is new", "Ulm and Bern", "no"]
    evidence = Evidence.of("Ulm Bern", texts, np.array([0.9, 0.6, 0.4, 0.3]), rule)
    one, two = evidence(np.array([0, 2])), evidence(np.array([0, 1, 2, 3]))
    assert 0.5 < one < two == pytest.approx(0.9)
    assert evidence(np.array([2, 3])) == pytest.approx(0.4)


def test_without_a_threshold() -> None:
    """What has none neither silences nor lets anything through."""
    found = told([0.9, 0.8], [0.1, 0.85], None)
    assert found["silenced"] is None
    assert found["let through"] is None
    assert found["auroc"] == 0.75
