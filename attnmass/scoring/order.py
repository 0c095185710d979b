"""From scores to one order: pure functions over numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

_FLOOR = 1e-4
_ROUNDING = 1e-12  # of the largest
_FAR = 1e6  # standard deviations; what is farther counts as this far


def log_masses(masses: Sequence[float]) -> list[float]:
    """Logarithms of masses, `[chunk]`; those below a 10,000th of the largest count as that."""
    top = max(masses, default=0.0)
    if top <= 0:
        return [0.0] * len(masses)
    return [math.log(max(mass, top * _FLOOR)) for mass in masses]


def fuse(attention: Sequence[float], retrieval: Sequence[float], weight: float) -> list[float]:
    """Blend two scores as a weighted sum of their z-scores over the candidates.

    Args:
        attention: What attention says about each chunk, such as `log_masses`.
        retrieval: The retriever's score of each chunk, higher is better.
        weight: Share of the retrieval score, in [0, 1]; 0.5 weights both equally.

    Returns:
        One number for each chunk, comparable within this set of candidates only.
    """
    pairs = zip(standardize(attention), standardize(retrieval), strict=True)
    return [(1 - weight) * one + weight * other for one, other in pairs]


def sigmoid(logit: float) -> float:
    """The logistic function, from a logit to [0, 1]."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(max(logit, -700.0)) / (1 + math.exp(max(logit, -700.0)))


def softmax(keys: Sequence[float]) -> list[float]:
    """Shares of 1 by keys, which may be any finite numbers."""
    top = max(keys, default=0.0)
    found = [math.exp(max(key - top, -700.0)) for key in keys]
    total = sum(found)
    return [one / total for one in found]


def order(keys: Sequence[float]) -> list[int]:
    """Indices by falling key; equal keys keep their order."""
    return sorted(range(len(keys)), key=lambda index: -keys[index])


def standardize(
    values: Sequence[float], *, best: int | None = None, least_variance: float = 0.0
) -> list[float]:
    """Z-scores; zeros where all values are equal, up to rounding.

    Args:
        values: At least one, finite.
        best: Mean and variance are of this many of the highest; default: of all. Also of all where
            the highest are equal.
        least_variance: What is added to the variance.
    """
    known = sorted(values, reverse=True)[:best]
    if best is not None and known[0] == known[-1]:
        known = list(values)
    # Squares of other parties' scores may be beyond what a float holds.
    scale = 1.0 if least_variance else max(map(abs, known)) or 1.0
    mean = math.fsum(value / scale / len(known) for value in known)
    variance = math.fsum((value / scale - mean) ** 2 for value in known) / len(known)
    spread = math.sqrt(variance + least_variance)
    if spread <= _ROUNDING * max(abs(value / scale) for value in known):
        return [0.0] * len(values)
    return [max(-_FAR, min(_FAR, (value / scale - mean) / spread)) for value in values]
