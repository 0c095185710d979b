"""Which heads tell the sentences that matter from others: pure functions over captured arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from attnmass.fitting.captures.arrays import Choice
from attnmass.fitting.heads.crossval import fewest
from attnmass.fitting.heads.methods import CANDIDATES, LEAST_GAIN
from attnmass.fitting.metrics import Floats, Integers, Interval, interval, query_weights
from attnmass.fitting.sentences.quality import SpanQuality, Spans
from attnmass.fitting.sentences.shares import fit_exponents
from attnmass.fitting.shares.ranking import Exponents
from attnmass.profiles import SpanRule
from attnmass.profiles.rules import Head

LEAST_QUERIES = 6
EXPONENTS = (0.5, 0.0, 0.25, 0.75, 1.0)  # the first is taken where others are no better
LENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)  # for shares of a chunk; the simplest first
SHARES = (0.5, 0.0, 0.2, 0.3, 0.4, 0.6, 0.7)


@dataclass(frozen=True, slots=True)
class SpanFit:
    """Heads that score sentences.

    Attributes:
        choice: The heads; `None` where those that rank chunks are as good.
        length_exponent: As in `SpanRule`.
        chunk_share: Likewise.
        exponents: Heads that share a chunk out among its sentences; `None` where the heads' mass,
            weighted, is as good.
        queries: How many queries have labelled sentences to learn from.
        inside: Held-out area under ROC inside supporting chunks.
        inside_by_chunk_heads: The same by the heads that rank chunks.
        all_spans_by_weights: Held-out area under ROC over all sentences of a query, by the heads'
            mass.
        all_spans_by_exponents: The same by exponents.
    """

    choice: Choice | None
    length_exponent: float
    chunk_share: float
    exponents: Exponents | None
    queries: int
    inside: Interval
    inside_by_chunk_heads: Interval
    all_spans_by_weights: Interval
    all_spans_by_exponents: Interval

    @property
    def all_spans(self) -> Interval:
        """Held-out area under ROC over all sentences of a query."""
        by_weights = self.exponents is None
        return self.all_spans_by_weights if by_weights else self.all_spans_by_exponents


def span_rule_of(found: SpanFit, chunk_choice: Choice, known: Sequence[Head]) -> SpanRule:
    """The rule of a profile; `known` are the heads of the arrays.

    With exponents, a sentence's mass is by the heads that rank chunks: no others need be read.
    """
    shape = found.length_exponent, found.chunk_share
    if found.exponents is None:
        used = found.choice or chunk_choice
        return SpanRule(tuple(known[i] for i in used.heads), used.weights, *shape)
    weights = dict(zip(chunk_choice.heads, chunk_choice.weights, strict=True))
    exponents = dict(zip(found.exponents.heads, found.exponents.exponents, strict=True))
    heads = tuple(dict.fromkeys([*weights, *exponents]))
    return SpanRule(
        tuple(known[i] for i in heads),
        tuple(weights.get(i, 0.0) for i in heads),
        *shape,
        exponents=tuple(exponents.get(i, 0.0) for i in heads),
    )


def fit_where_told(
    queries: Sequence[Spans | None],
    folds: Integers,
    sets: Integers,
    heads: Sequence[int],
    chunk_choice: Choice,
    most: int,
    read: Sequence[int] = (),
) -> SpanFit | None:
    """`fit_spans` on the queries that have labels; `None` where these are too few.

    Args:
        queries: As from `spans_of`.
        folds: As in `fit_spans`, and so are all others.
        sets: Likewise.
        heads: Likewise.
        chunk_choice: Likewise.
        most: Likewise.
        read: Likewise.
    """
    known = [i for i, spans in enumerate(queries) if spans is not None]
    if len(known) < LEAST_QUERIES or len(np.unique(folds[known])) < 2:
        return None
    found = [spans for spans in queries if spans is not None]
    return fit_spans(found, folds[known], sets[known], heads, chunk_choice, most, read)


def fit_spans(
    queries: Sequence[Spans],
    folds: Integers,
    sets: Integers,
    heads: Sequence[int],
    chunk_choice: Choice,
    most: int,
    read: Sequence[int] = (),
) -> SpanFit:
    """Forward selection with equal weights, and exponents of all heads that are read anyway.

    Which of the two scores sentences is decided on folds that selected and fitted nothing.

    Args:
        queries: All queries with sentences that can be told apart.
        folds: The fold of each query, `[query]`.
        sets: The set of each query, `[query]`.
        heads: Indices of the heads that may be selected.
        chunk_choice: The heads that rank chunks.
        most: No more heads than this.
        read: Indices of the heads that are read anyway; default: those that rank chunks.
    """
    quality = SpanQuality(queries)
    shared = sorted({*read, *chunk_choice.heads})
    lessons = quality.lessons(shared)
    alone = quality.alone()

    def path(rows: Integers) -> list[int]:
        weights = query_weights(sets[rows])
        order = np.argsort(-(alone[list(heads)][:, rows] @ weights), kind="stable")
        candidates = [heads[i] for i in order[:CANDIDATES]]
        selected: list[int] = []
        best = 0.0
        while len(selected) < min(most, len(candidates)):
            gains = {
                head: float(quality.inside([*selected, head])[rows] @ weights)
                for head in candidates
                if head not in selected
            }
            head = max(gains, key=lambda one: gains[one])
            if gains[head] < best + LEAST_GAIN:
                break
            best = gains[head]
            selected.append(head)
        return selected

    def weighted_shape(rows: Integers, found: Sequence[Floats]) -> tuple[float, float]:
        weights = query_weights(sets[rows])
        pairs = list(product(EXPONENTS, SHARES))
        return max(pairs, key=lambda pair: float(quality.overall(found, pair, rows) @ weights))

    def shared_shape(rows: Integers, found: Sequence[Floats]) -> tuple[float, float]:
        # The first within one standard error of the best: exponents were fitted by other means.
        pairs = list(product(LENGTHS, SHARES))
        values = {i: quality.overall(found, pair, rows) for i, pair in enumerate(pairs)}
        return pairs[fewest(values, sets[rows])]

    def exponents(rows: Integers) -> Exponents:
        return fit_exponents([lessons[i] for i in rows], query_weights(sets[rows]), shared)

    everything = np.arange(len(queries))
    paths = {fold: path(everything[folds != fold]) for fold in np.unique(folds)}
    by_chunk_heads = quality.weighed(chunk_choice)
    by_count: dict[int, Floats] = {}
    for count in range(1, max(map(len, paths.values())) + 1):
        values = np.empty(len(queries))
        for fold, selected in paths.items():
            values[folds == fold] = quality.inside(selected[:count])[folds == fold]
        by_count[count] = values
    count = fewest(by_count, sets)
    better = float(query_weights(sets) @ (by_count[count] - by_chunk_heads)) > 0
    by_weights, by_exponents = np.empty(len(queries)), np.empty(len(queries))
    for fold, selected in paths.items():
        rest, mine = everything[folds != fold], everything[folds == fold]
        choice = Choice.equal(selected[:count]) if better else chunk_choice
        found = quality.by_weights(choice)
        by_weights[mine] = quality.overall(found, weighted_shape(rest, found), mine)
        found = quality.by_exponents(exponents(rest))
        by_exponents[mine] = quality.overall(found, shared_shape(rest, found), mine)
    final = Choice.equal(path(everything)[:count]) if better else chunk_choice
    gain = float(query_weights(sets) @ (by_exponents - by_weights))
    rule = exponents(everything) if gain > 0 else None
    if rule is None:
        exponent, share = weighted_shape(everything, quality.by_weights(final))
    else:
        exponent, share = shared_shape(everything, quality.by_exponents(rule))
    return SpanFit(
        final if better else None,
        exponent,
        share,
        rule,
        len(queries),
        interval(by_count[count], sets),
        interval(by_chunk_heads, sets),
        interval(by_weights, sets),
        interval(by_exponents, sets),
    )
