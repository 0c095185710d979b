"""What relevance is told by: labelled chunks against others, each alone beside the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from attnmass.capture import Head
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.metrics import Bools, Floats, Integers, auc_between
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.profiles import RelevanceRule
from attnmass.profiles.relevance import log_mass

LEAST_AUC = 0.6  # below it a threshold would be a coin toss
SILENCE = 4.0  # what an answered question that is silenced costs, in missed "none"s
KEPT = 0.95  # of the supporting sentences that a budget may not leave out as not relevant
_STRENGTHS = (0.01, 0.03, 0.1)  # inverse penalties that folds choose from
_BINS = 10  # of the reliability diagram


@dataclass(frozen=True, eq=False, slots=True)
class RelevanceFit:
    """A rule, and how well it tells on folds that fitted nothing.

    Attributes:
        rule: With its thresholds, where they make sense.
        others: Area under ROC of the best relevance, candidates with an answer against as many of
            other queries.
        nearest: The same against the query's own candidates, what supports the answer taken out.
        silenced: Share of the answerable that the threshold silences; `None` where there is none.
        missed: Share of both kinds without an answer that it lets through, likewise.
        brier: Mean squared error of relevance, own and other chunks weighed alike.
        reliability: Mean relevance and share of relevant chunks, by tenths of relevance; empty
            tenths left out.
        spans: Labelled sentences that calibrated spans; 0 where none did.
        logits: Log-odds of the relevance of each query's own chunks, by rules that the query had no
            part in.
    """

    rule: RelevanceRule
    others: float
    nearest: float
    silenced: float | None
    missed: float | None
    brier: float
    reliability: tuple[tuple[float, float], ...]
    spans: int
    logits: tuple[Floats, ...] = ()


def fit_relevance(
    heads: Sequence[Head],
    queries: Sequence[LabelledQuery],
    captures: Sequence[Capture],
    folds: Integers,
) -> RelevanceFit:
    """Logistic regression of log masses; its penalty, calibration and thresholds by folds.

    Every query weighs alike, and so do its relevant chunks, its other candidates, and the chunks of
    other queries together.

    Args:
        heads: What was captured.
        queries: As the data has them.
        captures: Of each of them `with_others`.
        folds: The fold of each.
    """
    tables = [_Table.of(query, capture) for query, capture in zip(queries, captures, strict=True)]
    values = {strength: _held_out(tables, folds, strength) for strength in _STRENGTHS}
    strength = min(values, key=lambda one: _loss(tables, values[one]))
    logits = values[strength]
    weights, bias = _regression(tables, strength)
    scale, span_bias, n_spans = _spans(tables, weights, bias)
    rule = RelevanceRule(
        tuple(heads),
        tuple(round(float(weight), 4) for weight in weights),
        round(bias, 4),
        round(scale, 4),
        round(span_bias, 4),
    )
    answered = np.array(
        [one[table.labels].max() for one, table in zip(logits, tables, strict=True)]
    )
    # Among others what supports the answer stands, too, so that as many compete on both sides.
    among = np.array(
        [
            max(one[table.labels].max(), one[table.other].max(initial=-np.inf))
            for one, table in zip(logits, tables, strict=True)
        ]
    )
    others = _best_of(logits, [table.other for table in tables])
    nearest = _best_of(logits, [table.own & ~table.labels for table in tables])
    by_others, by_nearest = (
        auc_between(among, others),
        auc_between(np.maximum(answered, nearest), nearest),
    )
    silenced = missed = None
    if min(by_others, by_nearest) >= LEAST_AUC:
        threshold, silenced, missed = _threshold(
            np.concatenate([among, np.maximum(answered, nearest)]),
            [one[np.isfinite(one)] for one in (others, nearest)],
        )
        rule = replace(rule, evidence_threshold=threshold, min_relevance=_least(tables, rule))
    relevance = [_sigmoid(one) for one in logits]
    return RelevanceFit(
        rule,
        by_others,
        by_nearest,
        silenced,
        missed,
        _brier(tables, relevance),
        _reliability(tables, relevance),
        n_spans,
        tuple(one[table.own] for one, table in zip(logits, tables, strict=True)),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Table:
    """One query's chunks, its own and others.

    Attributes:
        features: `[chunk, head]`.
        labels: Which are relevant, `[chunk]`.
        own: Which are the query's own.
        spans: Features of labelled sentences, `[span, head]`.
        span_labels: Which of them support the answer.
    """

    features: Floats
    labels: Bools
    own: Bools
    spans: Floats
    span_labels: Bools

    @property
    def other(self) -> Bools:
        """Which are of other queries."""
        return ~self.own

    @property
    def weights(self) -> Floats:
        """What each chunk weighs, `[chunk]`."""
        found = np.zeros(len(self.labels))
        for some, weight in (
            (self.labels, 1.0),
            (self.own & ~self.labels, 0.5),
            (self.other, 0.5),
        ):
            found[some] = weight / max(1, int(some.sum()))
        return found

    @classmethod
    def of(cls, query: LabelledQuery, capture: Capture) -> _Table:
        """From what was captured."""
        n = capture.masses.shape[1]
        labels = np.zeros(n, dtype=bool)
        labels[: len(query.chunks)] = [label > 0 for label in query.relevant]
        told = [label for chunk in query.chunks for _, _, label in chunk.sentences or ()]
        spans = capture.span_masses
        if spans is None or spans.shape[1] != len(told):
            spans, told = np.zeros((capture.masses.shape[0], 0)), []
        return cls(
            _features(capture.masses.T),
            labels,
            np.arange(n) < len(query.chunks),
            _features(spans.T),
            np.array(told, dtype=bool),
        )


def _features(masses: Floats) -> Floats:
    found: Floats = np.vectorize(log_mass, otypes=[np.float64])(masses)
    return found.reshape(masses.shape)


def _regression(tables: Sequence[_Table], strength: float) -> tuple[Floats, float]:
    """Weights `[head]` and bias."""
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([table.features for table in tables])
    labels = np.concatenate([table.labels for table in tables])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    found = LogisticRegression(C=strength, max_iter=2000).fit(
        (rows - mean) / spread, labels, np.concatenate([table.weights for table in tables])
    )
    weights = found.coef_[0] / spread
    return weights, float(found.intercept_[0] - weights @ mean)


def _held_out(tables: Sequence[_Table], folds: Integers, strength: float) -> list[Floats]:
    """Logits of each query's chunks by rules that it had no part in."""
    found: list[Floats] = [np.zeros(0)] * len(tables)
    for fold in np.unique(folds):
        rest = [table for table, mine in zip(tables, folds, strict=True) if mine != fold]
        weights, bias = _regression(rest, strength)
        for place in np.flatnonzero(folds == fold).tolist():
            found[place] = tables[place].features @ weights + bias
    return found


