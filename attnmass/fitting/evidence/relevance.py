"""How relevance is fitted: on labelled chunks against others, each alone beside the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from attnmass.capture import Head
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.evidence.coverage import best_coverage
from attnmass.fitting.evidence.tables import Table
from attnmass.fitting.metrics import Bools, Floats, Integers, auc_between
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.profiles import RelevanceRule

LEAST_AUC = 0.6  # below this, a threshold would be a coin toss
SILENCE = 4.0  # cost of silencing an answered question, in missed "none"s
KEPT = 0.95  # of the supporting sentences that a budget may not leave out as not relevant
_STRENGTHS = (0.01, 0.03, 0.1, 0.3)  # inverse penalties that folds choose from
_BINS = 10  # of the reliability diagram


@dataclass(frozen=True, eq=False, slots=True)
class RelevanceFit:
    """A rule, and how well it separates on folds that fitted nothing.

    Attributes:
        rule: The rule, with its thresholds where they make sense.
        others: Area under ROC of the best relevance: candidates with an answer against as many of
            other queries.
        nearest: The same for evidence: a query's own candidates against the same without what
            supports the answer.
        best: `nearest` by the best relevance alone, where evidence counts words that chunks say
            together.
        attention: The same by the best rule that ignores words.
        silenced: Share of the answerable queries that the threshold silences; `None` where there is
            none.
        missed: Share of both kinds without an answer that it lets through; `None` likewise.
        brier: Mean squared error of relevance, own and other chunks weighted equally.
        reliability: Mean relevance and share of relevant chunks, by tenths of relevance; empty
            tenths are left out.
        spans: How many labelled sentences calibrated spans; 0 where none did.
        logits: Log-odds of the relevance of each query's own chunks, by rules that the query had no
            part in.
        tables: What it was fitted on.
    """

    rule: RelevanceRule
    others: float
    nearest: float
    best: float
    attention: float
    silenced: float | None
    missed: float | None
    brier: float
    reliability: tuple[tuple[float, float], ...]
    spans: int
    logits: tuple[Floats, ...] = ()
    tables: tuple[Table, ...] = ()


def fit_relevance(
    heads: Sequence[Head],
    queries: Sequence[LabelledQuery],
    beside: Sequence[LabelledQuery],
    captures: Sequence[Capture],
    folds: Integers,
) -> RelevanceFit:
    """Logistic regression of log masses; its penalty, calibration and thresholds by folds.

    Every query is weighted equally, and so are its relevant chunks, its other candidates, and the
    chunks of other queries together. The query's words play a part where folds say so.

    Args:
        heads: What was captured.
        queries: As in the data.
        beside: The same, from `with_others`.
        captures: One for each of these.
        folds: The fold of each.
    """
    tables = [Table.of(*one) for one in zip(queries, beside, captures, strict=True)]
    ways = [_Way(strength, words) for strength in _STRENGTHS for words in (False, True)]
    values = {way: _held_out(tables, folds, way) for way in ways}

    def loss(way: _Way) -> float:
        return _loss(tables, values[way])

    way = min(ways, key=loss)
    logits = values[way]
    weights, bias = _regression(tables, way)
    spans = _spans(tables, weights, bias, words=way.words)
    rule = RelevanceRule(
        tuple(heads),
        tuple(round(float(weight), 4) for weight in weights[:-1]),
        round(bias, 4),
        round(spans.scale, 4),
        round(spans.bias, 4),
        words=round(float(weights[-1]), 4),
        span_words=round(spans.words, 4),
    )
    answered = _best_of(logits, [table.labels for table in tables])
    # What supports the answer stands among others, too, so that as many compete on both sides.
    among = np.array(
        [
            max(one[table.labels].max(), one[table.other].max(initial=-np.inf))
            for one, table in zip(logits, tables, strict=True)
        ]
    )
    others = _best_of(logits, [table.other for table in tables])
    nearest = _best_of(logits, [table.own & ~table.labels for table in tables])
    by_others, by_nearest = auc_between(among, others), _nearest(tables, logits)
    silenced = missed = None
    evidence = by_nearest
    if min(by_others, by_nearest) >= LEAST_AUC:
        threshold, silenced, missed = _threshold(
            np.concatenate([among, np.maximum(answered, nearest)]),
            [one[np.isfinite(one)] for one in (others, nearest)],
        )
        rule = replace(rule, evidence_threshold=threshold, min_relevance=_least(tables, rule))
        coverage, evidence = best_coverage(
            [
                (table, _sigmoid(one[table.own]), table.labels[table.own])
                for table, one in zip(tables, logits, strict=True)
            ],
            threshold,
        )
        rule = replace(rule, coverage=coverage)
    relevance = [_sigmoid(one) for one in logits]
    return RelevanceFit(
        rule,
        by_others,
        evidence,
        by_nearest,
        _nearest(tables, values[min((one for one in ways if not one.words), key=loss)]),
        silenced,
        missed,
        _brier(tables, relevance),
        _reliability(tables, relevance),
        spans.n_told,
        tuple(one[table.own] for one, table in zip(logits, tables, strict=True)),
        tuple(tables),
    )


class _Way(NamedTuple):
    """What folds choose: an inverse penalty, and whether words play a part."""

    strength: float
    words: bool


def _regression(tables: Sequence[Table], way: _Way) -> tuple[Floats, float]:
    """Weights `[head + 1]`, that of words last, and bias."""
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([table.features for table in tables])
    labels = np.concatenate([table.labels for table in tables])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    scaled = (rows - mean) / spread
    scaled[:, -1] *= way.words
    found = LogisticRegression(C=way.strength, max_iter=2000).fit(
        scaled, labels, np.concatenate([table.weights for table in tables])
    )
    weights = found.coef_[0] / spread
    weights[-1] *= way.words
    return weights, float(found.intercept_[0] - weights @ mean)


def _held_out(tables: Sequence[Table], folds: Integers, way: _Way) -> list[Floats]:
    """Logits of each query's chunks by rules that it had no part in."""
    found: list[Floats] = [np.zeros(0)] * len(tables)
    for fold in np.unique(folds):
        rest = [table for table, mine in zip(tables, folds, strict=True) if mine != fold]
        weights, bias = _regression(rest, way)
        for place in np.flatnonzero(folds == fold).tolist():
            found[place] = tables[place].features @ weights + bias
    return found


