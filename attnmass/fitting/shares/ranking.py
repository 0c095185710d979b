"""How the mass of all chunks is shared out among them: a rule fitted over every head's.

A few heads weighted equally say how much a query found; many heads, some of them counted against a
chunk, say better where. Folds decide whether that is so for a model, and how many heads it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize

from attnmass.fitting.captures.arrays import Arrays, features
from attnmass.fitting.heads.crossval import CrossValidation, fewest
from attnmass.fitting.metrics import Bools, Floats, Integers, ndcg_at_10, query_weights
from attnmass.profiles import RankRule
from attnmass.profiles.rules import Head

COUNTS = (4, 8, 16, 24, 32)  # heads of a rule
PENALTY = 30.0  # of squared exponents, against the sum of losses over queries
_DROPPED = 6  # one in this many heads is dropped at each step
_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Exponents:
    """Heads and their exponents.

    Attributes:
        heads: Indices of heads in the arrays.
        exponents: One for each.
    """

    heads: tuple[int, ...]
    exponents: tuple[float, ...]

    def rule(self, known: Sequence[Head]) -> RankRule:
        """The rule of a profile; `known` are the heads of the arrays."""
        return RankRule(tuple(known[i] for i in self.heads), self.exponents)

    def share_out(self, masses: Floats, by_head: Floats) -> Floats:
        """`masses`, `[chunk]`, shared out by the heads of `by_head`, `[head, chunk]`."""
        rule = self.rule([(0, i) for i in range(len(by_head))])
        return np.array(rule(masses.tolist(), by_head[list(self.heads)].tolist()))


@dataclass(frozen=True, eq=False, slots=True)
class RankingFit:
    """What folds decided.

    Attributes:
        chosen: The rule over all queries; `None` where each chunk's own mass is as good.
        nested: nDCG@10 of each query where it had no say, not even in the decision, `[query]`.
        by_count: Held-out nDCG@10 of each query by the number of heads, 0 for no rule, `[query]`.
    """

    chosen: Exponents | None
    nested: Floats
    by_count: Mapping[int, Floats]


@dataclass(eq=False, slots=True)
class Sharing:
    """Rules fitted on some queries; what has been fitted once is remembered.

    Attributes:
        arrays: What was captured, without a null query's mass subtracted.
        folds: The fold of each query, `[query]`.
        heads: Indices of the heads that may take part.
        advance: Called once for each path of rules that is fitted.
    """

    arrays: Arrays
    folds: Integers
    heads: Integers
    advance: Callable[[], object] = lambda: None
    _penalty: ClassVar[float | None] = None  # as in `eliminate`
    _features: Floats = field(init=False)
    _known: dict[frozenset[int], dict[int, Exponents]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._features = features(self.arrays)

    @property
    def counts(self) -> list[int]:
        """How many heads a rule may have."""
        return [count for count in COUNTS if count < len(self.heads)] or [len(self.heads)]

    def path(self, outside: frozenset[int] = _NONE) -> dict[int, Exponents]:
        """Rules by their number of heads, from all queries except those in the folds `outside`."""
        if outside not in self._known:
            self._known[outside] = self._rules(np.flatnonzero(~np.isin(self.folds, list(outside))))
            self.advance()
        return self._known[outside]

    def _rules(self, rows: Integers) -> dict[int, Exponents]:
        """Rules by their number of heads, fitted on some queries."""
        return eliminate(
            self._features[rows],
            (self.arrays.relevant[rows] > 0) & self.arrays.present[rows],
            self.arrays.present[rows],
            self.arrays.sets[rows],
            [int(head) for head in self.heads],
            self.counts,
            penalty=self._penalty,
        )

    def values(self, rule: Exponents) -> Floats:
        """nDCG@10 by a rule, `[query]`."""
        logits = np.einsum("qhc,h->qc", self._features[:, list(rule.heads)], rule.exponents)
        return ndcg_at_10(self.arrays.relevant, logits, self.arrays.present)

    def held_out(self, count: int, outside: frozenset[int] = _NONE) -> Floats:
        """nDCG@10 of each query by rules that other folds fitted; NaN in the folds `outside`."""
        values = np.full(len(self.folds), np.nan)
        for fold in set(self.folds.tolist()) - outside:
            mine = self.folds == fold
            values[mine] = self.values(self.path(outside | {fold})[count])[mine]
        return values


def held_out_shares(crossed: CrossValidation, sharing: Sharing, fit: RankingFit) -> list[Floats]:
    """For each query, what each chunk gets by heads and rules that it had no part in, `[chunk]`."""
    arrays = sharing.arrays
    found: list[Floats] = []
    for row, fold in enumerate(sharing.folds.tolist()):
        outside, there = frozenset({fold}), arrays.present[row]
        if fit.chosen is None:
            choice = crossed.select(crossed.decide(outside), outside)
            found.append(
                np.array(choice.weights) @ arrays.masses[row, list(choice.heads)][:, there]
            )
        else:
            rule = sharing.path(outside)[len(fit.chosen.heads)]
            masses = arrays.masses[row][:, there].astype(np.float64)
            found.append(rule.share_out(np.full(masses.shape[1], 1 / masses.shape[1]), masses))
    return found


def n_paths(n_folds: int) -> int:
    """How many paths `fit_ranking` fits."""
    return 1 + n_folds + n_folds * (n_folds - 1) // 2


def without_rule(crossed: CrossValidation, nested: Floats) -> RankingFit:
    """Each chunk's own mass, where no rule was asked for; arguments as in `fit_ranking`."""
    return RankingFit(None, nested, {0: crossed.held_out(crossed.decide())})


