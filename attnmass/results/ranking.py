"""Chunks in order, with all that is known about how they came to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from attnmass.results.renderers import renderer
from attnmass.scoring.ranked import RankedChunk

if TYPE_CHECKING:
    import pandas as pd

    from attnmass.profiles import HeadProfile
    from attnmass.results.explanation import Explanation
    from attnmass.results.saving import Saving
    from attnmass.results.trace import Trace


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of wall-clock time spent on one call, by stage.

    Attributes:
        tokenize: Turning query and chunks into tokens.
        encode: Reading the chunks.
        query: The query's pass over what was read.
        total: The whole call, waiting for another thread's call to end included.
        trim: Finding, scoring and choosing spans.
    """

    tokenize: float
    encode: float
    query: float
    total: float
    trim: float = 0.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chunks in order of the attention that one query paid them.

    `print` shows the best in a few lines, a notebook shows a table, `explain` draws a heat map.

    Attributes:
        query: The query.
        chunks: What is kept, in the order asked for, best first by default; ties keep input order.
        scores: `RankedChunk.score` of every input chunk, in input order, whatever was cut.
        profile: The heads that were read.
        timings: Seconds by stage. In `AttentionRanker.rank_batch` the queries share one set.
        notes: What a caller should know, in sentences: chunks that were split or skipped, the best
            span that a budget left no room for, what a dry run found.
        evidence: How much was found, in [0, 1]: the relevance of the best chunk, or where the
            retriever's scores are fused, what both say of it (`FuseRule.evidence`); where it
            passes, lowered for words of the query that no two chunks that pass say together
            (`RelevanceRule.coverage`). Where no relevance is known, it comes from all masses
            (`HeadProfile.evidence`).
        no_evidence: Whether that is below the threshold, so that the answer is likely not here.
        dropped: Chunks that are not kept, best first, each with its reason.
        n_tokens_before: Tokens of all chunks as the reader would get them, counted with the
            reader's tokenizer; `None` where trimming was not asked for.
        n_tokens_after: The same for what is kept.
        trace: The attention it was made from; `None` on a ranking that was put together by hand.
        stability: Where the chunks were read in two orders, the rank correlation (Kendall's tau-b)
            of the two results, in [-1, 1]: the lower, the more the order of the chunks matters.
        saving: In a dry run, what trimming would have saved and lost; else `None`.
    """

    query: str
    chunks: tuple[RankedChunk, ...]
    scores: tuple[float, ...]
    profile: HeadProfile
    timings: Timings
    notes: tuple[str, ...] = ()
    evidence: float = 0.0
    no_evidence: bool = False
    dropped: tuple[RankedChunk, ...] = ()
    n_tokens_before: int | None = None
    n_tokens_after: int | None = None
    trace: Trace | None = field(default=None, repr=False, compare=False)
    stability: float | None = None
    saving: Saving | None = None

    @property
    def split(self) -> tuple[int, ...]:
        """Input indices of kept chunks that were read in more than one window."""
        return tuple(chunk.index for chunk in self.chunks if chunk.n_windows > 1)

    @property
    def skipped(self) -> tuple[int, ...]:
        """Input indices of kept chunks that were not scored."""
        return tuple(chunk.index for chunk in self.chunks if chunk.skipped is not None)

    def explain(self) -> Explanation:
        """The attention drawn over the text: HTML, a notebook's cell, a terminal, JSON.

        With `rank(..., query_words=True)` it also shows where each word of the query looked.

        Raises:
            ValueError: If there is no `trace`.
        """
        explanation: Explanation = renderer(self, "explanation")(self)
        return explanation

    def with_places(self, place: Callable[[int], tuple[str | None, int | None]]) -> Ranking:
        """The same with each chunk's id, and its place in the document that it is part of.

        Its `explain` shows them.

        Args:
            place: From the input index of a chunk to its id and to where its text begins.
        """
        if self.trace is None:
            return self
        places = {index: place(index) for index in range(len(self.trace.chunks))}
        return replace(self, trace=replace(self.trace, places=places))

    def to_dict(self) -> dict[str, Any]:
        """All of it but the attention, in JSON's types.

        `chunks` have their `rank`, from 1, and their `text`; those in `dropped` have a reason
        instead. Where trimming was asked for, they have `spans`. A retrieval score that JSON cannot
        express, such as NaN, is `None`. Of the head profile there are model, layout and heads.
        """
        data: dict[str, Any] = renderer(self, "dict")(self)
        return data

    def to_pandas(self) -> pd.DataFrame:
        """A table with a row for each chunk: those kept, in order, then those dropped.

        Raises:
            ImportError: If pandas is not installed.
        """
        return renderer(self, "pandas")(self)

    def __repr__(self) -> str:
        text: str = renderer(self, "text")(self)
        return text

    def _repr_html_(self) -> str:
        table: str = renderer(self, "table")(self)
        return table