def _loss(tables: Sequence[Table], logits: Sequence[Floats]) -> float:
    """Cross-entropy."""
    signed = [np.where(t.labels, -one, one) for t, one in zip(tables, logits, strict=True)]
    return sum(
        float(t.weights @ np.logaddexp(0, one)) for t, one in zip(tables, signed, strict=True)
    )


class _Spans(NamedTuple):
    """How spans are judged by the sum over heads and by words, and how many sentences showed it."""

    scale: float
    words: float
    bias: float
    n_told: int


def _spans(tables: Sequence[Table], weights: Floats, bias: float, *, words: bool) -> _Spans:
    """By labelled sentences, where there are enough; else as for chunks."""
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([table.spans for table in tables])
    labels = np.concatenate([table.span_labels for table in tables])
    if min(int(labels.sum()), int((~labels).sum())) < 2 * _BINS:
        return _Spans(1.0, float(weights[-1]), bias, 0)
    features = np.stack([rows[:, :-1] @ weights[:-1], rows[:, -1] * words], axis=1)
    # Both kinds are weighted equally, as with chunks, so that one threshold means one thing.
    found = LogisticRegression(C=1e3, max_iter=1000, class_weight="balanced").fit(features, labels)
    scale, of_words = found.coef_[0].tolist()
    return _Spans(scale, of_words * words, float(found.intercept_[0]), len(labels))


def _best_of(logits: Sequence[Floats], some: Sequence[Bools]) -> Floats:
    """The best of some chunks of each query; minus infinity where there is none."""
    return np.array(
        [one[mine].max(initial=-np.inf) for one, mine in zip(logits, some, strict=True)]
    )


def _nearest(tables: Sequence[Table], logits: Sequence[Floats]) -> float:
    """Area under ROC of the best chunk: of a query's own against the same without the relevant."""
    without = _best_of(logits, [table.own & ~table.labels for table in tables])
    return auc_between(_best_of(logits, [table.own for table in tables]), without)


def _threshold(present: Floats, absent: Sequence[Floats]) -> tuple[float, float, float]:
    """The cheapest threshold on relevance, what it silences, and what it misses."""
    places = np.unique(np.concatenate([present, *absent]))

    def rates(at: float) -> tuple[float, float]:
        passing = [float(np.mean(one >= at)) for one in absent if len(one)]
        return float(np.mean(present < at)), sum(passing) / max(1, len(passing))

    costs = [SILENCE * silenced + missed for silenced, missed in map(rates, places)]
    best = float(places[int(np.argmin(costs))])
    threshold = float(np.floor(_sigmoid(np.array([best]))[0] * 1e4) / 1e4)
    silenced, missed = rates(best)
    return threshold, silenced, missed


def _least(tables: Sequence[Table], rule: RelevanceRule) -> float:
    """The relevance that `KEPT` of the supporting sentences reach, or else of the chunks."""
    weights = np.array(rule.weights)
    spans = np.concatenate([t.spans[t.span_labels] for t in tables])
    if len(spans) >= 2 * _BINS:
        found = rule.span_bias + rule.span_scale * (spans[:, :-1] @ weights)
        found += rule.span_words * spans[:, -1]
    else:
        chunks = np.concatenate([t.features[t.labels] for t in tables])
        found = rule.bias + chunks @ np.append(weights, rule.words)
    least = float(_sigmoid(np.array([np.quantile(found, 1 - KEPT)]))[0])
    return round(least, 4)


def _brier(tables: Sequence[Table], relevance: Sequence[Floats]) -> float:
    total = sum(float(table.weights.sum()) for table in tables)
    errors = [
        float(table.weights @ (one - table.labels) ** 2)
        for table, one in zip(tables, relevance, strict=True)
    ]
    return sum(errors) / total


def _reliability(
    tables: Sequence[Table], relevance: Sequence[Floats]
) -> tuple[tuple[float, float], ...]:
    told = np.concatenate(relevance)
    labels = np.concatenate([table.labels for table in tables])
    weights = np.concatenate([table.weights for table in tables])
    bins = np.minimum((told * _BINS).astype(int), _BINS - 1)
    found = []
    for one in range(_BINS):
        mine = bins == one
        if weights[mine].sum() > 0:
            found.append(
                (
                    round(float(np.average(told[mine], weights=weights[mine])), 3),
                    round(float(np.average(labels[mine], weights=weights[mine])), 3),
                )
            )
    return tuple(found)


def _sigmoid(logits: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
    return found
