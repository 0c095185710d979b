"""Heads that share a chunk out among its sentences: exponents, fitted on labelled sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from attnmass.fitting.metrics import Bools, Floats, Integers
from attnmass.fitting.shares.ranking import Exponents
from attnmass.profiles.rules import log_relative

PENALTY = 0.003  # of squared exponents, against the mean loss over queries

Lesson = tuple[Floats, Bools]  # a chunk's `features` and labels


def features(masses: Floats, chunks: Integers) -> Floats:
    """Logarithm of each mass over its head's mean in the chunk, as in `SpanRule`.

    Args:
        masses: `[head, span]`.
        chunks: Which chunk each span is in, `[span]`.

    Returns:
        `[head, span]`.
    """
    found = np.zeros(masses.shape)
    for chunk in np.unique(chunks):
        mine = chunks == chunk
        found[:, mine] = [log_relative(row) for row in masses[:, mine].tolist()]
    return found


def shares_of(logits: Floats, chunks: Integers) -> Floats:
    """The share of its chunk that each span has, `[span]`; arguments `[span]`."""
    found = np.empty(len(logits))
    for chunk in np.unique(chunks):
        mine = chunks == chunk
        found[mine] = softmax(logits[mine])
    return found


def fit_exponents(
    queries: Sequence[Sequence[Lesson]], weights: Floats, heads: Sequence[int]
) -> Exponents:
    """A conditional logit (McFadden, 1974) of the sentences of one chunk.

    Args:
        queries: For each, its chunks in which some sentences support the answer and some do not;
            `features` are of `heads` alone.
        weights: The weight of each query, `[query]`; they sum to 1.
        heads: Indices of the heads in the arrays.
    """

    def loss(exponents: Floats) -> tuple[float, Floats]:
        value, slope = PENALTY * float(exponents @ exponents), 2 * PENALTY * exponents
        for query, weight in zip(queries, weights.tolist(), strict=True):
            for rows, right in query:
                logits = exponents @ rows
                each = weight / len(query)
                value -= each * float(log_softmax(logits)[right].mean())
                slope = slope - each * (rows[:, right].mean(axis=1) - rows @ softmax(logits))
        return value, slope

    found = minimize(loss, np.zeros(len(heads)), jac=True, method="L-BFGS-B").x
    return Exponents(tuple(heads), tuple(round(float(x), 4) for x in found))
