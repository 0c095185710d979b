"""Captured arrays in which it is known which heads carry the signal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from attnmass.fitting.captures.arrays import Arrays, Quality
from attnmass.fitting.metrics import Floats


def planted(
    signal: Mapping[int, float],
    *,
    n_queries: int = 60,
    n_heads: int = 24,
    n_chunks: int = 10,
    n_sets: int = 1,
    seed: int = 0,
    loud: tuple[int, ...] = (),
) -> Arrays:
    """Noise in all heads, and in some of them more mass on the one or two relevant chunks.

    Args:
        signal: By head how much more, in standard deviations of the noise.
        n_queries: How many queries.
        n_heads: How many heads.
        n_chunks: Most chunks of a query; some have fewer.
        n_sets: How many sets.
        seed: Of all that is drawn.
        loud: Heads with much mass everywhere, which tells nothing.
    """
    draw = np.random.default_rng(seed)
    masses, labels, lexical, sets = [], [], [], []
    for query in range(n_queries):
        n = int(draw.integers(n_chunks - 3, n_chunks + 1))
        relevant = np.zeros(n)
        relevant[draw.choice(n, 2, replace=False)] = 1
        found: Floats = draw.random((n_heads, n))
        for head, size in signal.items():
            found[head] += size * 0.29 * relevant  # of a uniform draw
        found[list(loud)] *= 5
        masses.append((found / 40).astype(np.float32))
        labels.append(relevant.tolist())
        lexical.append(draw.random(n))
        sets.append(query % n_sets)
    return Arrays.stack(masses, labels, lexical, sets)


def quality(signal: Mapping[int, float], **options: object) -> Quality:
    """The same, ready to be asked."""
    return Quality(planted(signal, **options))  # type: ignore[arg-type]
