"""Which chunks are kept, and in which order: what a user can say of it, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from attnmass.options.checks import check_count, check_finite, check_share
from attnmass.options.choices import OnNoEvidence, Order


@dataclass(frozen=True, slots=True)
class Selection:
    """What a caller asked for beside the order.

    Attributes:
        top_n: Keep the best so many, `None` for all.
        score_threshold: Keep chunks of at least this score, `None` for all.
        retrieval_scores: One for each chunk, `None` where the caller passed none.
        fuse: Share of the retrieval score in the order, `None` for none of it.
        order: How what is kept is ordered: best first by `"score"`, as in the `"input"`, or
            `"best_last"`, next to a question that follows.
        evidence_threshold: Less evidence than this is none; `None` is the profile's own.
        on_no_evidence: Then the chunks are kept all the same, or the result is empty, or an error.
    """

    top_n: int | None = None
    score_threshold: float | None = None
    retrieval_scores: Sequence[float | None] | None = None
    fuse: float | None = None
    order: Order = "score"
    evidence_threshold: float | None = None
    on_no_evidence: OnNoEvidence = "keep"

    def __post_init__(self) -> None:
        check_count("top_n", self.top_n, 1, optional="all")
        check_finite("score_threshold", self.score_threshold, optional="all")
        check_share("fuse", self.fuse, optional="none")
        check_share("evidence_threshold", self.evidence_threshold, optional="the profile's")
        if self.order not in get_args(Order):
            raise ValueError(f"order must be one of {get_args(Order)}, not {self.order!r}")
        if self.on_no_evidence not in get_args(OnNoEvidence):
            raise ValueError(
                f"on_no_evidence must be one of {get_args(OnNoEvidence)}, "
                f"not {self.on_no_evidence!r}"
            )

    def check(self, n_chunks: int) -> None:
        """Hold the retrieval scores against the chunks.

        Raises:
            ValueError: If there are not as many, or `fuse` needs one that is missing.
        """
        scores = self.retrieval_scores
        if scores is not None and len(scores) != n_chunks:
            raise ValueError(f"{n_chunks} chunks need as many retrieval_scores, not {len(scores)}")
        if self.fuse is None:
            return
        if scores is None:
            raise ValueError(
                "fuse needs retrieval_scores: pass the retriever's scores, or fuse=None"
            )
        for index, score in enumerate(scores):
            if score is None or not math.isfinite(score):
                raise ValueError(
                    f"fuse needs a finite retrieval score for every chunk, but chunk "
                    f"{index} has {score}: pass one, or fuse=None"
                )
