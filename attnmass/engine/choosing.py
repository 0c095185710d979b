"""The choice of spans for a query, from as few chunks as it takes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from attnmass.engine.asking import Asked
from attnmass.results.ranking import Ranking
from attnmass.results.saving import Saving
from attnmass.scoring.ranked import RankedChunk
from attnmass.scoring.selection import arranged, best_first
from attnmass.text.chunk import Chunk
from attnmass.text.prompt import chunk_text
from attnmass.text.segmentation import Segment
from attnmass.trimming import (
    BudgetError,
    Leaning,
    PatternError,
    ScoredText,
    TokenCounter,
    Trim,
    Trimmed,
    trim_chunks,
)
from attnmass.trimming.patterns import Search

_FIRST = 4  # chunks that are looked into at first where too little is relevant


class Looked(Protocol):
    """What one query's look at the chunks told of their spans, asked for chunk by chunk."""

    def scored(self, indices: Sequence[int]) -> Mapping[int, ScoredText]:
        """The spans of chunks with their scores; nothing is known of what must stay."""

    def bound(self, index: int) -> float:
        """What no span of a chunk scores more than."""

    def leaning(
        self, chunks: Sequence[RankedChunk], scored: Mapping[int, ScoredText]
    ) -> Mapping[int, Leaning]:
        """For each chunk what its spans lean on."""


@dataclass(frozen=True)
class Call:
    """What the queries of one call have in common.

    Attributes:
        chunks: All of them.
        read: The input indices of those that the model read, in order.
        segments: The spans of a chunk.
        asked: All that was asked for.
        trim: What of it is about trimming.
        count: Counts the reader's tokens.
        least: Less relevance than this is too little; `None` where all is relevant.
    """

    chunks: Sequence[Chunk]
    read: Sequence[int]
    segments: Callable[[int], tuple[Segment, ...]]
    asked: Asked
    trim: Trim
    count: TokenCounter
    least: float | None
    _must: dict[int, frozenset[int]] = field(default_factory=dict)

    def render(self, index: int, text: str) -> str:
        """What the reader gets of a chunk."""
        if self.asked.render is not None:
            return self.asked.render(index, text)
        return chunk_text(replace(self.chunks[index], text=text))

    @cached_property
    def n_tokens_before(self) -> int:
        """Tokens of all chunks as the reader would get them whole."""
        return self.count.total([self.render(i, self.chunks[i].text) for i in self.read])

    @cached_property
    def _search(self) -> Search:
        return self.trim.patterns.look()

    def must(self, index: int) -> frozenset[int]:
        """The spans of a chunk that `must_keep` names."""
        if not self.trim.patterns:
            return frozenset()
        if index not in self._must:
            places = self._search.places(self.chunks[index].text)
            self._must[index] = _touched(self.segments(index), places) if places else frozenset()
        return self._must[index]

    def trimmed(self, ranking: Ranking, looked: Looked) -> Ranking:
        """One query's ranking with its chunks trimmed.

        Raises:
            BudgetError: If no span, or not all that must stay, fits into the budget, and `on_empty`
                is `"raise"`; a `ValueError`.
            PatternError: If a pattern takes too long; a `ValueError`.
        """
        found = _Choosing(self, ranking, looked).run()
        return replace(
            ranking,
            chunks=found.chunks,
            dropped=found.dropped,
            n_tokens_before=self.n_tokens_before,
            n_tokens_after=found.n_tokens_after,
            notes=(*ranking.notes, *found.notes),
        )

    def tried(self, whole: Ranking, ranking: Ranking, looked: Looked) -> Ranking:
        """What `trimmed` would do, or raise, told on a ranking that nothing was cut from.

        Args:
            whole: That ranking.
            ranking: As in `trimmed`.
            looked: Likewise.
        """
        before = self.n_tokens_before
        try:
            trimmed = self.trimmed(ranking, looked)
            saving = Saving(before, trimmed.n_tokens_after or 0, trimmed.chunks, trimmed.dropped)
            notes = trimmed.notes
        except (BudgetError, PatternError) as error:
            saving = Saving(before, before, whole.chunks, (), str(error))
            notes = whole.notes
        return replace(
            whole,
            n_tokens_before=before,
            n_tokens_after=before,
            saving=saving,
            notes=(*notes, str(saving)),
        )


