"""The joint layout: all chunks in one context, then the query, as in in-context re-ranking.

Chunks see those before them, so their order matters, and what a chunk leaves behind is of no use
for another set of chunks: nothing is cached. The prompt, and the null query that shares the query's
pass over what the chunks left, are those of in-context re-ranking (Chen et al., arXiv 2410.02642);
as in the paper, but unlike in its authors' program, only the query's tokens look, without the
instruction before and the template after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar

from torch import Tensor, nn

from attnmass.capture import Head, Reader, prove
from attnmass.layouts.base import (
    Advance,
    AnsweredQuery,
    Groups,
    LayoutOptions,
    LayoutResult,
    WarmCounts,
)
from attnmass.layouts.contexts import Placed, both_ways, merge, pack, with_rows
from attnmass.layouts.joint_reading import ContextReader
from attnmass.layouts.numbered import Numbered
from attnmass.layouts.tails import Tail, answer_tail, query_tail
from attnmass.layouts.windows import (
    SHORTEST_WINDOW,
    Window,
    counted,
    lowest,
    query_batches,
    too_long,
)
from attnmass.layouts.within import look_within
from attnmass.options.checks import check_count, check_type
from attnmass.store import ChunkCache
from attnmass.text.prompt import JOINT, tokenize_prompt
from attnmass.text.tokens import PlainTokenizer, Tokens

NULL_QUERY = "N/A"


class JointLayout:
    """All chunks in one context; see the module's text."""

    name: ClassVar[str] = "joint"
    takes: ClassVar[Mapping[str, Any]] = {"max_context_tokens": None, "second_pass": False}

    def __init__(
        self,
        reader: Reader,
        tokenizer: Any,
        plain: PlainTokenizer,
        *,
        max_context_tokens: int | None = None,
        second_pass: bool = False,
    ) -> None:
        """Bind the layout to a model.

        Args:
            reader: The heads to read.
            tokenizer: The model's tokenizer, for its chat template.
            plain: Our own copy of the tokenizer.
            max_context_tokens: Tokens of a context, prompt and query included; `None` is the
                model's own limit.
            second_pass: Whether the chunks are read a second time in reverse order.
        """
        self._reader = reader
        self._contexts = ContextReader(reader)
        self._max_context_tokens = max_context_tokens
        self._second_pass = second_pass
        self._plain = plain
        self._prompt = tokenize_prompt(JOINT, tokenizer, plain)
        self._null = query_tail(self._prompt, plain.content([NULL_QUERY])[0].ids)
        self._numbered = Numbered(self._prompt.before, plain)

    @classmethod
    def build(
        cls,
        model: nn.Module,
        tokenizer: Any,
        plain: PlainTokenizer,
        heads: Sequence[Head],
        cache: ChunkCache,
        *,
        max_context_tokens: int | None = None,
        second_pass: bool = False,
    ) -> JointLayout:
        """See `Layout.build`; own options as in the constructor.

        Raises:
            ValueError: If there is a cache folder, which would always stay empty, or an option is
                invalid.
        """
        check_count("max_context_tokens", max_context_tokens, 1, optional="the model's own limit")
        check_type("second_pass", second_pass, bool)
        if cache.options.lasts:
            raise ValueError(f"{_NOTHING_TO_KEEP}: leave out store and shared_store")
        reader = Reader(model, heads).proved(lambda made: prove(made, model))
        return cls(
            reader,
            tokenizer,
            plain,
            max_context_tokens=max_context_tokens,
            second_pass=second_pass,
        )

    def attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """See `Layout.attend`."""
        tails = [query_tail(self._prompt, q.ids, by_token=options.query_rows) for q in queries]
        if options.null_query:
            tails.append(self._null)

        def run(chunks: Sequence[Tokens]) -> LayoutResult:
            result = self._in_contexts(tails, chunks, options, advance)
            groups = iter(result.queries)
            found = [with_rows(*islice(groups, len(tail.groups))) for tail in tails]
            if options.null_query:
                null = found.pop()
                found = [replace(each, null=null.chunks) for each in found]
            return replace(result, queries=tuple(found))

        return self._in_orders(run, chunks)

    def attend_answer(
        self,
        asked: AnsweredQuery,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """See `AnswerLayout.attend_answer`."""
        tail = answer_tail(self._prompt.between, self._prompt.after, asked)

        def run(chunks: Sequence[Tokens]) -> LayoutResult:
            return self._in_contexts([tail], chunks, options, advance, asked)

        return self._in_orders(run, chunks)

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> WarmCounts:
        """Nothing can be read ahead.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{_NOTHING_TO_KEEP}, so there is nothing to warm: use layout='parallel'")

    def within(
        self, chunks: Sequence[Tokens], groups: Sequence[Groups], options: LayoutOptions
    ) -> list[Tensor]:
        """See `Layout.within`."""
        self._reader.follow()
        (prefix,) = self._contexts.read(self._prompt.before, len(self._prompt.before))
        room = None if self._limit is None else self._limit - len(prefix)
        return look_within(self._reader, prefix, chunks, groups, options, room)

    def _in_contexts(
        self,
        tails: Sequence[Tail],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
        asked: AnsweredQuery | None = None,
    ) -> LayoutResult:
        """One result for each group of each tail."""
        self._reader.follow()
        room = self._room(tails, chunks, asked)
        windows, around = self._numbered.windows(chunks, room, options)
        runs = pack([len(window) + around for window in windows], room)
        return self._run(tails, chunks, windows, runs, options, advance)

    def _run(
        self,
        tails: Sequence[Tail],
        chunks: Sequence[Tokens],
        windows: Sequence[Window],
        runs: Sequence[Sequence[int]],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """`_in_contexts` with contexts of the windows in each of `runs`."""
        parts: list[list[tuple[Sequence[Placed], Tensor]]] = [[] for _ in tails]
        encode = query = 0.0
        n_read = done = 0
        for run in runs:
            started = time.perf_counter()
            ids, placed = self._numbered.context([windows[i] for i in run], chunks)
            past = self._contexts.read(ids, options.max_batch_tokens)
            n_read += sum(len(each.window) for each in placed)
            read = time.perf_counter()
            for batch in query_batches(tails, options):
                looked = self._contexts.look(past, len(ids), [tails[i] for i in batch])
                for i, attention in zip(batch, looked, strict=True):
                    parts[i].append((placed, attention))
            encode += read - started
            query += time.perf_counter() - read
            ends = sum(window.end == len(chunks[window.chunk]) for window in windows[: run[-1] + 1])
            advance(ends - done)
            done = ends
        several = (
            f"the chunks were read in {len(runs)} overlapping contexts, whose merged scores are "
            "near those of one context and not the same",
        )
        return LayoutResult(
            queries=tuple(each for mine in parts for each in merge(mine, chunks)),
            windows=counted(windows, len(chunks)),
            encode_seconds=encode,
            query_seconds=query,
            tokens_encoded=n_read,
            notes=several if len(runs) > 1 else (),
        )

    def _in_orders(
        self, run: Callable[[Sequence[Tokens]], LayoutResult], chunks: Sequence[Tokens]
    ) -> LayoutResult:
        return both_ways(run, chunks) if self._second_pass else run(chunks)

    @property
    def _limit(self) -> int | None:
        """How many tokens a context may have."""
        return lowest(self._reader.max_positions, self._max_context_tokens)

    def _room(
        self, tails: Sequence[Tail], chunks: Sequence[Tokens], asked: AnsweredQuery | None
    ) -> int | None:
        """How many tokens chunks, with what surrounds each, may have in one context.

        Raises:
            ValueError: If what follows them leaves no room for a piece of a chunk.
        """
        limit = self._limit
        if limit is None:
            return None
        longest = max(map(len, tails))
        room = limit - len(self._prompt.before) - longest
        least = self._numbered.around(len(chunks)) + min(SHORTEST_WINDOW, max(map(len, chunks)))
        if room < least:
            instruction = len(self._prompt.between)
            is_ours = limit != self._reader.max_positions
            raise too_long(
                longest - instruction,
                longest + room - least - instruction,
                asked=asked,
                where=f"a context of {limit}",
                remedy=", or raise max_context_tokens" if is_ours else "",
            )
        return room


_NOTHING_TO_KEEP = (
    "layout 'joint' reads chunks together, so what one leaves is of no use beside others and is "
    "not kept"
)
