"""How a retriever is weighted against attention: fitted where queries give its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from attnmass.fitting.metrics import Bools, Floats, ndcg_at_10
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.profiles import FuseRule
from attnmass.scoring.fusing import Retrieved, looked_at, retrieved, told

LEAST_QUERIES = 20  # with a retriever's scores of one kind
Row = tuple[Floats, Bools]  # `[chunk, 2]`, what attention and a retriever say; and labels
_PENALTY = 0.5  # of squared weights, against the sum of losses over queries


@dataclass(frozen=True, slots=True)
class FuseFit:
    """A rule, and how good it is.

    Attributes:
        rule: The weights of each kind; a kind that no query gives has those of all kinds together.
        queries: How many queries gave each kind.
        alone: nDCG@10 of each kind's own order, on the queries that gave it.
        attention: That of attention, on the same queries.
        fused: That of both, with attention by rules that the query had no part in fitting.
    """

    rule: FuseRule
    queries: Mapping[str, int]
    alone: Mapping[str, float]
    attention: Mapping[str, float]
    fused: Mapping[str, float]


def fit_fusing(queries: Sequence[LabelledQuery], attention: Sequence[Floats]) -> FuseFit | None:
    """A conditional logit for each kind of scores, see `FuseRule`.

    Ranks are weighted by the order of all scores, of whatever kind.

    Args:
        queries: What is labelled.
        attention: Logarithm of each chunk's share by rules that its query had no part in.

    Returns:
        `None` where fewer than `LEAST_QUERIES` gave a retriever's scores of any one kind.
    """
    found: dict[str, list[Row]] = {}
    orders: list[Row] = []
    for query, mine in zip(queries, attention, strict=True):
        labels = np.array(query.relevant) > 0
        looked = np.array(looked_at(mine.tolist()))
        for scores in query.retrieval_scores:
            known = retrieved(scores, mine.tolist(), "auto")
            by_rank = told(Retrieved(known.scores, "ranks"))
            found.setdefault(known.kind, []).append((np.stack([looked, told(known)], 1), labels))
            orders.append((np.stack([looked, by_rank], axis=1), labels))
    found = {kind: rows for kind, rows in found.items() if len(rows) >= LEAST_QUERIES}
    if not found:
        return None
    weights = {kind: _fitted(rows) for kind, rows in found.items()}
    weights["ranks"] = _fitted(orders)
    scored = [row for kind, rows in found.items() if kind != "ranks" for row in rows]
    together = _fitted(scored) if scored else weights["ranks"]
    rule = FuseRule(
        embedding=weights.get("embedding", together),
        lexical=weights.get("lexical", together),
        ranks=weights["ranks"],
    )
    return FuseFit(
        rule,
        {kind: len(rows) for kind, rows in found.items()},
        {kind: _ndcg(rows, (0.0, 1.0)) for kind, rows in found.items()},
        {kind: _ndcg(rows, (1.0, 0.0)) for kind, rows in found.items()},
        {kind: _ndcg(rows, weights[kind]) for kind, rows in found.items()},
    )


def _fitted(rows: Sequence[Row]) -> tuple[float, float]:
    """The two weights."""

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, slope = _PENALTY * float(weights @ weights) / 2, _PENALTY * weights
        for features, labels in rows:
            logits = features @ weights
            top = logits.max()
            shares = np.exp(logits - top)
            total = shares.sum()
            target = labels / labels.sum()
            value += float(top + np.log(total) - target @ logits)
            slope = slope + features.T @ (shares / total - target)
        return value / len(rows), slope / len(rows)

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B").x
    return round(float(found[0]), 3), round(float(found[1]), 3)


def _ndcg(rows: Sequence[Row], weights: tuple[float, float]) -> float:
    values = [
        ndcg_at_10(
            labels[None].astype(np.float64),
            (features @ np.array(weights))[None],
            np.ones((1, len(labels)), dtype=bool),
        )[0]
        for features, labels in rows
    ]
    return round(float(np.mean(values)), 4)
