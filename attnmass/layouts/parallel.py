"""The parallel layout: every chunk is read on its own, and the query looks at all of them at once.

A shared prefix comes first; every chunk starts at the position after it and sees only the prefix
and itself; the query stands after the longest chunk and sees everything, in layers with sliding
windows as much of each chunk as if that stood right before it. So the order of the chunks
cannot matter, and what a chunk leaves depends on nothing but the model and the chunk. The idea of
encoding contexts apart at shared positions is that of Parallel Context Windows (Ratner et al., ACL
2023, arXiv 2212.10947).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnmass.capture import Head, KeyValues, Reader, prove
from attnmass.layouts.base import AnsweredQuery, Groups, LayoutOptions, LayoutResult, WarmCounts
from attnmass.layouts.kept import KeepingLayout, Limit
from attnmass.layouts.states import States
from attnmass.layouts.tails import answer_tail, look_from
from attnmass.layouts.windows import SHORTEST_WINDOW, by_chunk, nearer, query_batches, window_limit
from attnmass.layouts.within import look_within
from attnmass.models.out_of_memory import advising_fewer, shrinking, sizes_down
from attnmass.store import ChunkCache
from attnmass.text.prompt import PROMPT_VERSION, Prompt, tokenize_prompt
from attnmass.text.tokens import PlainTokenizer, Tokens

# Keys that a query looks at together: more, or what memory does not suffice for, are looked at in
# blocks, after each out-of-memory error in smaller ones, and merged exactly.
_MOST_KEYS = 1 << 16
_LARGEST_BLOCK, _SMALLEST_BLOCK = 1 << 12, 256


class ParallelLayout(KeepingLayout):
    """Chunks apart, query over all; see the module's text."""

    name: ClassVar[str] = "parallel"
    takes: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self, reader: Reader, tokenizer: Any, plain: PlainTokenizer, cache: ChunkCache
    ) -> None:
        """Bind the layout to a model and read the prefix, which every call shares.

        Args:
            reader: The heads to read.
            tokenizer: The model's tokenizer, for its chat template.
            plain: The tokenizer's own copy.
            cache: Where what chunks leave is kept between calls.
        """
        super().__init__(reader, cache)
        self._reader = reader
        self._prompt = tokenize_prompt(Prompt(), tokenizer, plain)
        self._follow_model()

    @classmethod
    def build(
        cls,
        model: nn.Module,
        tokenizer: Any,
        plain: PlainTokenizer,
        heads: Sequence[Head],
        cache: ChunkCache,
    ) -> ParallelLayout:
        """See `Layout.build`."""
        reader = Reader(model, heads).proved(lambda made: prove(made, model))
        return cls(reader, tokenizer, plain, cache)

    def attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Callable[[int], object],
    ) -> LayoutResult:
        """See `Layout.attend`."""
        longest = max(len(query) for query in queries)
        return self._attend(
            longest, chunks, options, advance, lambda k, s: self._look_all(queries, k, s, options)
        )

    def attend_answer(
        self,
        asked: AnsweredQuery,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Callable[[int], object],
    ) -> LayoutResult:
        """See `AnswerLayout.attend_answer`."""
        tail = answer_tail(self._prompt.between, self._prompt.after, asked)

        def look(keys: Sequence[str], states: States) -> list[Tensor]:
            def look_in(key_block: int | None) -> Callable[[Sequence[int]], list[Tensor]]:
                def run(_: Sequence[int]) -> list[Tensor]:
                    past = [states[key] for key in keys]
                    start, shifts = len(self._prefix) + max(map(len, past)), self._shifts(past)
                    every = (self._prefix, *past)
                    return look_from(self._reader, every, start, [tail], key_block, shifts)

                return run

            with advising_fewer(len(tail)):
                return list(self._in_blocks(look_in, [0], keys, states)[0])

        longest = len(tail) - len(self._prompt.between)
        return self._attend(longest, chunks, options, advance, look, asked)

    def _attend(
        self,
        longest: int,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Callable[[int], object],
        look: Callable[[Sequence[str], States], list[Tensor]],
        asked: AnsweredQuery | None = None,
    ) -> LayoutResult:
        """Read the chunks, and look at them.

        Args:
            longest: Tokens that follow the instruction, at most.
            chunks: The chunks.
            options: Bounds on one forward pass.
            advance: As in `attend`.
            look: From the windows' keys in the cache and what they left to `[head, key]` each.
            asked: What follows the instruction, where it has an answer.
        """
        kept = self._read_chunks(chunks, options, advance, self._limit(chunks, longest, asked))
        attention = look(kept.keys, kept.states)
        return kept.result(
            [by_chunk(one, kept.windows, chunks, len(self._prefix)) for one in attention],
            len(chunks),
        )

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Callable[[int], object]
    ) -> WarmCounts:
        """See `Layout.warm`."""
        return self._warm_chunks(chunks, options, advance, self._limit(chunks, 0))

    def within(
        self, chunks: Sequence[Tokens], groups: Sequence[Groups], options: LayoutOptions
    ) -> list[Tensor]:
        """See `Layout.within`."""
        self._follow_model()
        known = self._reader.max_positions
        room = None if known is None else known - len(self._prefix)
        return look_within(self._reader, self._prefix, chunks, groups, options, room)

    def _about(self) -> dict[str, Any]:
        """Read the prefix anew; all depends on it and on the wording."""
        ids = torch.tensor([self._prompt.before], device=self._reader.device)
        positions = torch.arange(ids.shape[1], device=ids.device)
        keys, values = self._reader.read(ids, positions)
        self._prefix = KeyValues(tuple(k[0] for k in keys), tuple(v[0] for v in values), positions)
        return {
            "kept_heads": self._reader.kept_heads,
            "layout": self.name,
            "prompt_version": PROMPT_VERSION,
            "prefix": self._prompt.before,
        }

    def _limit(
        self, chunks: Sequence[Tokens], longest_query: int, asked: AnsweredQuery | None = None
    ) -> Limit:
        """How long a window may be beside the longest query, from the length that is wanted.

        Prompt, chunk and query fit into the sliding windows that layers have, if there is room.
        """
        positions = self._reader.max_positions
        around = len(self._prompt.before) + len(self._prompt.between)
        reach = self._reader.reach
        if reach is not None and reach - around - longest_query >= 2 * SHORTEST_WINDOW:
            positions = reach if positions is None else min(positions, reach)
        free = None if positions is None else positions - around
        longest_chunk = max(map(len, chunks))
        return lambda wanted: window_limit(free, longest_query, longest_chunk, wanted, asked)

    def _shifts(self, states: Sequence[KeyValues]) -> list[int]:
        """How much nearer prefix and windows stand; nothing where no layer has a window."""
        return [] if self._reader.reach is None else [0, *nearer(states)]

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
        keys: Sequence[str],
        states: States,
        options: LayoutOptions,
    ) -> list[Tensor]:
        """Attention of each query, `[head, past key and own token]`, fp32 on the CPU.

        With `options.query_rows` of each of its tokens, `[query token, head, key]`.
        """
        tails = [(*self._prompt.between, *query.ids) for query in queries]

        def look_in(key_block: int | None) -> Callable[[Sequence[int]], list[Tensor]]:
            return lambda batch: self._look(
                [tails[i] for i in batch],
                [len(queries[i]) for i in batch],
                [states[key] for key in keys],
                key_block,
                options.query_rows,
            )

        found: list[Tensor] = []
        for batch in query_batches(tails, options):
            with advising_fewer(max(len(tails[i]) for i in batch)):
                found += self._in_blocks(look_in, batch, keys, states)
        return found

    def _in_blocks(
        self,
        look_in: Callable[[int | None], Callable[[Sequence[int]], list[Tensor]]],
        batch: Sequence[int],
        keys: Sequence[str],
        states: States,
    ) -> list[Tensor]:
        """Look at all keys at once, or at blocks of them if they are many or memory is short."""
        n_keys = sum(len(states[key]) for key in keys)
        blocks: list[int | None]
        if n_keys > _MOST_KEYS:
            blocks = [*sizes_down(_LARGEST_BLOCK, _SMALLEST_BLOCK, by=4)]
        else:
            quarter = max(1, min(_LARGEST_BLOCK, n_keys // 4))
            blocks = [None, *sizes_down(quarter, _SMALLEST_BLOCK, by=4)]
        return shrinking(
            lambda key_block: self._states.with_room(look_in(key_block), batch, states), blocks
        )

    def _look(
        self,
        tails: Sequence[Sequence[int]],
        lengths: Sequence[int],
        states: Sequence[KeyValues],
        key_block: int | None,
        by_token: bool,
    ) -> list[Tensor]:
        """Attention of queries that share one pass.

        They lie one after the other, at the same positions, and do not see each other.

        Args:
            tails: What follows the chunks, for each query: instruction and query.
            lengths: How many of the last tokens of each tail are the query.
            states: What each window left.
            key_block: See `Reader.look`.
            by_token: Whether each token of a query is a row, not the mean of them.
        """
        device = self._reader.device
        start = len(self._prefix) + max(map(len, states))
        sizes = [len(tail) for tail in tails]
        ends = list(accumulate(sizes))
        segments = torch.arange(len(tails)).repeat_interleave(torch.tensor(sizes)).to(device)
        rows = [
            torch.arange(end - length, end, device=device)
            for end, length in zip(ends, lengths, strict=True)
        ]
        attention = self._reader.look(
            torch.tensor([token for tail in tails for token in tail], device=device),
            torch.cat([torch.arange(size, device=device) + start for size in sizes]),
            (self._prefix, *states),
            rows=list(torch.cat(rows).split(1)) if by_token else rows,
            segments=segments,
            key_block=key_block,
            shifts=self._shifts(states),
        ).cpu()
        return list(attention.split(list(lengths)) if by_token else attention)
