"""The parallel layout: every chunk is read on its own, and the query looks at all of them at once.

A shared prefix comes first; every chunk starts at the position after it and sees only the prefix
and itself; the query comes after the longest chunk and sees everything, in layers with sliding
windows as much of each chunk as if that came right before it. So the order of the chunks cannot
matter, and what a chunk leaves behind depends only on the model and the chunk. The idea of encoding
contexts separately at shared positions is that of Parallel Context Windows (Ratner et al., ACL
2023, arXiv 2212.10947).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from attnmass.capture import Head, KeyValues, Reader, prove
from attnmass.layouts.base import (
    Advance,
    AnsweredQuery,
    Groups,
    LayoutOptions,
    LayoutResult,
    WarmCounts,
)
from attnmass.layouts.kept import KeepingLayout, Kept, Limit
from attnmass.layouts.tails import Tail, answer_tail, look_from, query_tail
from attnmass.layouts.windows import SHORTEST_WINDOW, by_chunk, nearer, query_batches, window_limit
from attnmass.layouts.within import look_within
from attnmass.models.out_of_memory import advising_fewer, shrinking, sizes_down
from attnmass.store import ChunkCache
from attnmass.text.prompt import PROMPT_VERSION, Prompt, tokenize_prompt
from attnmass.text.tokens import PlainTokenizer, Tokens

# Keys that a query looks at together: more than this, or than memory suffices for, are looked at in
# blocks, smaller ones after each out-of-memory error, and merged exactly.
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
            plain: Our own copy of the tokenizer.
            cache: Where what chunks leave behind is kept between calls.
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
        advance: Advance,
    ) -> LayoutResult:
        """See `Layout.attend`."""
        tails = [query_tail(self._prompt, query.ids) for query in queries]
        if options.query_rows:
            tails = [Tail(each.ids, tuple((row,) for row in each.groups[0])) for each in tails]
        return self._attend(tails, chunks, options, advance, by_token=options.query_rows)

    def attend_answer(
        self,
        asked: AnsweredQuery,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """See `AnswerLayout.attend_answer`."""
        tail = answer_tail(self._prompt.between, self._prompt.after, asked)
        return self._attend([tail], chunks, options, advance, asked)

    def _attend(
        self,
        tails: Sequence[Tail],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
        asked: AnsweredQuery | None = None,
        *,
        by_token: bool = False,
    ) -> LayoutResult:
        """Read the chunks, and look at them from each group of each tail.

        With `by_token`, the groups of a tail are a query's tokens, from which one result is made.
        """
        longest = max(map(len, tails)) - len(self._prompt.between)
        kept = self._read_chunks(chunks, options, advance, self._limit(chunks, longest, asked))
        looked = self._look(tails, kept, options)
        attention = looked if by_token else [group for tail in looked for group in tail]
        return kept.result(
            [by_chunk(one, kept.windows, chunks, len(self._prefix)) for one in attention],
            len(chunks),
        )

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
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
        """Read the prefix anew; everything depends on it and on the wording."""
        (self._prefix,) = self._reader.read([self._prompt.before])
        return {
            "kept_heads": self._reader.kept_heads,
            "layout": self.name,
            "prompt_version": PROMPT_VERSION,
            "prefix": self._prompt.before,
        }

    def _limit(
        self, chunks: Sequence[Tokens], longest_query: int, asked: AnsweredQuery | None = None
    ) -> Limit:
        """How long a window may be beside the longest query, given the length that is wanted.

        Prompt, chunk and query fit into the layers' sliding windows, if there is room.
        """
        positions = self._reader.max_positions
        around = len(self._prompt.before) + len(self._prompt.between)
        reach = self._reader.reach
        if reach is not None and reach - around - longest_query >= 2 * SHORTEST_WINDOW:
            positions = reach if positions is None else min(positions, reach)
        free = None if positions is None else positions - around
        longest_chunk = max(map(len, chunks))
        return lambda wanted: window_limit(free, longest_query, longest_chunk, wanted, asked)

    def _read_batch(self, rows: Sequence[Sequence[int]]) -> list[KeyValues]:
        """See `KeepingLayout._read_batch`; after the prefix."""
        return self._reader.read(rows, len(self._prefix), (self._prefix,))

    def _look(self, tails: Sequence[Tail], kept: Kept, options: LayoutOptions) -> list[Tensor]:
        """Attention of each tail, as from `look_from`.

        All keys are looked at together, or in blocks if they are many or memory is short.
        """
        n_keys = sum(len(kept.states[key]) for key in kept.keys)
        blocks: list[int | None]
        if n_keys > _MOST_KEYS:
            blocks = [*sizes_down(_LARGEST_BLOCK, _SMALLEST_BLOCK, by=4)]
        else:
            quarter = max(1, min(_LARGEST_BLOCK, n_keys // 4))
            blocks = [None, *sizes_down(quarter, _SMALLEST_BLOCK, by=4)]

        def look_in(key_block: int | None) -> Callable[[Sequence[int]], list[Tensor]]:
            def look(batch: Sequence[int]) -> list[Tensor]:
                past = [kept.states[key] for key in kept.keys]
                start = len(self._prefix) + max(map(len, past))
                # How much nearer prefix and windows count as being, where a layer has a sliding
                # window.
                shifts = [] if self._reader.reach is None else [0, *nearer(past)]
                asked = [tails[i] for i in batch]
                return look_from(
                    self._reader, (self._prefix, *past), start, asked, key_block, shifts
                )

            return look

        def look_by(batch: Sequence[int]) -> list[Tensor]:
            with advising_fewer(max(len(tails[i]) for i in batch)):
                return shrinking(
                    lambda size: self._states.with_room(look_in(size), batch, kept.states), blocks
                )

        return [one for batch in query_batches(tails, options) for one in look_by(batch)]