def fit_ranking(crossed: CrossValidation, sharing: Sharing, nested: Floats) -> RankingFit:
    """Decide between each chunk's own mass and rules of some numbers of heads.

    The simplest one within one standard error of the best is taken.

    Args:
        crossed: The selection of the heads that give mass.
        sharing: Fits rules, over the same folds.
        nested: nDCG@10 of each query by heads that it had no say in, `[query]`.
    """

    def compare(outside: frozenset[int]) -> tuple[int, dict[int, Floats]]:
        kept = ~np.isin(sharing.folds, list(outside))
        values = {0: crossed.held_out(crossed.decide(outside), outside)}
        values |= {count: sharing.held_out(count, outside) for count in sharing.counts}
        known = {count: found[kept] for count, found in values.items()}
        return fewest(known, sharing.arrays.sets[kept]), values

    found = nested.copy()
    for fold in sorted(set(sharing.folds.tolist())):
        outside = frozenset({fold})
        count, _ = compare(outside)
        if count:
            mine = sharing.folds == fold
            found[mine] = sharing.values(sharing.path(outside)[count])[mine]
    count, values = compare(_NONE)
    return RankingFit(sharing.path()[count] if count else None, found, values)


def eliminate(
    found: Floats,
    labels: Bools,
    present: Bools,
    sets: Integers,
    heads: Sequence[int],
    counts: Sequence[int],
    groups: Sequence[int] | None = None,
    penalty: float | None = None,
) -> dict[int, Exponents]:
    """Rules by their number of heads, least influential heads dropped first (backward elimination).

    Args:
        found: As `features` gives them.
        labels: Which chunks are relevant, `[query, chunk]`.
        present: Where there is a chunk, `[query, chunk]`.
        sets: The set of each query; sets are weighted equally.
        heads: Indices of the heads that take part.
        counts: How many are wanted.
        groups: For each head, a number; heads with the same number are dropped together, and count
            as one.
        penalty: That on squared exponents, against the mean loss; default: the smaller the more
            queries.
    """
    strength = PENALTY / len(sets) if penalty is None else penalty
    of_group = range(found.shape[1]) if groups is None else groups
    n = present.sum(axis=1)[:, None]
    means = found.sum(axis=2) / n  # [query, head]
    centred = np.where(present[:, None], found - means[:, :, None], 0.0)
    spread = np.sqrt(((centred**2).sum(axis=2) / n).mean(axis=0)) + 1e-9  # [head]

    def fitted(left: list[int], start: Floats) -> Floats:
        scaled = centred[:, left] / spread[left][:, None]
        return _conditional_logit(scaled, labels, present, sets, start, strength)

    left = list(heads)
    exponents = fitted(left, np.zeros(len(left)))
    rules: dict[int, Exponents] = {}
    for count in sorted(counts, reverse=True):
        while (n_left := len({of_group[head] for head in left})) > count:
            n_dropped = max(1, min(n_left - count, n_left // _DROPPED))
            kept = _heaviest([of_group[head] for head in left], exponents, n_left - n_dropped)
            left = [left[i] for i in kept]
            exponents = fitted(left, exponents[kept])
        order = np.argsort(-np.abs(exponents), kind="stable")
        rules[count] = Exponents(
            tuple(left[i] for i in order),
            tuple(round(float(exponents[i] / spread[left[i]]), 4) for i in order),
        )
    return rules


def _heaviest(groups: Sequence[int], exponents: Floats, count: int) -> Integers:
    """Places of the heads in `count` groups, those with the largest exponents."""
    _, place = np.unique(groups, return_inverse=True)
    weight = np.sqrt(np.bincount(place, weights=exponents**2))
    kept = np.argsort(-weight, kind="stable")[:count]
    return np.flatnonzero(np.isin(place, kept))


def _conditional_logit(
    scaled: Floats,
    labels: Bools,
    present: Bools,
    sets: Integers,
    start: Floats,
    penalty: float,
) -> Floats:
    """Coefficients of a conditional logit model with an L2 penalty, `[head]`.

    The loss of a query is the softmax cross-entropy of its relevant chunks among all its chunks.

    Args:
        scaled: `[query, head, chunk]`, 0 where there is no chunk.
        labels: `[query, chunk]`.
        present: `[query, chunk]`.
        sets: `[query]`.
        start: Where to begin, `[head]`.
        penalty: Half of it is the weight of squared coefficients against the mean loss.
    """
    rows, places = np.nonzero(present)
    table = np.ascontiguousarray(scaled.transpose(1, 0, 2)[:, rows, places], dtype=np.float64)
    target = (labels / labels.sum(axis=1, keepdims=True))[rows, places]
    weights = query_weights(sets)
    bounds = np.flatnonzero(np.diff(rows, prepend=-1))
    sizes = np.diff(np.append(bounds, len(rows)))
    by_item = np.repeat(weights, sizes)
    wanted = table @ (by_item * target)

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        logits = coefficients @ table
        top = np.maximum.reduceat(logits, bounds)
        shares = np.exp(logits - np.repeat(top, sizes))
        totals = np.add.reduceat(shares, bounds)
        shares /= np.repeat(totals, sizes)
        value = weights @ (top + np.log(totals)) - wanted @ coefficients
        value += penalty / 2 * (coefficients @ coefficients)
        return float(value), table @ (by_item * shares) - wanted + penalty * coefficients

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return np.asarray(found.x)
