"""Which chunks of a ranking are kept, and in which order: no model, no tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from attnmass import scoring
from attnmass.checks import check_count, check_finite, check_items, check_share
from attnmass.types import RankedChunk

Order = Literal["score", "input", "best_last"]
OnNoEvidence = Literal["keep", "empty", "raise"]
RankBy = Literal["attention", "logit", "both"]


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
            TypeError: If they are no numbers.
        """
        scores = self.retrieval_scores
        if scores is not None:
            check_items("retrieval_scores", scores, object, instead="a list of numbers")
            for index, score in enumerate(scores):
                if isinstance(score, str) or not (score is None or hasattr(score, "__float__")):
                    raise TypeError(f"retrieval_scores[{index}] must be a number, not {score!r}")
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

    def rank(
        self,
        texts: Mapping[int, str],
        masses: Mapping[int, float],
        shares: Mapping[int, float],
        n_tokens: Mapping[int, int],
        n_windows: Mapping[int, int],
        skipped: Mapping[int, str],
        logits: Mapping[int, float] | None = None,
        rank_by: RankBy = "attention",
    ) -> list[RankedChunk]:
        """All chunks, best first; those that were not scored come last.

        Mass that is below zero, where a null query's was subtracted, is a score of 0, as that of
        what was not scored; the order is still by how much is missing.

        Args:
            texts: The chunks' own texts by input index, `""` for what is no text.
            masses: Attention mass by input index, of the chunks that were scored, in input order.
            shares: The mass of all of them as the profile shares it out, likewise.
            n_tokens: Tokens, likewise.
            n_windows: Windows, likewise.
            skipped: Why the others were not scored, by input index.
            logits: What a classification head says, likewise, where one was asked.
            rank_by: What chunks are ordered by. Without `"attention"` alone, scores are the
                sigmoids of the logits; `"both"` weighs the z-scores of logit and of the share's
                logarithm alike.
        """
        indices = list(masses)
        keys = list(shares.values())
        # Many masses are small and a few large: a z-score says more of their logarithms.
        blended = scoring.log_masses(keys)
        scores: Mapping[int, float] = shares
        given = self.retrieval_scores
        fused: dict[int, float] = {}
        if logits is not None and rank_by != "attention":
            scores = {index: scoring.sigmoid(logit) for index, logit in logits.items()}
            said = [logits[index] for index in indices]
            if rank_by == "logit":
                keys = blended = said
            elif indices:
                keys = blended = scoring.fuse(blended, said, 0.5)
                fused = dict(zip(indices, keys, strict=True))
        if self.fuse is not None and given is not None and indices:
            keys = scoring.fuse(blended, [float(given[i] or 0.0) for i in indices], self.fuse)
            fused = dict(zip(indices, keys, strict=True))

        def retrieval(index: int) -> float | None:
            score = None if given is None else given[index]
            return None if score is None else float(score)

        ranked = [
            RankedChunk(
                index=i,
                score=max(0.0, scores[i]),  # less than none is none, as beside it in the list
                mass=masses[i],
                logit=None if logits is None else logits[i],
                n_tokens=n_tokens[i],
                n_windows=n_windows[i],
                retrieval_score=retrieval(i),
                fused_score=fused.get(i),
                text=texts[i],
            )
            for i in (indices[place] for place in scoring.order(keys))
        ]
        ranked += [
            RankedChunk(
                index=i,
                score=0.0,
                n_tokens=0,
                retrieval_score=retrieval(i),
                skipped=why,
                text=texts[i],
            )
            for i, why in sorted(skipped.items())
        ]
        return ranked

    def cut(
        self, ranked: Sequence[RankedChunk], no_evidence: bool = False
    ) -> tuple[list[RankedChunk], list[RankedChunk]]:
        """Cut by evidence, then by `score_threshold`, then by `top_n`; then order what is left.

        Args:
            ranked: From `rank`.
            no_evidence: Whether there is too little.

        Returns:
            What is kept, in the order asked for, and what is dropped, best first, with its reason.
        """
        kept: list[RankedChunk] = []
        dropped: list[RankedChunk] = []
        for chunk in ranked:
            why = None
            if no_evidence and self.on_no_evidence != "keep":
                why = "no_evidence"
            elif self.score_threshold is not None and chunk.score < self.score_threshold:
                why = "score_threshold"
            elif len(kept) == self.top_n:
                why = "top_n"
            (dropped if why else kept).append(replace(chunk, dropped=why))
        if self.order == "input":
            kept.sort(key=lambda chunk: chunk.index)
        elif self.order == "best_last":
            kept.reverse()
        return kept, dropped
