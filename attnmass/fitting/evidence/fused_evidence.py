"""How a retriever's cosines play a part in evidence: fitted where queries give them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnmass.fitting.evidence.coverage import area_of_evidence
from attnmass.fitting.evidence.fusing import LEAST_QUERIES
from attnmass.fitting.evidence.relevance import SILENCE, RelevanceFit
from attnmass.fitting.evidence.tables import Table
from attnmass.fitting.metrics import Bools, Floats, Integers, auc_between
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.scoring.evidence import by_both, log_odds
from attnmass.scoring.fusing import retrieved
from attnmass.scoring.order import sigmoid

_STRENGTH = 1.0  # inverse penalty; for two weights and thousands of chunks
_NEAREST = 0.5  # share of what is missed; the rest is of other queries, which cosines tell apart
# Log-odds that evidence is raised by, since with stores and embedders whose cosines are lower than
# those of the fit, questions would be silenced sooner, which costs more than what is let through.
_MARGIN = 0.5


@dataclass(frozen=True, slots=True)
class FusedEvidence:
    """Weights, and how well they separate on folds that fitted nothing.

    Attributes:
        weights: As `FuseRule.evidence`.
        queries: How many queries gave cosines.
        nearest: Area under ROC of evidence: the candidates of a query against the same without what
            supports the answer.
        attention: The same by relevance alone.
        retriever: The same by the best cosine.
        silenced: Share of the answerable queries that the threshold of relevance silences.
        missed: Share of the queries without an answer that it lets through.
    """

    weights: tuple[float, float, float]
    queries: int
    nearest: float
    attention: float
    retriever: float
    silenced: float
    missed: float


@dataclass(frozen=True, eq=False, slots=True)
class _Row:
    """One query: log-odds of relevance and cosines, `[chunk, 2]`, labels, fold and table."""

    features: Floats
    labels: Bools
    fold: int
    table: Table


def fit_fused_evidence(
    queries: Sequence[LabelledQuery], relevance: RelevanceFit, folds: Integers
) -> FusedEvidence | None:
    """A logistic regression over the queries' own chunks, whose cosines are known.

    Relevant chunks of a query are weighted as much as its others. Its constant is shifted so that
    the threshold of relevance is half a unit of log-odds below the cheapest.

    Args:
        queries: What is labelled.
        relevance: The relevance that was fitted on them.
        folds: The fold of each.

    Returns:
        `None` where fewer than `LEAST_QUERIES` gave cosines, or there is no threshold.
    """
    threshold = relevance.rule.evidence_threshold
    rows = [
        row
        for query, logits, fold, table in zip(
            queries, relevance.logits, folds, relevance.tables, strict=True
        )
        for row in _rows(query, logits, int(fold), table)
    ]
    if threshold is None or len(rows) < LEAST_QUERIES or len({row.fold for row in rows}) < 2:
        return None
    by_fold = {
        fold: _fitted([row for row in rows if row.fold != fold])
        for fold in {row.fold for row in rows}
    }
    told = [row.features @ by_fold[row.fold][:2] + by_fold[row.fold][2] for row in rows]
    least = _cheapest(_present(told), _absent(rows, told))
    shift = log_odds(threshold) - least + _MARGIN
    shipped = [_bounded(row, by_fold[row.fold], shift) for row in rows]
    present, absent = _present(shipped), _absent(rows, shipped)
    candidates = [(row.table, each, row.labels) for row, each in zip(rows, shipped, strict=True)]
    weights = _fitted(rows)
    of_relevance, of_score, bias = (
        round(float(weight), 4) for weight in (*weights[:2], weights[2] + shift)
    )
    return FusedEvidence(
        (of_relevance, of_score, bias),
        len(rows),
        area_of_evidence(candidates, threshold, relevance.rule.coverage),
        _alone(rows, 0),
        _alone(rows, 1),
        silenced=float(np.mean(present < threshold)),
        missed=float(np.mean(absent >= threshold)),
    )


def _alone(rows: Sequence[_Row], side: int) -> float:
    """How well relevance (0) or the cosine (1) separates alone."""
    told = [row.features[:, side] for row in rows]
    return auc_between(_present(told), _absent(rows, told))


def _rows(query: LabelledQuery, logits: Floats, fold: int, table: Table) -> list[_Row]:
    """One for each retriever that gave cosines."""
    labels = np.array(query.relevant) > 0
    found = []
    for scores in query.retrieval_scores:
        known = retrieved(scores, logits.tolist(), "auto")
        if known.are_cosines:
            found.append(_Row(np.stack([logits, np.array(known.scores)], 1), labels, fold, table))
    return found


def _fitted(rows: Sequence[_Row]) -> Floats:
    """The two weights and the constant."""
    from sklearn.linear_model import LogisticRegression

    features = np.concatenate([row.features for row in rows])
    labels = np.concatenate([row.labels for row in rows])
    weights = np.concatenate(
        [
            np.where(row.labels, 1 / row.labels.sum(), 1 / max(1, (~row.labels).sum()))
            for row in rows
        ]
    )
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    found = LogisticRegression(C=_STRENGTH, max_iter=2000).fit(
        (features - mean) / spread, labels, weights
    )
    slopes = found.coef_[0] / spread
    return np.array([*slopes, float(found.intercept_[0] - slopes @ mean)])


def _bounded(row: _Row, weights: Floats, shift: float) -> Floats:
    """Each chunk's evidence as in rankings, `[chunk]`."""
    of_relevance, of_score, bias = weights.tolist()
    chunks = ((sigmoid(logit), cosine) for logit, cosine in row.features.tolist())
    return np.array([by_both(*chunk, (of_relevance, of_score, bias + shift)) for chunk in chunks])


def _present(told: Sequence[Floats]) -> Floats:
    """The best of each query."""
    return np.array([one.max() for one in told])


def _absent(rows: Sequence[_Row], told: Sequence[Floats]) -> Floats:
    """The best of each query without what supports the answer, where something is left."""
    best = [one[~row.labels].max(initial=-math.inf) for row, one in zip(rows, told, strict=True)]
    found: Floats = np.array([one for one in best if math.isfinite(one)])
    return found


def _cheapest(present: Floats, absent: Floats) -> float:
    """The cheapest threshold on log-odds."""
    places = np.unique(np.concatenate([present, absent]))
    silenced = np.array([np.mean(present < place) for place in places])
    missed = np.array([np.mean(absent >= place) for place in places])
    return float(places[int(np.argmin(SILENCE * silenced + _NEAREST * missed))])