class _Choosing:
    """The choice for one query.

    A chunk that is not relevant is looked into only where it has what must stay, or where too
    little is relevant and it may have the best of the rest.
    """

    def __init__(self, call: Call, ranking: Ranking, looked: Looked) -> None:
        self._call = call
        self._ranking = ranking
        self._looked = looked
        self._scored: dict[int, ScoredText] = {}
        self._brought: set[int] = set()

    def run(self) -> Trimmed:
        """Choose."""
        call = self._call
        spare = self._spare()
        apart = {c.index for c in self._ranking.dropped if c.dropped == "min_relevance"}
        self._look_into(index for index in call.read if index not in apart)
        self._bring(index for index in spare if call.must(index))
        bounds = {index: self._looked.bound(index) for index in spare if index not in self._brought}
        waiting = sorted(bounds, key=lambda index: -bounds[index])
        n_next = _FIRST
        while True:
            found = self._choose({}, final=not waiting)
            if not waiting or self._is_enough(found, bounds[waiting[0]]):
                break
            self._bring(waiting[:n_next])
            del waiting[:n_next]
            n_next *= 2
        if not call.trim.resolve_context:
            return found
        leans = self._looked.leaning(found.chunks, self._scored)
        return self._choose(leans, final=not waiting)

    def _spare(self) -> list[int]:
        """Chunks that only want of relevance keeps from being among those to choose from."""
        top_n = self._call.asked.top_n
        room = None if top_n is None else max(0, top_n - len(self._ranking.chunks))
        return [
            chunk.index
            for chunk in self._ranking.dropped
            if chunk.dropped == "min_relevance" and chunk.skipped is None
        ][:room]

    def _bring(self, indices: Iterable[int]) -> None:
        """Let chunks take part all the same."""
        more = set(indices)
        self._look_into(more)
        self._brought |= more

    def _look_into(self, indices: Iterable[int]) -> None:
        for index, found in self._looked.scored(sorted(indices)).items():
            self._scored[index] = replace(found, must=self._call.must(index))

    def _choose(self, leans: Mapping[int, Leaning], *, final: bool) -> Trimmed:
        call, kept, dropped = self._call, list(self._ranking.chunks), []
        for chunk in self._ranking.dropped:
            if chunk.index in self._brought:
                kept.append(replace(chunk, dropped=None))
            else:
                dropped.append(chunk)
        if self._brought:
            kept = arranged(sorted(kept, key=best_first), call.asked.order)
        return trim_chunks(
            kept,
            dropped,
            self._scored,
            call.trim,
            call.count,
            call.render,
            leans,
            min_relevance=call.least,
            final=final,
        )

    def _is_enough(self, found: Trimmed, bound: float) -> bool:
        """Whether no chunk that waits, of whose spans none scores more than `bound`, is needed."""
        n_least = self._call.trim.min_keep
        taken = sorted(
            (self._is_irrelevant(chunk, span.relevance), -span.score)
            for chunk in found.chunks
            for span in chunk.spans
            if span.reason in ("score", "must_keep")
        )
        if len(taken) < n_least:
            return False
        irrelevant, score = taken[n_least - 1] if n_least else (False, 0.0)
        return not irrelevant or -score >= bound

    def _is_irrelevant(self, chunk: RankedChunk, of_span: float | None) -> bool:
        known = [each for each in (chunk.relevance, of_span) if each is not None]
        return self._call.least is not None and min(known, default=1.0) < self._call.least


def _touched(segments: Sequence[Segment], places: Iterable[tuple[int, int]]) -> frozenset[int]:
    """The spans that have characters in one of some places."""
    starts, ends = [span.start for span in segments], [span.end for span in segments]
    return frozenset(
        i
        for start, end in places
        for i in range(bisect_right(ends, start), bisect_left(starts, end))
    )