def _loss(tables: Sequence[_Table], logits: Sequence[Floats]) -> float:
    """Cross-entropy."""
    signed = [np.where(t.labels, -one, one) for t, one in zip(tables, logits, strict=True)]
    return sum(
        float(t.weights @ np.logaddexp(0, one)) for t, one in zip(tables, signed, strict=True)
    )


def _spans(tables: Sequence[_Table], weights: Floats, bias: float) -> tuple[float, float, int]:
    """Scale and bias of spans, and how many told it; else the chunks' own."""
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([table.spans @ weights for table in tables])
    labels = np.concatenate([table.span_labels for table in tables])
    if min(int(labels.sum()), int((~labels).sum())) < 2 * _BINS:
        return 1.0, bias, 0
    # Both kinds weigh alike, as those of chunks do, so that one threshold means one thing.
    found = LogisticRegression(C=1e3, max_iter=1000, class_weight="balanced").fit(
        rows[:, None], labels
    )
    return float(found.coef_[0, 0]), float(found.intercept_[0]), len(labels)


def _best_of(logits: Sequence[Floats], some: Sequence[Bools]) -> Floats:
    """The best of some chunks of each query; minus infinity where there is none."""
    return np.array(
        [one[mine].max(initial=-np.inf) for one, mine in zip(logits, some, strict=True)]
    )


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


def _least(tables: Sequence[_Table], rule: RelevanceRule) -> float:
    """The relevance that `KEPT` of the supporting sentences have, or else of the chunks."""
    weights = np.array(rule.weights)
    spans = np.concatenate([t.spans[t.span_labels] @ weights for t in tables])
    if len(spans) >= 2 * _BINS:
        found = rule.span_bias + rule.span_scale * spans
    else:
        found = rule.bias + np.concatenate([t.features[t.labels] @ weights for t in tables])
    least = float(_sigmoid(np.array([np.quantile(found, 1 - KEPT)]))[0])
    return round(least, 4)


def _brier(tables: Sequence[_Table], relevance: Sequence[Floats]) -> float:
    total = sum(float(table.weights.sum()) for table in tables)
    errors = [
        float(table.weights @ (one - table.labels) ** 2)
        for table, one in zip(tables, relevance, strict=True)
    ]
    return sum(errors) / total


def _reliability(
    tables: Sequence[_Table], relevance: Sequence[Floats]
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
