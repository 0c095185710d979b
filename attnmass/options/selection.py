"""Which chunks are kept, and in which order: what a user can say of it, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import SkipValidation

from attnmass.options.checked import Checked
from attnmass.options.checks import check_items
from attnmass.options.declared import Selecting


class Selection(Selecting, Checked):
    """What a caller asked for beside the order.

    Attributes:
        retrieval_scores: One for each chunk, `None` where the caller passed none.
    """

    retrieval_scores: SkipValidation[Sequence[float | None] | None] = None

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
        if not isinstance(self.fuse, float):
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
