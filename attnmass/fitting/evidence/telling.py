"""What is fitted alongside the heads: evidence or relevance, and fusing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attnmass.fitting.captures.capture import look_at_chunks
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.evidence.beside import look_beside, with_others
from attnmass.fitting.evidence.evidence import EvidenceFit, fit_evidence, variants
from attnmass.fitting.evidence.fused_evidence import FusedEvidence, fit_fused_evidence
from attnmass.fitting.evidence.fusing import FuseFit, fit_fusing
from attnmass.fitting.evidence.relevance import RelevanceFit, fit_relevance
from attnmass.fitting.metrics import Floats, Integers
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.fitting.subject import Subject
from attnmass.layouts import keeps_vectors
from attnmass.options.declared import MEMORY_BYTES
from attnmass.profiles import EvidenceRule, HeadProfile, RelevanceRule
from attnmass.scoring.order import log_masses

Capturing = Callable[
    [Sequence[LabelledQuery], Callable[[LabelledQuery], Capture], dict[str, Any], str],
    list[Capture],
]


@dataclass(frozen=True, slots=True)
class Told:
    """What was fitted; `None` where it was not asked for, or the data did not suffice."""

    evidence: EvidenceFit | None = None
    relevance: RelevanceFit | None = None
    fusing: FuseFit | None = None
    fused_evidence: FusedEvidence | None = None

    def into(self, profile: HeadProfile, measured: Mapping[str, Any]) -> HeadProfile:
        """A profile with all of it."""
        weights = None if self.fused_evidence is None else self.fused_evidence.weights
        return replace(
            profile,
            evidence=EvidenceRule() if self.evidence is None else self.evidence.rule,
            relevance=None if self.relevance is None else self.relevance.rule,
            fusing=None if self.fusing is None else replace(self.fusing.rule, evidence=weights),
            measured=measured,
        )


def fit_told(
    subject: Subject,
    queries: Sequence[LabelledQuery],
    profile: HeadProfile,
    capture: Capturing,
    folds: Integers,
    shares: Sequence[Floats],
    seed: int,
    *,
    with_evidence: bool,
) -> Told:
    """Fit what tells evidence in the profile's layout, and how a retriever is weighted.

    Args:
        subject: The model.
        queries: What is labelled.
        profile: The heads that were selected.
        capture: Runs the model over queries, or reads what an earlier run captured.
        folds: The fold of each query.
        shares: Each query's shares by rules that it had no part in, `[chunk]`.
        seed: For drawing other queries' chunks.
        with_evidence: Whether evidence is fitted at all.
    """
    fusing = fit_fusing(queries, [np.array(log_masses(mine.tolist())) for mine in shares])
    if not with_evidence:
        return Told(fusing=fusing)
    if keeps_vectors(subject.layout):
        relevance = fit_relevance_of(subject, queries, profile, capture, folds, seed)
        by_both = fit_fused_evidence(queries, relevance, folds)
        return Told(relevance=relevance, fusing=fusing, fused_evidence=by_both)
    return Told(_evidence(subject, queries, profile, capture, folds, seed), fusing=fusing)


def fit_relevance_of(
    subject: Subject,
    queries: Sequence[LabelledQuery],
    profile: HeadProfile,
    capture: Capturing,
    folds: Integers,
    seed: int,
) -> RelevanceFit:
    """Fit relevance by the heads that order chunks, which are read anyway."""
    heads = profile.heads if profile.ranking is None else profile.ranking.heads
    rule = RelevanceRule(heads, (1.0,) * len(heads))
    ranker = subject.ranker(profile=replace(profile, relevance=rule), memory_bytes=MEMORY_BYTES)
    about = subject.about(heads) | {"background": list(ranker.profile.background_texts)}
    look = look_beside(ranker, subject.plain, heads)
    beside = with_others(queries, seed)
    captured = capture(beside, look, about, "Reading relevance")
    return fit_relevance(heads, queries, beside, captured, folds)


def _evidence(
    subject: Subject,
    queries: Sequence[LabelledQuery],
    profile: HeadProfile,
    capture: Capturing,
    folds: Integers,
    seed: int,
) -> EvidenceFit | None:
    """The rule for evidence; `None` where other queries have no chunks to substitute."""
    found = variants(queries, seed)
    if len({int(folds[one.number]) for one in found}) < 2:
        return None
    # The variants of a query share most chunks, which the parallel layout reads once.
    ranker = subject.ranker(profile=profile, memory_bytes=MEMORY_BYTES)
    captured = capture(
        [query for one in found for query in (one.present, one.absent)],
        look_at_chunks(ranker),
        subject.about(profile.heads, profile.weights) | {"null_query": profile.null_query},
        "Reading evidence",
    )
    numbers = [one.number for one in found]
    return fit_evidence(captured[0::2], captured[1::2], numbers, folds)
