"""From a ranking to what is drawn from it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attnmass.explain.words import Links, by_word, find_words
from attnmass.options.checks import check_type
from attnmass.results.drawn import ExplainedChunk, Piece, View
from attnmass.results.explanation import Explanation
from attnmass.results.ranking import Ranking
from attnmass.results.trace import ChunkTrace, Floats, Integers, Trace
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    from attnmass.profiles import HeadProfile

# By whether a head ranks chunks, and whether it scores sentences.
_GROUPS = {
    (True, True): "One head that ranks and trims",
    (True, False): "One head that ranks",
    (False, True): "One head that trims",
    (False, False): "One head that does neither",
}

QueryLinks = tuple[Links, int]  # which tokens count for which words, and how many words


def explain(ranking: Ranking) -> Explanation:
    """Prepare a ranking to be drawn.

    Raises:
        ValueError: If it has no `trace`.
        TypeError: If it is not a ranking.
    """
    check_type("ranking", ranking, Ranking)
    trace = ranking.trace
    if trace is None:
        raise ValueError(
            "this ranking holds no attention to draw: pass one that AttentionRanker.rank returned"
        )
    words, links = _query_words(ranking.query, trace)
    query = None if links is None else (links, len(words))
    n_heads = len(ranking.profile.all_heads)
    places: list[tuple[RankedChunk, int | None]] = [
        *((chunk, place) for place, chunk in enumerate(ranking.chunks, start=1)),
        *((chunk, None) for chunk in ranking.dropped),
    ]
    trimmed = ranking.n_tokens_before is not None
    numbers = itertools.count(1)
    return Explanation(
        query=ranking.query,
        query_words=words,
        model=ranking.profile.model,
        heads=ranking.profile.all_heads,
        views=tuple(views(ranking.profile, sentences=trimmed)),
        chunks=tuple(
            _chunk(chunk, place, trace, query, n_heads, numbers) for chunk, place in places
        ),
        evidence=ranking.evidence,
        no_evidence=ranking.no_evidence,
        threshold=trace.threshold,
        notes=ranking.notes,
        n_tokens_before=ranking.n_tokens_before,
        n_tokens_after=ranking.n_tokens_after,
        layout=ranking.profile.layout,
    )


def views(profile: HeadProfile, *, sentences: bool) -> Iterator[View]:
    """Ways to look at the heads of a profile, with or without that of scoring `sentences`."""
    yield View("All heads, as they rank chunks", profile.chunk_weights, "Together")
    if sentences and profile.span_weights != profile.chunk_weights:
        yield View("All heads, as they score sentences", profile.span_weights, "Together")
    spans = profile.span_rule
    for i, (layer, head) in enumerate(profile.all_heads):
        uses = [
            f"{weight:.0%} of {what}"
            for weight, what in (
                (profile.chunk_weights[i], "ranking"),
                (profile.span_weights[i], "sentences"),
            )
            if weight
        ]
        uses += [
            what
            for what, heads in (
                ("sharing out", () if profile.ranking is None else profile.ranking.heads),
                ("sharing sentences out", spans.heads if spans.exponents else ()),
                ("context", profile.context),
                ("evidence", profile.evidence.heads),
            )
            if (layer, head) in heads
        ]
        label = f"Layer {layer}, head {head} ({', '.join(uses)})"
        alone = tuple(float(other == i) for other in range(len(profile.all_heads)))
        ranks, trims = profile.chunk_weights[i] > 0, profile.span_weights[i] > 0
        yield View(label, alone, _GROUPS[ranks, trims and (sentences or not ranks)])


def _query_words(query: str, trace: Trace) -> tuple[tuple[tuple[int, int], ...], Links | None]:
    """The query's words and their tokens; none where they were not told apart."""
    first = next(iter(trace.scored.values()), None)  # either all have them or none has
    if first is None or first.rows is None:
        return (), None
    bounds, links = find_words(query, trace.query_offsets)
    return tuple((int(start), int(end)) for start, end in bounds), links


def _chunk(
    ranked: RankedChunk,
    place: int | None,
    trace: Trace,
    query: QueryLinks | None,
    n_heads: int,
    numbers: Iterator[int],
) -> ExplainedChunk:
    rows = None if query is None else lambda found: _mean_by_word(found, *query)
    chunk_id, offset = trace.places.get(ranked.index, (None, None))
    found = explained_chunk(
        ranked,
        place,
        trace.chunks[ranked.index],
        trace.scored.get(ranked.index),
        lambda start, end: _text_pieces(ranked, start, end, numbers),
        n_heads=n_heads,
        rows=rows,
    )
    return replace(found, id=chunk_id, offset=offset)


