"""What a fit found, put into words and into the form used in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from attnmass.fitting.captures.arrays import Quality
from attnmass.fitting.evidence.evidence import KEPT, EvidenceFit
from attnmass.fitting.evidence.fused_evidence import FusedEvidence
from attnmass.fitting.evidence.fusing import FuseFit
from attnmass.fitting.evidence.relevance import RelevanceFit
from attnmass.fitting.heads.crossval import CrossValidation
from attnmass.fitting.metrics import Floats, Integers, Interval, interval
from attnmass.fitting.queries.data import LabelledData
from attnmass.fitting.reports.report import Difference, FitReport, Head, Point, written
from attnmass.fitting.sentences.spans import SpanFit
from attnmass.fitting.shares.ranking import RankingFit
from attnmass.profiles import RankRule

FEW_QUERIES = 30
_SHOWN = 10  # best single heads in the report


def of_spans(found: SpanFit, known: Sequence[Head]) -> dict[str, Any]:
    """How sentences are scored; `known` are the heads of the arrays."""
    rule = found.exponents
    heads = None if found.choice is None else tuple(known[i] for i in found.choice.heads)
    own, ranking = f"{found.inside.mean:.3f}", f"{found.inside_by_chunk_heads.mean:.3f}"
    if heads is None:
        who = f"the heads that rank chunks: area under ROC {ranking} inside supporting chunks"
        other = f"{own} by heads of their own"
    else:
        who = f"heads {written(heads)}: area under ROC {own} inside supporting chunks"
        other = f"{ranking} by the heads that rank chunks"
    by_weights = f"{found.all_spans_by_weights.mean:.3f} over all"
    by_exponents = f"{found.all_spans_by_exponents.mean:.3f}"
    told = f"sentences by {who} ({other}), {by_weights}"
    if rule is None:
        told += f" ({by_exponents} by exponents of all heads that are read), "
    else:
        told += (
            f"; {by_exponents} by exponents of {len(rule.heads)} heads, which share a chunk out "
            "among its sentences, "
        )
    told += f"{found.queries} queries"
    return {
        "told": told,
        "heads": heads,
        "length_exponent": found.length_exponent,
        "chunk_share": found.chunk_share,
        "exponent_heads": None if rule is None else tuple(known[i] for i in rule.heads),
        "exponents": None if rule is None else rule.exponents,
        "queries": found.queries,
        "auc_inside": _triple(found.inside),
        "auc_inside_by_chunk_heads": _triple(found.inside_by_chunk_heads),
        "auc_all": _triple(found.all_spans),
        "auc_all_by_weights": _triple(found.all_spans_by_weights),
        "auc_all_by_exponents": _triple(found.all_spans_by_exponents),
    }


def of_ranking(found: RankingFit, rule: RankRule | None, sets: Integers) -> dict[str, Any]:
    """How mass is shared out, and how good rules with other numbers of heads are."""
    curve = {count: interval(values, sets) for count, values in found.by_count.items()}
    if rule is None:
        told = "mass is not shared out by a rule: none was better than each chunk's own"
    else:
        gain = interval(found.by_count[len(rule.heads)] - found.by_count[0], sets)
        told = (
            f"mass is shared out by a rule over {len(rule.heads)} heads: {gain.mean:+.3f} nDCG@10 "
            f"({gain.low:+.3f} to {gain.high:+.3f}) over each chunk's own"
        )
    return {
        "told": told,
        "heads": None if rule is None else rule.heads,
        "exponents": None if rule is None else rule.exponents,
        "by_count": {str(count): _triple(one) for count, one in curve.items()},
    }


def notes(data: LabelledData, *, null_query: bool) -> tuple[str, ...]:
    """What a reader of the report should know."""
    found = list(data.notes)
    n = len(data.queries)
    if n < FEW_QUERIES:
        found.append(f"{n} queries are few: intervals are wide, and another draw may differ")
    if null_query:
        found.append(
            "measured on masses of whole chunks; rankings also leave out tokens far below "
            "their chunk's mean, so that their scores differ a little"
        )
    return tuple(found)


def _triple(found: Interval) -> list[float]:
    return [found.mean, found.low, found.high]


def of_evidence(found: EvidenceFit) -> dict[str, Any]:
    """How evidence is told."""
    told = f"evidence: area under ROC {found.auc:.3f}"
    if found.let_through is None:
        told += ", too little to set a threshold"
    else:
        told += (
            f"; a threshold of {found.rule.threshold} keeps {KEPT:.0%} of the answerable queries "
            f"and lets {found.let_through:.0%} of the others through"
        )
    return {"told": told, "auc": found.auc, "let_through": found.let_through}


def of_relevance(found: RelevanceFit) -> dict[str, Any]:
    """How relevance is told."""
    told = (
        f"relevance: area under ROC {found.others:.3f} against other queries' chunks, "
        f"{found.nearest:.3f} against the query's own without what supports the answer "
        f"({found.best:.3f} by the best relevance, {found.attention:.3f} without the query's "
        f"words); Brier score {found.brier:.3f}"
    )
    if found.silenced is None or found.missed is None:
        told += ", too little to set a threshold"
    else:
        told += (
            f"; a threshold of {found.rule.evidence_threshold} silences {found.silenced:.0%} of "
            f"the answerable queries and lets {found.missed:.0%} of the others through"
        )
    return {
        "told": told,
        "auc_others": found.others,
        "auc_nearest": found.nearest,
        "auc_nearest_by_best": found.best,
        "auc_nearest_by_attention": found.attention,
        "silenced": found.silenced,
        "missed": found.missed,
        "brier": found.brier,
        "reliability": found.reliability,
        "labelled_spans": found.spans,
    }


def of_fusing(found: FuseFit | None, evidence: FusedEvidence | None) -> dict[str, Any] | None:
    """How a retriever's scores are weighted against attention, in the order and in evidence."""
    if found is None:
        return None
    parts = [
        f"{kind} ({count} queries): nDCG@10 {found.fused[kind]:.3f} fused, "
        f"{found.alone[kind]:.3f} by the retriever, {found.attention[kind]:.3f} by attention"
        for kind, count in found.queries.items()
    ]
    if evidence is not None:
        parts.append(
            f"evidence with cosines ({evidence.queries} queries): area under ROC "
            f"{evidence.nearest:.3f} against the query's own without what supports the answer, "
            f"{evidence.retriever:.3f} by the best cosine, {evidence.attention:.3f} by attention; "
            f"the threshold silences {evidence.silenced:.0%} and lets {evidence.missed:.0%} through"
        )
    return {
        "told": "retrieval scores: " + "; ".join(parts),
        "evidence": None if evidence is None else asdict(evidence),
        "queries": dict(found.queries),
        "retriever": dict(found.alone),
        "attention": dict(found.attention),
        "fused": dict(found.fused),
    }


