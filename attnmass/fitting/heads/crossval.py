"""How to select heads, and how many: decided and judged on queries that selected nothing.

Queries are split into folds. The curves and the decision come from scoring each fold with heads
that the others selected. The score of the whole is nested: for each fold the decision, too, is made
without it, so that no query has a say in what it is judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from attnmass.fitting.captures.arrays import Choice, Quality
from attnmass.fitting.heads.methods import LABELLED, METHODS, WEIGHTED, Task, of_count
from attnmass.fitting.metrics import Floats, Integers, query_weights, standard_error

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, order=True)
class Config:
    """One way to get heads, sorted by how simple it is.

    Attributes:
        count: How many heads.
        null_query: Whether a null query's mass is subtracted, which takes one more pass.
        weighted: Whether weights are also fitted.
        rank: Place of the method among all.
        method: A key of `METHODS`.
    """

    count: int
    null_query: bool
    weighted: bool
    rank: int
    method: str

    @property
    def cost(self) -> tuple[int, bool, bool]:
        """What makes it more or less simple; methods giving the same kind of heads are equal."""
        return self.count, self.null_query, self.weighted and self.count > 1


@dataclass(eq=False, slots=True)
class CrossValidation:
    """Selection over folds of queries; what has been selected once is remembered.

    Attributes:
        qualities: What was captured, without and (in the joint layout) with the null query's mass
            subtracted.
        folds: The fold of each query, `[query]`.
        heads: Indices of the heads that may be selected.
        most: No more heads than this.
        methods: Keys of `METHODS`.
        advance: Called once for each selection made.
        least: No fewer heads than this, where there are so many.
    """

    qualities: Mapping[bool, Quality]
    folds: Integers
    heads: Integers
    most: int
    methods: Sequence[str] = LABELLED
    advance: Callable[[], object] = lambda: None
    least: int = 1
    _known: dict[tuple[str, bool, frozenset[int]], list[Choice]] = field(default_factory=dict)

    @property
    def sets(self) -> Integers:
        """The set of each query."""
        return next(iter(self.qualities.values())).arrays.sets

    @property
    def n_selections(self) -> int:
        """How many selections `decide`, `nested` and `select` of what was decided make."""
        n_folds = len(np.unique(self.folds))
        without = n_folds + n_folds * (n_folds - 1) // 2
        return without * len(self.methods) * len(self.qualities) + 1

    @property
    def configs(self) -> list[Config]:
        """All that may be decided on, the simplest first."""
        ranks = {name: rank for rank, name in enumerate(METHODS)}
        most = min(self.most, len(self.heads))
        return sorted(
            Config(count, null_query, method in WEIGHTED, ranks[method], method)
            for method in self.methods
            for null_query in self.qualities
            for count in range(min(self.least, most), most + 1)
        )

    def select(self, config: Config, outside: frozenset[int] = _NONE) -> Choice:
        """Heads by all queries except those in the folds `outside`."""
        key = (config.method, config.null_query, outside)
        if key not in self._known:
            rows = np.flatnonzero(~np.isin(self.folds, list(outside)))
            task = Task(rows, self.heads, self.most)
            self._known[key] = METHODS[config.method](self.qualities[config.null_query], task)
            self.advance()
        return of_count(self._known[key], config.count)

    def held_out(self, config: Config, outside: frozenset[int] = _NONE) -> Floats:
        """nDCG@10 of each query by heads that other folds selected; NaN in the folds `outside`."""
        values = np.full(len(self.folds), np.nan)
        for fold in set(self.folds.tolist()) - outside:
            choice = self.select(config, outside | {fold})
            mine = self.folds == fold
            values[mine] = self.qualities[config.null_query].of_choice(choice)[mine]
        return values

    def decide(self, outside: frozenset[int] = _NONE) -> Config:
        """The simplest config that is about as good as the best, without the folds `outside`."""
        kept = ~np.isin(self.folds, list(outside))
        values = {config: self.held_out(config, outside)[kept] for config in self.configs}
        return simplest(values, self.sets[kept])

    def nested(self) -> tuple[Floats, list[tuple[Config, Choice]]]:
        """nDCG@10 of each query where it had no say at all, and what was decided for each fold."""
        values = np.full(len(self.folds), np.nan)
        decided = []
        for fold in sorted(set(self.folds.tolist())):
            outside = frozenset({fold})
            config = self.decide(outside)
            choice = self.select(config, outside)
            mine = self.folds == fold
            values[mine] = self.qualities[config.null_query].of_choice(choice)[mine]
            decided.append((config, choice))
        return values, decided


def simplest(values: Mapping[Config, Floats], sets: Integers) -> Config:
    """The best config of the simplest kind that is within one standard error of the best of all.

    The error is that of the difference over the same queries, which separates configs where the
    error of each alone would not.

    Args:
        values: Held-out nDCG@10 of each query by config, `[query]`.
        sets: The set of each query.
    """
    weights = query_weights(sets)
    means = {config: float(found @ weights) for config, found in values.items()}
    best_of: dict[tuple[int, bool, bool], Config] = {}  # of each kind
    for config in sorted(values):
        known = best_of.setdefault(config.cost, config)
        if means[config] > means[known]:
            best_of[config.cost] = config
    best = max(best_of.values(), key=lambda config: means[config])
    for _, config in sorted(best_of.items()):
        error = standard_error(values[best] - values[config], sets)
        if means[best] - means[config] <= error + 1e-9:
            return config
    return best


def fewest(values: Mapping[int, Floats], sets: Integers) -> int:
    """The smallest number of heads within one standard error of the best.

    Args:
        values: Held-out quality of each query by number of heads, `[query]`.
        sets: The set of each query.
    """
    weights = query_weights(sets)
    best = max(sorted(values), key=lambda count: float(values[count] @ weights))
    for count in sorted(values):
        behind = values[best] - values[count]
        if float(behind @ weights) <= standard_error(behind, sets):
            return count
    return best


def split_folds(sets: Integers, n_folds: int, seed: int) -> Integers:
    """The fold of each query, `[query]`; each set is spread as evenly as possible."""
    generator = np.random.default_rng(seed)
    folds = np.empty(len(sets), dtype=np.int64)
    start = 0
    for one in np.unique(sets):
        mine = generator.permutation(np.flatnonzero(sets == one))
        folds[mine] = (np.arange(len(mine)) + start) % n_folds
        start += len(mine)
    return folds