def explained_chunk(
    ranked: RankedChunk,
    place: int | None,
    source: Chunk,
    found: ChunkTrace | None,
    text_pieces: Callable[[int, int], Iterator[Piece]],
    *,
    n_heads: int,
    rows: Callable[[Floats], Floats] | None,
) -> ExplainedChunk:
    """One chunk with the attention on its words.

    Args:
        ranked: What is said about it.
        place: See `ExplainedChunk`.
        source: What was passed in.
        found: The attention on it; `None` where it was not read.
        text_pieces: Gives the pieces of its own text, which lies at `[start, end)` in what is read.
        n_heads: How many heads were read.
        rows: Turns `ChunkTrace.rows`, brought to words, into what `ExplainedChunk.rows` has; `None`
            where that is not wanted.
    """
    title = source.title
    if found is None:
        found = ChunkTrace(
            source.text, 0, np.zeros((0, 2), np.int64), np.zeros((n_heads, 0), np.float32)
        )
        # Its title and what is around it were not read.
        source = Chunk(source.text)
    pieces = tuple(_pieces(source, found, text_pieces))
    words, masses, by_row = _masses(found, [piece.start for piece in pieces], rows)
    read = found.read
    blank = np.array([read[start:end].isspace() for start, end in words.tolist()], dtype=bool)
    return ExplainedChunk(
        ranked, place, title, read, pieces, words, blank, masses, by_row, found.start
    )


def _masses(
    found: ChunkTrace, cuts: list[int], rows: Callable[[Floats], Floats] | None
) -> tuple[Integers, Floats, Floats | None]:
    if not len(found.offsets):
        return np.zeros((0, 2), np.int64), found.masses, None
    words, links = find_words(found.read, found.offsets, cuts)
    masses = by_word(found.masses, links, len(words))
    if found.rows is None or rows is None:
        return words, masses, None
    return words, masses, rows(by_word(found.rows, links, len(words)))


def _mean_by_word(rows: Floats, links: Links, n_words: int) -> Floats:
    """From `[query token, head, word]` to the mean over the tokens of each of the query's words."""
    sums = by_word(np.moveaxis(rows, 0, -1), links, n_words)  # [head, word, query word]
    weights = np.bincount(links.words, links.shares, minlength=n_words)
    means = sums / np.where(weights > 0, weights, 1.0)
    return np.moveaxis(means, -1, 0).astype(np.float32)


def _pieces(
    source: Chunk, found: ChunkTrace, text_pieces: Callable[[int, int], Iterator[Piece]]
) -> Iterator[Piece]:
    """What `found.read` consists of, without gaps."""
    start, end = found.start, found.start + len(source.text)
    lead = 0 if source.title is None else len(source.title) + 1
    if lead:
        yield Piece("title", 0, lead)
    if lead < start:
        yield Piece("before", lead, start)
    yield from text_pieces(start, end)
    if end < len(found.read):
        yield Piece("after", end, len(found.read))


def _text_pieces(
    ranked: RankedChunk, start: int, end: int, numbers: Iterator[int]
) -> Iterator[Piece]:
    whole = None if ranked.dropped is None else False
    if not ranked.spans:
        if start < end:
            yield Piece("text", start, end, whole, ranked.dropped)
        return
    place = start
    for i, span in enumerate(ranked.spans):
        following = ranked.spans[i + 1].start + start if i + 1 < len(ranked.spans) else end
        if place < span.start + start:
            yield Piece("text", place, span.start + start)
        place = span.end + start
        known = (span.kept, span.reason, span.score, span.mass)
        number = next(numbers) if span.kept and ranked.dropped is None else None
        yield Piece(
            "text",
            span.start + start,
            place,
            *known,
            relevance=span.relevance,
            number=number,
        )
        if span.id.endswith(f"-{span.end}"):
            continue
        # The span was cut: its id says where it ends.
        whole_end = min(int(span.id.rpartition("-")[2]) + start, following)
        if place < whole_end:
            yield Piece("text", place, whole_end, False, "max_tokens")
            place = whole_end
    if place < end:
        yield Piece("text", place, end)
