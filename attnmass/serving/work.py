"""What the model is asked on behalf of a request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnmass.engine.asking import RankOptions
from attnmass.results.ranking import Ranking
from attnmass.results.scored import ScoredRanking
from attnmass.results.stats import WarmResult
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker

# Chunks of a large request, and their characters, that are read before other requests get their
# turn: some 2,000 tokens of prose. A single chunk is read as a whole, however long.
SLICE = 64
SLICE_CHARACTERS = 8_192

# Layouts in which what is read of a chunk is the same whatever else is in the request.
_READ_AHEAD = ("late", "parallel")


def slices(chunks: Sequence[Chunk]) -> list[Sequence[Chunk]]:
    """Chunks in parts: at most `SLICE` chunks, and `SLICE_CHARACTERS` where there are several."""
    starts = [0]
    characters = 0
    for index, chunk in enumerate(chunks):
        size = len(chunk.text) if isinstance(chunk.text, str) else 0
        characters += size
        n_chunks = index - starts[-1]
        if n_chunks and (n_chunks == SLICE or characters > SLICE_CHARACTERS):
            starts.append(index)
            characters = size
    ends = [*starts[1:], len(chunks)]
    return [chunks[start:end] for start, end in zip(starts, ends, strict=True) if end > start]


class Work(ABC):
    """One request's part of the model's time."""

    __slots__ = ()

    chunks: tuple[Chunk, ...]

    @property
    def key(self) -> Hashable:
        """What work that one call answers has in common; `None` for a separate call."""
        return None

    @property
    def reads(self) -> Hashable:
        """What `ahead` reads, where that is all that it does; `None` where it does more."""
        return hash(self.chunks)

    def ahead(self, ranker: AttentionRanker) -> Iterator[None]:
        """Do the part that can be done in slices, one for each step.

        Many chunks are read, as long as there is room to keep what was read. Scores are the same as
        without: they are always made from what the store gives back.
        """
        parts = slices(self.chunks)
        if len(parts) < 2 or ranker.options["layout"] not in _READ_AHEAD:
            return
        for part in parts:
            try:
                done = ranker.warm(part)
            except ValueError:  # nothing is kept
                return
            if done.evicted:  # it would only have to be read again
                return
            if done.read:  # what was there already took no time worth sharing
                yield

    @abstractmethod
    def together(self, ranker: AttentionRanker, others: Sequence[Any]) -> list[Any]:
        """Answer this and others of the same key, this one first."""


@dataclass(frozen=True, slots=True)
class Rank(Work):
    """Rank chunks for a query.

    Attributes:
        query: The query.
        chunks: Shared with every other query over the same ones.
        options: As in `AttentionRanker.rank`.
        settled: What distinguishes the options from others; `None` where they are never compared.
        then: What is made from the ranking where the model runs, since it takes long; default: the
            ranking itself.
    """

    query: str
    chunks: tuple[Chunk, ...]
    options: RankOptions = field(default_factory=lambda: RankOptions())
    settled: Hashable = ()
    then: Callable[[Ranking], Any] = field(default=lambda ranking: ranking)

    @property
    def key(self) -> Hashable:
        """Chunks and options; queries differ."""
        return None if self.settled is None else (self.chunks, self.settled)

    def together(self, ranker: AttentionRanker, others: Sequence[Rank]) -> list[Any]:
        """One call for all queries: the chunks are read once."""
        asked = (self, *others)
        found = ranker.rank_batch([each.query for each in asked], self.chunks, **self.options)
        return [each.then(ranking) for each, ranking in zip(asked, found, strict=True)]


@dataclass(frozen=True, slots=True)
class RankSpans(Work):
    """Rank chunks for some queries, and score their spans.

    Attributes:
        queries: The queries.
        chunks: Shared with every other query over the same ones.
        options: As in `AttentionRanker.rank_spans`.
        how: What it takes besides them.
        then: What is made from each result.
    """

    queries: tuple[str, ...]
    chunks: tuple[Chunk, ...]
    options: Mapping[str, Any]
    how: Mapping[str, Any]
    then: Callable[[ScoredRanking], Any]

    @property
    def key(self) -> Hashable:
        """Chunks and options; queries differ."""
        asked = (tuple(sorted(each.items())) for each in (self.options, self.how))
        return (type(self), self.chunks, *asked)

    def together(self, ranker: AttentionRanker, others: Sequence[RankSpans]) -> list[Any]:
        """One call for the queries of all requests."""
        asked = (self, *others)
        queries = [query for each in asked for query in each.queries]
        found = iter(ranker.rank_spans(queries, self.chunks, **self.how, **self.options))
        return [{"rankings": [each.then(next(found)) for _ in each.queries]} for each in asked]


@dataclass(frozen=True, slots=True)
class Several(Work):
    """Rank for several queries, each over its own chunks; others have their turn in between.

    Attributes:
        ranks: One for each query.
        done: Their results so far.
    """

    ranks: tuple[Rank, ...]
    done: list[Any] = field(default_factory=list)
    reads = None

    def ahead(self, ranker: AttentionRanker) -> Iterator[None]:
        """All of it, a query for each step."""
        for rank in self.ranks:
            yield from rank.ahead(ranker)
            self.done.extend(rank.together(ranker, ()))
            yield

    def together(self, ranker: AttentionRanker, others: Sequence[Several]) -> list[Any]:
        """What was done."""
        return [each.done for each in (self, *others)]


@dataclass(frozen=True, slots=True)
class Call(Work):
    """Call the ranker for something else.

    Attributes:
        function: What is done with the ranker.
        chunks: What it will read.
    """

    function: Callable[[AttentionRanker], Any]
    chunks: tuple[Chunk, ...] = ()

    def together(self, ranker: AttentionRanker, others: Sequence[Call]) -> list[Any]:
        """Call it."""
        return [each.function(ranker) for each in (self, *others)]


@dataclass(frozen=True, slots=True)
class Warm(Work):
    """Read chunks into the store, in slices.

    Attributes:
        chunks: The chunks.
        then: What is made from the counts.
        done: The results of the slices that were read.
    """

    chunks: tuple[Chunk, ...]
    then: Callable[[WarmResult], Any] = field(default=lambda done: done)
    done: list[WarmResult] = field(default_factory=list)
    reads = None

    def ahead(self, ranker: AttentionRanker) -> Iterator[None]:
        """All of it."""
        for part in slices(self.chunks):
            self.done.append(ranker.warm(part))
            yield

    def together(self, ranker: AttentionRanker, others: Sequence[Warm]) -> list[Any]:
        """Add up what was done."""
        return [each.then(each.total) for each in (self, *others)]

    @property
    def total(self) -> WarmResult:
        """What all slices did."""
        names = WarmResult.__dataclass_fields__
        return WarmResult(**{name: sum(getattr(one, name) for one in self.done) for name in names})