def measured(report: FitReport) -> dict[str, Any]:
    """What the profile says about its scores: for each set, those on held-out folds."""
    by_name = {score.name: score for score in report.scores}
    told: dict[str, Any] = {}
    for name, count in report.data.items():
        found = by_name["profile"].by_set[name]
        told[f"{name}, held-out folds"] = {
            "queries": count,
            "ndcg@10": round(found.mean, 3),
            "interval95": found.rounded(),
            "mid-depth default": round(by_name["mid-depth default"].by_set[name].mean, 3),
            "bm25": round(by_name["bm25"].by_set[name].mean, 3),
        }
    return told


def differences(
    nested: Floats, baselines: Mapping[str, Floats], sets: Sequence[str]
) -> tuple[Difference, ...]:
    """By how much the profile is better than each that it has to beat, on the same queries."""
    return tuple(
        Difference(name, interval(nested - found, sets)) for name, found in baselines.items()
    )


def best_single(
    quality: Quality, allowed: Integers, known: Sequence[Head]
) -> tuple[tuple[Head, float], ...]:
    """The best heads alone, by nDCG@10; `known` are the heads of the arrays."""
    values = {int(i): interval(quality.alone[i], quality.arrays.sets).mean for i in allowed}
    best = sorted(values, key=lambda i: -values[i])[:_SHOWN]
    return tuple((known[i], values[i]) for i in best)


def heads_curve(crossed: CrossValidation) -> list[Point]:
    """Held-out quality by number of heads, for each way to select them."""
    return [
        Point(
            config.count,
            config.method,
            config.null_query,
            interval(crossed.held_out(config), crossed.sets),
        )
        for config in sorted(crossed.configs, key=lambda one: (one.rank, one.null_query))
    ]
