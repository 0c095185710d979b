"""Ways to select heads: pure functions over captured arrays, all called in the same way.

Each gets what was captured and which queries and heads may be looked at, and gives choices of one
head, two heads and so on, as far as it has an opinion. Which number of heads is right is decided by
the caller, on queries that none of this saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from attnmass.fitting.captures.arrays import Choice, Quality, features
from attnmass.fitting.metrics import Floats, Integers, query_weights

CANDIDATES = 16  # best single heads that take part in forward selection and regression
SAMPLES = 40  # bootstrap samples for forward selection
LEAST_GAIN = 0.001  # nDCG that one more head has to bring
HARD_NEGATIVES = 10  # of each query, by BM25
TEMPERATURE = 0.01  # of contrastive scoring, in attention mass
PENALTIES = 15  # strengths of the L1 penalty
SHRINKAGE = 0.5  # how far fitted weights are pulled towards equal ones


@dataclass(frozen=True, eq=False, slots=True)
class Task:
    """What a method may look at.

    Attributes:
        rows: Indices of queries.
        heads: Indices of heads.
        most: No more heads than this.
        seed: For what is drawn.
    """

    rows: Integers
    heads: Integers
    most: int
    seed: int = 0


Method = Callable[[Quality, Task], list[Choice]]


def single(quality: Quality, task: Task) -> list[Choice]:
    """The best heads by the nDCG@10 that each has alone, weighted equally."""
    return _prefixes(_best(task.heads, _alone(quality, task)), task.most)


def gold_mass(quality: Quality, task: Task) -> list[Choice]:
    """The heads with the most mass on what is relevant, weighted equally.

    The score of QRHead (Zhang et al., arXiv 2506.09944): mean over queries.
    """
    arrays = quality.arrays
    labels = arrays.relevant[task.rows] > 0
    masses = arrays.masses[task.rows][:, task.heads]
    weights = query_weights(arrays.sets[task.rows])
    found = np.einsum("qhc,qc,q->h", masses, labels, weights)
    return _prefixes(_best(task.heads, found), task.most)


def contrastive(quality: Quality, task: Task) -> list[Choice]:
    """The heads that tell what is relevant from hard negatives, weighted equally.

    After CoRe (Tran et al., arXiv 2510.02219): for each relevant chunk the softmax of its mass
    among the negatives' that BM25 ranks highest; mean over queries. The temperature and the number
    of negatives are our own.
    """
    arrays = quality.arrays
    weights = query_weights(arrays.sets[task.rows])
    found = np.zeros(len(task.heads))
    for row, weight in zip(task.rows, weights, strict=True):
        labels = arrays.relevant[row] > 0
        negatives = np.flatnonzero(arrays.present[row] & ~labels)
        hard = negatives[np.argsort(-arrays.lexical[row, negatives], kind="stable")]
        masses = arrays.masses[row][task.heads].astype(np.float64) / TEMPERATURE  # [head, chunk]
        against = masses[:, hard[:HARD_NEGATIVES]]
        shares = [
            1 / (1 + np.exp(np.clip(against - masses[:, [one]], -50, 50)).sum(axis=1))
            for one in np.flatnonzero(labels)
        ]
        found += weight * np.mean(shares, axis=0)
    return _prefixes(_best(task.heads, found), task.most)


def stability(quality: Quality, task: Task) -> list[Choice]:
    """The heads that forward selection takes on most bootstrap samples, weighted equally.

    Heads that only help on some draws of the queries do not transfer (stability selection,
    Meinshausen and Bühlmann, 2010).
    """
    sets = quality.arrays.sets[task.rows]
    alone = _alone(quality, task)
    order = _best(task.heads, alone)
    candidates = order[:CANDIDATES]
    generator = np.random.default_rng(task.seed)
    times: Counter[int] = Counter()
    for _ in range(SAMPLES):
        weights = _resampled(sets, generator)
        times.update(_forward(quality, task, candidates, weights))
    place = {head: i for i, head in enumerate(order)}
    voted = sorted(times, key=lambda head: (-times[head], place[head]))
    return _prefixes(voted, task.most)


def listwise(quality: Quality, task: Task) -> list[Choice]:
    """Heads and weights of a non-negative listwise regression with an L1 penalty.

    The loss is the softmax cross-entropy of each relevant chunk among all chunks of its query; the
    weaker the penalty, the more heads are above zero. Their weights are pulled halfway towards
    equal ones, since fitted weights transfer worse.
    """
    arrays = quality.arrays
    pool = _best(task.heads, _alone(quality, task))[:CANDIDATES]
    present = arrays.present[task.rows]
    labels = (arrays.relevant[task.rows] > 0) & present
    masses = arrays.masses[task.rows][:, pool].astype(np.float64)  # [query, head, chunk]
    scale = np.sqrt((masses**2).sum(axis=(0, 2)) / present.sum()) + 1e-12
    features = masses / scale[None, :, None]
    weights = query_weights(arrays.sets[task.rows])
    target = labels / labels.sum(axis=1, keepdims=True)
    wanted = np.einsum("qhc,qc,q->h", features, target, weights)

    def loss(coefficients: Floats, penalty: float) -> tuple[float, Floats]:
        logits = np.einsum("qhc,h->qc", features, coefficients)
        logits = np.where(present, logits, -np.inf)
        top = logits.max(axis=1, keepdims=True)
        shares = np.exp(logits - top)
        total = shares.sum(axis=1, keepdims=True)
        shares /= total
        value = weights @ (top + np.log(total))[:, 0] - wanted @ coefficients
        slope = np.einsum("qhc,qc,q->h", features, shares, weights) - wanted
        return float(value + penalty * coefficients.sum()), slope + penalty

    found: dict[int, Choice] = {}
    start = np.zeros(len(pool))
    strongest = float(max(-loss(start, 0.0)[1].min(), 1e-9))
    for penalty in strongest * np.geomspace(0.95, 0.005, PENALTIES):
        fitted = minimize(
            loss, start, args=(float(penalty),), jac=True, method="L-BFGS-B",
            bounds=[(0.0, None)] * len(pool),
        )  # fmt: skip
        start = np.asarray(fitted.x)
        kept = np.flatnonzero(start > 1e-3 * max(start.max(), 1e-9))
        if 0 < len(kept) <= task.most and len(kept) not in found:
            found[len(kept)] = _shrunk([pool[i] for i in kept], start[kept] / scale[kept])
    return [found[count] for count in sorted(found)] or [Choice.equal(pool[:1])]


def likelihood(quality: Quality, task: Task) -> list[Choice]:
    """Heads that give relevant chunks the largest share, by its mean logarithm.

    That is the likelihood of a conditional logit model with this one head, which a head can raise
    only by looking at what is relevant; so it carries over from made queries to others.
    """
    found = np.exp(features(quality.arrays)[task.rows][:, task.heads].astype(np.float64))
    shares = np.where(quality.arrays.present[task.rows][:, None], found, 0.0)
    shares /= shares.sum(axis=2, keepdims=True)
    own = (shares * (quality.arrays.relevant[task.rows] > 0)[:, None]).sum(axis=2)
    return _prefixes(_best(task.heads, np.log(own).mean(axis=0)), task.most)


# Where two are equally good, the first is taken.
METHODS: Mapping[str, Method] = {
    "single": single,
    "gold_mass": gold_mass,
    "contrastive": contrastive,
    "stability": stability,
    "listwise": listwise,
    "likelihood": likelihood,
}
LABELLED = ("single", "gold_mass", "contrastive", "stability", "listwise")  # for real queries
MADE = ("likelihood",)  # for queries that are made from texts
WEIGHTED = frozenset({"listwise"})  # those that also fit weights


def of_count(choices: Sequence[Choice], count: int) -> Choice:
    """The choice with this many heads, else with the most below that, else the smallest."""
    fitting = [choice for choice in choices if len(choice.heads) <= count]
    return fitting[-1] if fitting else choices[0]


def _alone(quality: Quality, task: Task) -> Floats:
    """Mean nDCG@10 of each head of the task alone, `[head]`."""
    weights = query_weights(quality.arrays.sets[task.rows])
    return np.asarray(quality.alone[task.heads][:, task.rows] @ weights)


def _best(heads: Integers, scores: Floats) -> list[int]:
    """Heads by falling score; equal ones in their own order, so that runs are reproducible."""
    return [int(heads[i]) for i in np.argsort(-scores, kind="stable")]


def _prefixes(order: Sequence[int], most: int) -> list[Choice]:
    return [Choice.equal(order[:count]) for count in range(1, min(most, len(order)) + 1)]


def _forward(quality: Quality, task: Task, candidates: Sequence[int], weights: Floats) -> list[int]:
    """Greedy forward selection with equal weights, on queries weighted by `weights`, `[row]`."""

    def value(heads: list[int]) -> float:
        return float(quality.of_heads(heads)[task.rows] @ weights)

    selected: list[int] = []
    best = 0.0
    while len(selected) < min(task.most, len(candidates)):
        gains = {head: value([*selected, head]) for head in candidates if head not in selected}
        head = max(gains, key=lambda one: gains[one])
        if gains[head] < best + LEAST_GAIN:
            break
        best = gains[head]
        selected.append(head)
    return selected


def _resampled(sets: Integers, generator: np.random.Generator) -> Floats:
    """The weight of each row in a bootstrap sample drawn within each set; they sum to 1."""
    weights = np.zeros(len(sets))
    known = np.unique(sets)
    for one in known:
        mine = np.flatnonzero(sets == one)
        drawn = generator.choice(mine, len(mine))
        weights += np.bincount(drawn, minlength=len(sets)) / (len(mine) * len(known))
    return weights


def _shrunk(heads: Sequence[int], weights: Floats) -> Choice:
    """Weights that sum to 1, pulled towards equal ones; heaviest first."""
    mixed = (1 - SHRINKAGE) * weights / weights.sum() + SHRINKAGE / len(heads)
    order = np.argsort(-mixed, kind="stable")
    return Choice(tuple(heads[i] for i in order), tuple(float(mixed[i]) for i in order))
