"""Evidence of candidates with an answer and without, as benchmarks gather it."""

from __future__ import annotations

import numpy as np

from benchmarks.relevance import _Sides, told


def test_sides_by_hand() -> None:
    """The answer stands alone or among others; without it what is left of its query counts."""
    sides = _Sides()
    for best in (0.9, 0.4):
        own = np.array([0.5, best, 0.1])
        sides.add(own, np.array([False, True, False]), np.array([0.2, 0.6, 0.3, 0.3, 0.3]))
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


def test_without_a_threshold() -> None:
    """What has none neither silences nor lets anything through."""
    found = told([0.9, 0.8], [0.1, 0.85], None)
    assert found["silenced"] is None
    assert found["let through"] is None
    assert found["auroc"] == 0.75
