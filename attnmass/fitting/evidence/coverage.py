"""How much the share of the query's words that two candidates say together counts in evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attnmass.fitting.evidence.tables import Table
from attnmass.fitting.metrics import Bools, Floats, auc_between

_EXPONENTS = (0.0, 0.25, 0.5, 1.0)

# A query, evidence of each of its own chunks by itself, and which of these are relevant.
Told = tuple[Table, Floats, Bools]


def best_coverage(told: Sequence[Told], threshold: float) -> tuple[float, float]:
    """The exponent that separates best, and how well it does so.

    Args:
        told: Queries, scored by rules that they had no part in.
        threshold: That of evidence.

    Returns:
        The exponent, and the `area_of_evidence` with it. The exponent is 0 where the threshold is
        at an end of its range, or nothing is better.
    """
    tried = _EXPONENTS if 0 < threshold < 1 else (0.0,)
    areas = [area_of_evidence(told, threshold, one) for one in tried]
    best = int(np.argmax(areas))
    return tried[best], areas[best]


def area_of_evidence(told: Sequence[Told], threshold: float, exponent: float) -> float:
    """Area under ROC of evidence: queries' candidates against the same without what supports it.

    Args:
        told: Queries.
        threshold: That of evidence.
        exponent: As `RelevanceRule.coverage`.
    """
    present = [t.evidence(each, labels | True, threshold, exponent) for t, each, labels in told]
    absent = [
        t.evidence(each, ~labels, threshold, exponent)
        for t, each, labels in told
        if not labels.all()
    ]
    return auc_between(np.array(present), np.array(absent))
