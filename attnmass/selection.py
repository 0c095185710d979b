"""Which chunks of a ranking are kept, and in which order: no model, no tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attnmass import scoring
from attnmass.types import RankedChunk


@dataclass(frozen=True, slots=True)
class Selection:
    """What a caller asked for beside the order.

    Attributes:
        top_n: Keep the best so many, `None` for all.
        score_threshold: Keep chunks of at least this attention mass, `None` for all.
        retrieval_scores: One for each chunk, `None` where the caller passed none.
        fuse: Share of the retrieval score in the order, `None` for none of it.
    """

    top_n: int | None = None
    score_threshold: float | None = None
    retrieval_scores: Sequence[float | None] | None = None
    fuse: float | None = None

    def __post_init__(self) -> None:
        if self.top_n is not None and self.top_n < 1:
            raise ValueError(f"top_n must be at least 1, or None for all, not {self.top_n}")
        if self.score_threshold is not None and not math.isfinite(self.score_threshold):
            raise ValueError(f"score_threshold must be a number, not {self.score_threshold}")
        if self.fuse is not None and not 0 <= self.fuse <= 1:
            raise ValueError(f"fuse must be between 0 and 1, not {self.fuse}")

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

    def apply(
        self,
        masses: Mapping[int, float],
        n_tokens: Mapping[int, int],
        n_windows: Mapping[int, int],
        skipped: Mapping[int, str],
    ) -> tuple[RankedChunk, ...]:
        """Order, then cut by `score_threshold`, then by `top_n`.

        Args:
            masses: Attention mass by input index, of the chunks that were scored, in input order.
            n_tokens: Tokens, likewise.
            n_windows: Windows, likewise.
            skipped: Why the others were not scored, by input index.
        """
        indices = list(masses)
        keys = list(masses.values())
        given = self.retrieval_scores
        fused: dict[int, float] = {}
        if self.fuse is not None and given is not None and indices:
            keys = scoring.fuse(keys, [float(given[i] or 0.0) for i in indices], self.fuse)
            fused = dict(zip(indices, keys, strict=True))

        def retrieval(index: int) -> float | None:
            score = None if given is None else given[index]
            return None if score is None else float(score)

        ranked = [
            RankedChunk(
                index=i,
                score=masses[i],
                n_tokens=n_tokens[i],
                n_windows=n_windows[i],
                retrieval_score=retrieval(i),
                fused_score=fused.get(i),
            )
            for i in (indices[place] for place in scoring.order(keys))
        ]
        ranked += [
            RankedChunk(index=i, score=0.0, n_tokens=0, retrieval_score=retrieval(i), skipped=why)
            for i, why in sorted(skipped.items())
        ]
        if self.score_threshold is not None:
            ranked = [chunk for chunk in ranked if chunk.score >= self.score_threshold]
        return tuple(ranked[: self.top_n])
