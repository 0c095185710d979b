"""Which chunks are kept, and in which order: what a user can say of it, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import SkipValidation

from attnmass.options.checked import Checked
from attnmass.options.checks import as_float, check_items
from attnmass.options.declared import Selecting


class Selection(Selecting, Checked):
    """What a caller asked for besides the order.

    Attributes:
        retrieval_scores: One for each chunk, `None` where the caller passed none.

    Raises:
        TypeError: If they are no numbers, and as `Checked`.
        ValueError: If one is beyond what a float holds, and as `Checked`.
    """

    retrieval_scores: SkipValidation[Sequence[float | None] | None] = None

    if not TYPE_CHECKING:  # type checkers know the fields

        def __init__(self, /, **given: Any) -> None:
            if given.get("retrieval_scores") is not None:
                given["retrieval_scores"] = _as_scores(given["retrieval_scores"])
            super().__init__(**given)

    def check(self, n_chunks: int) -> None:
        """Hold the retrieval scores against the chunks.

        Raises:
            ValueError: If there are not as many, or `fuse` needs one that is missing.
        """
        scores = self.retrieval_scores
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
                    "fuse needs a finite retrieval score for every chunk, but "
                    f"chunks[{index}] has {score}: pass one, or fuse=None"
                )


def _as_scores(given: Any) -> tuple[float | None, ...]:
    """A retriever's scores in their order, which is not always that of a table's index."""
    check_items("retrieval_scores", given, object, instead="a list of numbers")
    found: list[float | None] = []
    for index, value in enumerate(given):
        score = None if value is None else as_float(value)
        if value is not None and score is None:
            raise TypeError(f"retrieval_scores[{index}] must be a number, not {value!r}")
        found.append(score)
    return tuple(found)
