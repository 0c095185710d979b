"""Which heads tell the sentences that matter from others: pure functions over captured arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from attnmass.fitting.arrays import Choice
from attnmass.fitting.crossval import fewest
from attnmass.fitting.items import LabelledQuery
from attnmass.fitting.methods import CANDIDATES, LEAST_GAIN
from attnmass.fitting.metrics import (
    Bools,
    Floats,
    Integers,
    Interval,
    auc,
    interval,
    query_weights,
)
from attnmass.fitting.ranking import Exponents
from attnmass.fitting.store import Capture
from attnmass.profiles import SpanRule
from attnmass.profiles.rules import Head

LEAST_QUERIES = 6
EXPONENTS = (0.5, 0.0, 0.25, 0.75, 1.0)  # the first is taken where others are no better
SHARES = (0.5, 0.0, 0.2, 0.3, 0.4, 0.6, 0.7)
_LEAST = 1e-12


@dataclass(frozen=True, eq=False, slots=True)
class Spans:
    """One query's labelled sentences.

    Attributes:
        masses: `[head, span]`.
        tokens: `[span]`.
        chunk_scores: Score of each sentence's chunk, `[span]`.
        labels: Which of them support the answer, `[span]`.
        parts: The sentences of each chunk in which some support it and some do not.
    """

    masses: Floats
    tokens: Floats
    chunk_scores: Floats
    labels: Bools
    parts: tuple[Integers, ...]


@dataclass(frozen=True, slots=True)
class SpanFit:
    """Heads that score sentences.

    Attributes:
        choice: The heads; `None` where those that rank chunks are as good.
        length_exponent: As in `SpanRule`.
        chunk_share: Likewise.
        queries: How many queries have labelled sentences to learn from.
        inside: Held-out area under ROC inside supporting chunks.
        inside_by_chunk_heads: The same by the heads that rank chunks.
        all_spans: Held-out area under ROC over all sentences of a query.
    """

    choice: Choice | None
    length_exponent: float
    chunk_share: float
    queries: int
    inside: Interval
    inside_by_chunk_heads: Interval
    all_spans: Interval


def spans_of(
    query: LabelledQuery, capture: Capture, chunk_choice: Choice, rule: Exponents | None = None
) -> Spans | None:
    """A query's sentences; `None` if there are no labels that tell any of a chunk apart.

    Args:
        query: The query, its sentences labelled.
        capture: What was captured of it.
        chunk_choice: The heads that give chunks their mass.
        rule: How that is shared out, if it is.
    """
    if not query.has_sentences or capture.span_masses is None or capture.span_tokens is None:
        return None
    labels, chunks = [], []
    for number, chunk in enumerate(query.chunks):
        for _, _, label in chunk.sentences or ():
            labels.append(label)
            chunks.append(number)
    wanted, places = np.array(labels, dtype=bool), np.array(chunks, dtype=np.int64)
    parts = [np.flatnonzero(places == number) for number in sorted(set(chunks))]
    told = tuple(part for part in parts if wanted[part].any() and not wanted[part].all())
    if not told:
        return None
    weights = np.array(chunk_choice.weights)
    masses = weights @ capture.beyond_null[list(chunk_choice.heads)].astype(np.float64)
    scores = np.maximum(masses, 0)
    if rule is not None:
        scores = rule.share_out(scores, capture.masses)
    return Spans(capture.span_masses, capture.span_tokens, scores[places], wanted, told)


def span_rule_of(found: SpanFit, chunk_choice: Choice, known: Sequence[Head]) -> SpanRule:
    """The rule of a profile; `known` are the heads of the arrays."""
    used = found.choice or chunk_choice
    heads = tuple(known[i] for i in used.heads)
    return SpanRule(heads, used.weights, found.length_exponent, found.chunk_share)


@dataclass(eq=False, slots=True)
class SpanQuality:
    """Area under ROC of choices on every query; what was asked once is remembered."""

    queries: Sequence[Spans]
    _known: dict[tuple[int, ...], Floats] = field(default_factory=dict)

    def inside(self, heads: Sequence[int]) -> Floats:
        """Inside supporting chunks, by heads weighed alike, `[query]`."""
        key = tuple(sorted(heads))
        if key not in self._known:
            found = [_inside(one, one.masses[list(key)].mean(axis=0)) for one in self.queries]
            self._known[key] = np.array(found, dtype=np.float64)
        return self._known[key]

    def weighed(self, choice: Choice) -> Floats:
        """Inside supporting chunks, by heads and weights, `[query]`."""
        weights = np.array(choice.weights)
        heads = list(choice.heads)
        return np.array([_inside(one, weights @ one.masses[heads]) for one in self.queries])

    def alone(self) -> Floats:
        """The same of each head alone, `[head, query]`."""
        return np.stack([np.asarray(_inside(one, one.masses)) for one in self.queries], axis=1)

    def overall(self, choice: Choice, exponent: float, share: float) -> Floats:
        """Over all sentences, as trimming orders them, `[query]`."""
        found = []
        for one in self.queries:
            mass = np.array(choice.weights) @ one.masses[list(choice.heads)]
            by_length = np.maximum(mass, _LEAST) / np.maximum(one.tokens, 1.0) ** exponent
            chunk = np.maximum(one.chunk_scores, _LEAST)
            found.append(auc(one.labels, by_length ** (1 - share) * chunk**share))
        return np.array(found, dtype=np.float64)


def _inside(one: Spans, mass: Floats) -> Floats:
    """Mean over chunks, `[..., span]` to `[...]`; as trimming does, long ones get less."""
    scores = mass / np.sqrt(np.maximum(one.tokens, 1.0))
    found = [auc(one.labels[part], scores[..., part]) for part in one.parts]
    return np.asarray(np.mean(found, axis=0))


def fit_spans(
    queries: Sequence[Spans],
    folds: Integers,
    sets: Integers,
    heads: Sequence[int],
    chunk_choice: Choice,
    most: int,
) -> SpanFit:
    """Forward selection with equal weights, judged on folds that selected nothing.

    Args:
        queries: All queries with sentences that can be told apart.
        folds: The fold of each, `[query]`.
        sets: The set of each, `[query]`.
        heads: Indices of the heads that may be selected.
        chunk_choice: The heads that rank chunks.
        most: No more heads than that.
    """
    quality = SpanQuality(queries)
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

    def shape(rows: Integers, choice: Choice) -> tuple[float, float]:
        weights = query_weights(sets[rows])
        pairs = list(product(EXPONENTS, SHARES))
        return max(pairs, key=lambda pair: float(quality.overall(choice, *pair)[rows] @ weights))

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
    overall = np.empty(len(queries))
    for fold, selected in paths.items():
        choice = Choice.equal(selected[:count]) if better else chunk_choice
        bounds = shape(everything[folds != fold], choice)
        overall[folds == fold] = quality.overall(choice, *bounds)[folds == fold]
    final = Choice.equal(path(everything)[:count]) if better else chunk_choice
    exponent, share = shape(everything, final)
    return SpanFit(
        final if better else None,
        exponent,
        share,
        len(queries),
        interval(by_count[count], sets),
        interval(by_chunk_heads, sets),
        interval(overall, sets),
    )
