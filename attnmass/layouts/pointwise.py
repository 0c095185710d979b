"""The pointwise layout: each chunk is read together with the query, as a pair.

The pair is framed as the model's own tokenizer frames two texts. A chunk gets attention two ways:

- `"query_to_chunk"`: where the query's tokens look, averaged over them. A chunk's mass is the share
  of the query's attention that falls on it.
- `"chunk_to_query"`: how much of its attention each of the chunk's tokens pays the query, over the
  number of tokens. A chunk's mass is the mean share that the query gets of its tokens' attention.
- `"both"`: the mean of the two.

What one token of the query pays, where that is asked for, is, in the second direction, what the
chunk's tokens pay it times the number of the query's tokens, so that the mean is always the whole.

All are in [0, 1], for a token and for a chunk. Every pair is a separate pass, so masses of several
chunks need not sum to 1, and nothing of a chunk can be kept for another query.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnmass.capture import EncoderReader, Head, Passage, prove_encoder
from attnmass.layouts.base import Advance, Groups, LayoutOptions, LayoutResult, WarmCounts
from attnmass.layouts.pairs import Pair, Seen, merge
from attnmass.layouts.windows import SHORTEST_WINDOW, batches, cut, lowest
from attnmass.layouts.within import Part, look_in_parts
from attnmass.models.out_of_memory import advising_shorter, halving
from attnmass.options.choices import Direction
from attnmass.store import ChunkCache
from attnmass.text.tokens import PlainTokenizer, Tokens

# The best of the three where they were compared, see `benchmarks/results/directions.json`.
DEFAULT_DIRECTION: Direction = "chunk_to_query"


class PointwiseLayout:
    """Query and chunk as a pair; see the module's text."""

    name: ClassVar[str] = "pointwise"
    # `with_logit` follows from `rank_by` and the model; it is not a user's option.
    takes: ClassVar[Mapping[str, Any]] = {"direction": DEFAULT_DIRECTION, "with_logit": False}

    def __init__(
        self,
        reader: EncoderReader,
        plain: PlainTokenizer,
        direction: Direction = DEFAULT_DIRECTION,
    ) -> None:
        """Bind the layout to a model.

        Args:
            reader: The heads to read.
            plain: Our own copy of the tokenizer.
            direction: Which way attention is read, see the module's text.
        """
        self._reader = reader
        self._pair, self._alone = plain.frame(2), plain.frame(1)
        self._direction = direction

    @classmethod
    def build(
        cls,
        model: nn.Module,
        tokenizer: Any,
        plain: PlainTokenizer,
        heads: Sequence[Head],
        cache: ChunkCache,
        *,
        direction: Direction = DEFAULT_DIRECTION,
        with_logit: bool = False,
    ) -> PointwiseLayout:
        """See `Layout.build`; `with_logit` also asks the one-label classification head."""
        reader = EncoderReader(model, heads, with_logit=with_logit)
        reader.proved(lambda made: prove_encoder(made, model))
        return cls(reader, plain, direction)

    def attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """See `Layout.attend`."""
        started = time.perf_counter()
        self._reader.follow()
        wanted = options.max_chunk_tokens
        jobs = [
            Pair(number, window)
            for number, query in enumerate(queries)
            for window in cut(chunks, self._room(query, chunks, wanted), options.overlap)
        ]
        found = self._read(jobs, queries, chunks, options, advance)
        by_query = [
            [(job.window, found[job]) for job in jobs if job.query == number]
            for number in range(len(queries))
        ]
        counts = [Counter(window.chunk for window, _ in mine) for mine in by_query]
        return LayoutResult(
            queries=tuple(
                merge(mine, chunks, self._direction, with_logit=self._reader.with_logit)
                for mine in by_query
            ),
            windows=tuple(max(count[i] for count in counts) for i in range(len(chunks))),
            encode_seconds=time.perf_counter() - started,
            query_seconds=0.0,
            tokens_encoded=sum(len(job.window) for job in jobs),
        )

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> WarmCounts:
        """Refuse: there is nothing to keep.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "there is nothing to warm: an encoder reads each chunk together with the query, so "
            "that nothing of it can be kept for another one. Leave warm() out, or rank with a "
            "decoder such as smollm2-135m."
        )

    def within(
        self, chunks: Sequence[Tokens], groups: Sequence[Groups], options: LayoutOptions
    ) -> list[Tensor]:
        """See `Layout.within`; the chunk is framed as a single text."""
        self._reader.follow()
        limit = self._reader.max_tokens
        room = None if limit is None else limit - len(self._alone)

        def look(batch: Sequence[Part]) -> list[Tensor]:
            start = len(self._alone.control[0])
            passages = []
            for part in batch:
                ids, types, _ = self._alone.fill(part.ids(chunks))
                rows = tuple(map(tuple, part.rows(groups, start)))
                passages.append(Passage(ids, types, rows))
            seen = self._reader.look(passages)
            return [
                one.groups[:, :, start : start + len(part)]
                for one, part in zip(seen, batch, strict=True)
            ]

        return look_in_parts(look, len(self._reader.heads), chunks, groups, options, room)

    def _room(self, query: Tokens, chunks: Sequence[Tokens], wanted: int | None) -> int | None:
        """How long a window may be beside a query, or `None` for no limit.

        Raises:
            ValueError: If the query leaves no room for a piece of a chunk.
        """
        limit = self._reader.max_tokens
        if limit is None:
            return wanted
        free = limit - len(self._pair)
        least = min(SHORTEST_WINDOW, max(map(len, chunks)))
        if free - len(query) < least:
            raise ValueError(
                f"the query has {len(query)} tokens, and this model has room for "
                f"{max(0, free - least)} beside a piece of a chunk: shorten the query"
            )
        return lowest(free - len(query), wanted)

    def _read(
        self,
        jobs: Sequence[Pair],
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> dict[Pair, Seen]:
        """Read all pairs, batch by batch, those of similar length together.

        The chunks' order plays no part in what shares a batch, and so none in how a pair is
        rounded.
        """
        jobs = sorted(
            jobs, key=lambda job: (chunks[job.window.chunk].digest, job.query, job.window.start)
        )
        lengths = [len(self._pair) + len(queries[job.query]) + len(job.window) for job in jobs]
        left = Counter(job.window.chunk for job in jobs)
        found: dict[Pair, Seen] = {}
        for batch in batches(lengths, options):
            mine = [jobs[i] for i in batch]
            with advising_shorter(max(len(job.window) for job in mine)):
                done = halving(
                    lambda part: self._look(part, queries, chunks, options.query_rows), mine
                )
            found.update(zip(mine, done, strict=True))
            left.subtract(job.window.chunk for job in mine)
            advance(sum(left[chunk] == 0 for chunk in {job.window.chunk for job in mine}))
        return found

    def _look(
        self,
        jobs: Sequence[Pair],
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        by_token: bool,
    ) -> list[Seen]:
        """One pass over pairs."""
        asks_query = self._direction != "chunk_to_query"
        asks_chunk = self._direction != "query_to_chunk"
        passages, starts = [], []
        for job in jobs:
            query, window = queries[job.query], job.window
            ids, types, (first, second) = self._pair.fill(query.ids, window.ids(chunks))
            places = tuple(range(first, first + len(query)))
            groups = tuple((place,) for place in places) if by_token else (places,)
            passages.append(Passage(ids, types, groups, places if asks_chunk else ()))
            starts.append(second)
        found = []
        for job, start, seen in zip(jobs, starts, self._reader.look(passages), strict=True):
            end = start + len(job.window)
            there = seen.groups if by_token else seen.groups[0]
            back = seen.to_each if by_token else seen.to_watched
            nothing = torch.zeros(*there.shape[:-1], len(job.window), dtype=torch.float32)
            found.append(
                Seen(
                    there[..., start:end] if asks_query else nothing,
                    back[..., start:end] if back is not None and asks_chunk else nothing,
                    seen.logit,
                )
            )
        return found
