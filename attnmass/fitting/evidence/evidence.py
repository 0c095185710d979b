"""When there is nothing to find: queries with their evidence removed, and a rule that tells so."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from attnmass.fitting.metrics import Bools, Floats, Integers, auc
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery
from attnmass.profiles import EvidenceRule

if TYPE_CHECKING:
    from attnmass.fitting.captures.store import Capture

KEPT = 0.95  # share of the answerable queries that the threshold lets through
LEAST_AUC = 0.6  # below this, a threshold would be a coin toss
_EXPONENT = 0.25
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class Variant:
    """One query's candidates with and without what supports the answer.

    Attributes:
        number: Which query it is.
        present: The candidates, or half of them.
        absent: As many, with other queries' chunks for the supporting ones.
    """

    number: int
    present: LabelledQuery
    absent: LabelledQuery


@dataclass(frozen=True, slots=True)
class EvidenceFit:
    """A rule, and how well it separates.

    Attributes:
        rule: The rule, with a threshold where one makes sense.
        auc: Held-out area under ROC of queries with evidence against queries without.
        let_through: Share of the queries without evidence that the threshold lets through; `None`
            where there is none.
    """

    rule: EvidenceRule
    auc: float
    let_through: float | None


def variants(queries: Sequence[LabelledQuery], seed: int = 0) -> list[Variant]:
    """Each query as it is, and with half of its other candidates: pipelines fetch more or fewer."""
    pool = [chunk for query in queries for chunk in query.chunks]
    found = []
    for number, query in enumerate(queries):
        draw = random.Random(f"{seed}-{query.id}")
        for present in (query, _half(query, draw)):
            absent = _without(present, query, pool, draw)
            if absent is not None:
                found.append(Variant(number, present, absent))
    return found


def _half(query: LabelledQuery, draw: random.Random) -> LabelledQuery:
    others = [i for i, chunk in enumerate(query.chunks) if not chunk.relevant]
    needed = [i for i, chunk in enumerate(query.chunks) if chunk.relevant]
    draw.shuffle(others)
    kept = sorted([*needed, *others[: max(1, len(query.chunks) // 2 - len(needed))]])
    return replace(query, chunks=tuple(query.chunks[i] for i in kept))


def _without(
    present: LabelledQuery,
    query: LabelledQuery,
    pool: Sequence[LabelledChunk],
    draw: random.Random,
) -> LabelledQuery | None:
    """With other queries' chunks for the supporting ones; `None` if there are not enough others."""
    known = {chunk.text for chunk in query.chunks}
    chunks = []
    for chunk in present.chunks:
        if chunk.relevant:
            for _ in range(100):
                other = draw.choice(pool)
                if other.text not in known:
                    break
            else:
                return None
            known.add(other.text)
            chunk = replace(other, relevant=0.0)
        chunks.append(chunk)
    return replace(present, chunks=tuple(chunks))


def fit_evidence(
    present: Sequence[Capture], absent: Sequence[Capture], numbers: Sequence[int], folds: Integers
) -> EvidenceFit:
    """Logistic regression, judged on folds that fitted nothing; its input is the ranking's masses.

    Args:
        present: What was captured where evidence is there.
        absent: Where it is not, in the same order.
        numbers: Which query each is of.
        folds: The fold of each query.
    """
    blank = EvidenceRule(length_exponent=_EXPONENT)
    rows = np.array([blank.features(*_told(one)) for one in (*present, *absent)])
    labels = np.arange(len(rows)) < len(present)
    mine = folds[np.array([*numbers, *numbers])]
    values = np.empty(len(rows))
    for fold in np.unique(mine):
        rule = _regression(rows[mine != fold], labels[mine != fold])
        values[mine == fold] = [rule.of_features(tuple(row)) for row in rows[mine == fold]]
    plain = np.array([EvidenceRule()(*_told(one)) for one in (*present, *absent)])
    fitted, default = float(auc(labels, values)), float(auc(labels, plain))
    if fitted > default:
        rule, found, area = _regression(rows, labels), values, fitted
    else:
        rule, found, area = EvidenceRule(), plain, default
    if area < LEAST_AUC:
        return EvidenceFit(EvidenceRule(), area, None)
    threshold = round(float(np.quantile(found[labels], 1 - KEPT, method="lower")), 4)
    passing = float(np.mean(found[~labels] >= threshold))
    return EvidenceFit(replace(rule, threshold=threshold), area, passing)


def _told(capture: Capture) -> tuple[list[float], list[int]]:
    return capture.masses[0].tolist(), capture.n_tokens.astype(int).tolist()


def _regression(rows: Floats, labels: Bools) -> EvidenceRule:
    """The rule that predicts the labels; what does not vary in the data is left out of it."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    used = spread > _LEAST_SPREAD
    fitted = LogisticRegression(max_iter=1000).fit(
        (rows[:, used] - mean[used]) / spread[used], labels
    )
    weights = np.zeros(rows.shape[1])
    weights[used] = fitted.coef_[0] / spread[used]
    bias = float(fitted.intercept_[0] - weights @ mean)
    best, total, chunks, tokens = (round(float(weight), 4) for weight in weights)
    return EvidenceRule(best, total, chunks, tokens, round(bias, 4), length_exponent=_EXPONENT)
