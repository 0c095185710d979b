"""The parallel layout: every chunk is read on its own, and the query looks at all of them at once.

A shared prefix comes first; every chunk starts at the position after it and sees only the prefix
and itself; the query stands after the longest chunk and sees everything. So the order of the chunks
cannot matter, and what a chunk leaves depends on nothing but the model and the chunk. The idea of
encoding contexts apart at shared positions is that of Parallel Context Windows (Ratner et al., ACL
2023, arXiv 2212.10947).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from attnmass.capture import KeyValues, Reader
from attnmass.layouts.base import LayoutOptions, LayoutResult, QueryAttention
from attnmass.out_of_memory import halving, is_out_of_memory, release
from attnmass.prompt import Prompt, tokenize_prompt
from attnmass.text import PlainTokenizer, Tokens

Result = TypeVar("Result")

_SHORTEST_WINDOW = 64  # tokens; where not even these fit, the error is the caller's
_LARGEST_BLOCK, _SMALLEST_BLOCK = 16384, 256  # keys, each a quarter of the one before


@dataclass(frozen=True, slots=True)
class _Window:
    """Tokens `[start, end)` of one chunk that are read together."""

    chunk: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


class ParallelLayout:
    """Chunks apart, query over all; see the module's text."""

    name: ClassVar[str] = "parallel"

    def __init__(self, reader: Reader, tokenizer: Any, plain: PlainTokenizer) -> None:
        """Bind the layout to a model and read the prefix, which every call shares.

        Args:
            reader: The heads to read.
            tokenizer: The model's tokenizer, for its chat template.
            plain: The tokenizer's own copy.
        """
        self._reader = reader
        self._prompt = tokenize_prompt(Prompt(), tokenizer, plain)
        self._prefix = self._read_prefix()

    def attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Callable[[int], object],
    ) -> LayoutResult:
        """See `Layout.attend`."""
        started = time.perf_counter()
        windows, states, notes = self._read_all(queries, chunks, options, advance)
        read = time.perf_counter()
        attention = self._look_all(queries, states, options)
        counts = [0] * len(chunks)
        for window in windows:
            counts[window.chunk] += 1
        return LayoutResult(
            queries=tuple(_by_chunk(one, windows, chunks, len(self._prefix)) for one in attention),
            windows=tuple(counts),
            encode_seconds=read - started,
            query_seconds=time.perf_counter() - read,
            notes=notes,
        )

    def _read_all(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Callable[[int], object],
    ) -> tuple[list[_Window], list[KeyValues | None], tuple[str, ...]]:
        """Windows and what each leaves; shorter windows where one is too much for the memory."""
        notes: tuple[str, ...] = ()
        while True:
            windows = list(self._windows(queries, chunks, options))
            try:
                return windows, self._read(chunks, windows, options, advance), notes
            except (RuntimeError, MemoryError) as error:
                limit = max(map(len, windows)) // 2
                if limit < _SHORTEST_WINDOW or not is_out_of_memory(error):
                    raise
            release()
            options = replace(options, max_chunk_tokens=limit)
            notes = (f"memory did not suffice for longer windows than {limit} tokens",)

    def _windows(
        self, queries: Sequence[Tokens], chunks: Sequence[Tokens], options: LayoutOptions
    ) -> Iterator[_Window]:
        """Cut chunks that are too long into windows that overlap."""
        room = options.max_chunk_tokens
        limit = self._reader.max_positions
        if limit is not None:
            longest = max(len(query) for query in queries)
            around = len(self._prompt.before) + len(self._prompt.between)
            free = limit - around - longest
            least = min(_SHORTEST_WINDOW, max(map(len, chunks)))
            if free < least:
                raise ValueError(
                    f"the query has {longest} tokens, and this model has room for "
                    f"{max(0, limit - around - least)} beside the prompt and a piece of a chunk: "
                    "shorten the query"
                )
            room = free if room is None else min(room, free)
        for index, chunk in enumerate(chunks):
            size = len(chunk) if room is None else min(room, len(chunk))
            step = max(1, size - min(options.overlap, size // 2))
            start = 0
            while start + size < len(chunk):
                yield _Window(index, start, start + size)
                start += step
            yield _Window(index, max(0, len(chunk) - size), len(chunk))

    def _read_prefix(self) -> KeyValues:
        ids = torch.tensor([self._prompt.before], device=self._reader.device)
        positions = torch.arange(ids.shape[1], device=ids.device)
        keys, values = self._reader.read(ids, positions)
        return KeyValues(tuple(k[0] for k in keys), tuple(v[0] for v in values), positions)

    def _read(
        self,
        chunks: Sequence[Tokens],
        windows: Sequence[_Window],
        options: LayoutOptions,
        advance: Callable[[int], object],
    ) -> list[KeyValues | None]:
        """What each window leaves, in the windows' order."""
        states: list[KeyValues | None] = [None] * len(windows)

        def read(batch: Sequence[int]) -> list[KeyValues]:
            parts = [windows[i] for i in batch]
            return self._read_batch([chunks[w.chunk].ids[w.start : w.end] for w in parts])

        for batch in _batches(windows, options):
            done = _with_room(read, batch, states)
            for i, state in zip(batch, done, strict=True):
                states[i] = state
            advance(sum(windows[i].end == len(chunks[windows[i].chunk]) for i in batch))
        return states

    def _read_batch(self, rows: Sequence[Sequence[int]]) -> list[KeyValues]:
        """Run token runs side by side after the prefix; shorter ones are filled at their end."""
        device = self._reader.device
        longest = max(len(row) for row in rows)
        filler = rows[0][0]
        ids = torch.tensor(
            [[*row, *[filler] * (longest - len(row))] for row in rows], device=device
        )
        positions = torch.arange(longest, device=device) + len(self._prefix)
        keys, values = self._reader.read(ids, positions, (self._prefix,))
        return [
            KeyValues(
                tuple(key[i, :, : len(row)] for key in keys),
                tuple(value[i, :, : len(row)] for value in values),
                positions[: len(row)],
            )
            for i, row in enumerate(rows)
        ]

    def _look_all(
        self,
        queries: Sequence[Tokens],
        states: list[KeyValues | None],
        options: LayoutOptions,
    ) -> list[Tensor]:
        """Attention of each query, `[head, past key and own token]`, fp32 on the CPU."""
        tails = [(*self._prompt.between, *query.ids) for query in queries]

        def look_in(key_block: int | None) -> Callable[[Sequence[int]], list[Tensor]]:
            return lambda batch: self._look(
                [tails[i] for i in batch], [len(queries[i]) for i in batch], states, key_block
            )

        found: list[Tensor] = []
        key_block: int | None = None
        for batch in _query_batches(tails, options):
            done: list[Tensor] | None = None
            while done is None:
                try:
                    done = _with_room(look_in(key_block), batch, states)
                except (RuntimeError, MemoryError) as error:
                    if key_block == _SMALLEST_BLOCK or not is_out_of_memory(error):
                        raise
                    key_block = _LARGEST_BLOCK if key_block is None else key_block // 4
            found += done
        return found

    def _look(
        self,
        tails: Sequence[Sequence[int]],
        lengths: Sequence[int],
        states: Sequence[KeyValues | None],
        key_block: int | None,
    ) -> list[Tensor]:
        """Attention of queries that share one pass.

        They lie one after the other, at the same positions, and do not see each other.

        Args:
            tails: What follows the chunks, for each query: instruction and query.
            lengths: How many of the last tokens of each tail are the query.
            states: What the chunks left.
            key_block: See `Reader.look`.
        """
        device = self._reader.device
        read = [state for state in states if state is not None]
        start = len(self._prefix) + max(len(state) for state in read)
        sizes = [len(tail) for tail in tails]
        ends = list(accumulate(sizes))
        segments = torch.arange(len(tails)).repeat_interleave(torch.tensor(sizes)).to(device)
        attention = self._reader.look(
            torch.tensor([token for tail in tails for token in tail], device=device),
            torch.cat([torch.arange(size, device=device) + start for size in sizes]),
            (self._prefix, *read),
            rows=[
                torch.arange(end - length, end, device=device)
                for end, length in zip(ends, lengths, strict=True)
            ],
            segments=segments,
            key_block=key_block,
        )
        return list(attention.cpu())


def _with_room(
    run: Callable[[Sequence[int]], list[Result]],
    batch: Sequence[int],
    states: list[KeyValues | None],
) -> list[Result]:
    """Run a batch; where even its parts do not fit, move what was read to main memory first."""
    try:
        return halving(run, batch)
    except (RuntimeError, MemoryError) as error:
        movable = any(state is not None and state.device.type != "cpu" for state in states)
        if not movable or not is_out_of_memory(error):
            raise
    for i, state in enumerate(states):
        if state is not None:
            states[i] = state.to(torch.device("cpu"))
        del state  # the last reference to what lies on the device
    release()
    return halving(run, batch)


def _batches(windows: Sequence[_Window], options: LayoutOptions) -> Iterator[list[int]]:
    """Indices of windows of similar length, longest first, within the bounds on one pass."""
    batch: list[int] = []
    for index in sorted(range(len(windows)), key=lambda i: -len(windows[i])):
        widest = len(windows[batch[0]]) if batch else 0
        full = len(batch) == options.batch_size
        if batch and (full or widest * (len(batch) + 1) > options.max_batch_tokens):
            yield batch
            batch = []
        batch.append(index)
    yield batch


def _query_batches(tails: Sequence[Sequence[int]], options: LayoutOptions) -> Iterator[list[int]]:
    """Indices of queries that share a pass."""
    batch: list[int] = []
    size = 0
    for index, tail in enumerate(tails):
        if batch and size + len(tail) > options.max_batch_tokens:
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += len(tail)
    yield batch


def _by_chunk(
    attention: Tensor, windows: Sequence[_Window], chunks: Sequence[Tokens], n_prefix: int
) -> QueryAttention:
    """Cut `[head, key]` at the windows; a token that was read twice counts once, as the mean."""
    n_heads = attention.shape[0]
    sums = [torch.zeros(n_heads, len(chunk)) for chunk in chunks]
    times = [torch.zeros(len(chunk)) for chunk in chunks]
    parts = attention[:, n_prefix:].split_with_sizes(
        [
            *(len(window) for window in windows),
            attention.shape[1] - n_prefix - sum(map(len, windows)),
        ],
        dim=1,
    )
    for window, part in zip(windows, parts, strict=False):
        sums[window.chunk][:, window.start : window.end] += part
        times[window.chunk][window.start : window.end] += 1
    masses = tuple(total / count for total, count in zip(sums, times, strict=True))
    return QueryAttention(masses, attention[:, :n_prefix].sum(dim=1) + parts[-1].sum(dim=1))
