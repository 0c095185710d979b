"""The late layout: chunks and query are read apart, and meet in one product of their vectors.

Every chunk is read on its own after a shared prefix, as in the parallel layout, but all that is
kept of it are the key vectors of the selected heads, rounded to 8 bits. The query is read on its
own after the same prefix, which gives the selected heads' query vectors. A product of the two, a
log-sum-exp over each chunk's tokens, and a softmax over the chunks are all that a query takes
besides its own short pass; no chunk's part in it depends on another chunk. That queries and
documents meet late, as token vectors that were computed separately, is the idea of ColBERT (Khattab
and Zaharia, arXiv 2004.12832); here the vectors are a pretrained model's own, and what is summed is
its attention.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from attnmass.capture import Head
from attnmass.capture.vector_proof import prove_vectors
from attnmass.capture.vectors import VectorReader
from attnmass.layouts.base import (
    Advance,
    AnsweredQuery,
    Groups,
    LayoutOptions,
    LayoutResult,
    QueryAttention,
    WarmCounts,
)
from attnmass.layouts.late_masses import BesideBackground, RowMasses, Sight, TokenMasses
from attnmass.layouts.late_reading import BackgroundVectors, ChunkVectors, OwnShard, overlap
from attnmass.layouts.shards import Shard
from attnmass.layouts.tails import answer_tail
from attnmass.layouts.windows import check_query_fits, n_windows, query_batches
from attnmass.layouts.within import look_within
from attnmass.masses import Denominator, Queries, chunk_mass
from attnmass.models.out_of_memory import advising_fewer, halving
from attnmass.store import ChunkCache, scope_digest
from attnmass.text.prompt import PROMPT_VERSION, Prompt, tokenize_prompt
from attnmass.text.tokens import PlainTokenizer, Tokens

_GAP = 64  # positions between prefix and query, where a chunk would be


class LateLayout:
    """Chunks apart, query apart; see the module's text."""

    name: ClassVar[str] = "late"
    takes: ClassVar[Mapping[str, Any]] = {"background_texts": None}

    def __init__(
        self,
        reader: VectorReader,
        tokenizer: Any,
        plain: PlainTokenizer,
        cache: ChunkCache,
        background: Sequence[str] = (),
    ) -> None:
        """Bind the layout to a model and read what every call shares.

        Args:
            reader: The heads to read.
            tokenizer: The model's tokenizer, for its chat template.
            plain: Our own copy of the tokenizer.
            cache: Where what chunks leave behind is kept between calls.
            background: Texts that every chunk is compared with, for numbers that no other candidate
                changes.
        """
        self._reader = reader
        self._prompt = tokenize_prompt(Prompt(), tokenizer, plain)
        self._chunks = ChunkVectors(reader, cache)
        self._shard: Shard = self._chunks
        self._background = BackgroundVectors(reader, plain.content(background))
        self._model = ""
        self._follow_model()

    @classmethod
    def build(
        cls,
        model: nn.Module,
        tokenizer: Any,
        plain: PlainTokenizer,
        heads: Sequence[Head],
        cache: ChunkCache,
        *,
        background_texts: Sequence[str] | None = None,
    ) -> LateLayout:
        """See `Layout.build`; `background_texts` are what chunks are compared with."""
        reader = VectorReader(model, heads).proved(lambda made: prove_vectors(made, model))
        return cls(reader, tokenizer, plain, cache, background_texts or ())

    def attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """See `Layout.attend`."""
        groups = [[list(range(len(query)))] for query in queries]
        return self._attend([query.ids for query in queries], groups, chunks, options, advance)

    def attend_answer(
        self,
        asked: AnsweredQuery,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """See `AnswerLayout.attend_answer`: the answer's tokens are the rows of one more query."""
        tail = answer_tail((), self._prompt.after, asked)
        return self._attend([tail.ids], [tail.groups], chunks, options, advance, asked)

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> WarmCounts:
        """See `Layout.warm`."""
        started = time.perf_counter()
        self._follow_model()
        self._background.get()
        n_chunks, n_tokens = self._shard.warm(chunks, options, advance)
        return WarmCounts(n_chunks, n_tokens, time.perf_counter() - started)

    def within(
        self, chunks: Sequence[Tokens], groups: Sequence[Groups], options: LayoutOptions
    ) -> list[Tensor]:
        """See `Layout.within`."""
        self._follow_model()
        room = self._chunks.limit(options)
        return look_within(self._reader, self._prefix, chunks, groups, options, room)

    def own_shard(self, cache: ChunkCache | None = None) -> OwnShard:
        """See `ShardableLayout.own_shard`."""
        chunks = self._chunks if cache is None else ChunkVectors(self._reader, cache)
        return OwnShard(chunks, self._followed_by)

    def over(self, shard: Shard) -> LateLayout:
        """See `ShardableLayout.over`."""
        made = copy(self)
        made._shard = shard
        return made

    def against(self, texts: Sequence[Tokens]) -> LateLayout:
        """See `HoldsAgainst.against`."""
        made = copy(self)
        made._background = BackgroundVectors(self._reader, texts)
        made._background.follow(self._prefix, self._scope)
        return made

    def company(self) -> OwnShard:
        """See `HoldsAgainst.company`."""
        return self.own_shard(self._background.cache)

    def _attend(
        self,
        queries: Sequence[Sequence[int]],
        groups: Sequence[Groups],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
        asked: AnsweredQuery | None = None,
    ) -> LayoutResult:
        """Read what is not kept, and look from groups of each query's tokens.

        Args:
            queries: Token ids.
            groups: For each of them, the groups of its tokens that look as one, with one result
                each.
            chunks: The chunks.
            options: Bounds on one forward pass.
            advance: As in `attend`.
            asked: What the only query comes from, where it has an answer.
        """
        started = time.perf_counter()
        self._follow_model()
        if (known := self._reader.max_positions) is not None:
            room = known - len(self._prefix) - _GAP - len(self._between)
            check_query_fits(queries, room, asked)
        held = self._shard.read(chunks, options, advance)
        company = self._background.get()
        done = time.perf_counter()
        found: list[QueryAttention] = []
        looks = self._queries(queries, options)
        ignored = options.ignored or ({},) * len(queries)
        for vectors, mine, places in zip(looks, groups, ignored, strict=True):
            rows = [token for group in mine for token in group]
            looking = Queries(vectors[rows], self._reader.key_of, self._reader.caps)
            sight = Sight(looking, held, places)
            seen = sight.seen()
            beside = company.look(sight.looking, {}) if company else None
            start = 0
            for group in mine:
                part = slice(start, start + len(group))
                start = part.stop
                among_these = None if beside is None else beside[:, :, part]
                found.append(
                    self._attention(sight.of(part), seen[:, :, part], among_these, options)
                )
        limit = self._chunks.limit(options)
        return LayoutResult(
            queries=tuple(found),
            windows=tuple(n_windows(len(chunk), limit, overlap(limit)) for chunk in chunks),
            encode_seconds=done - started,
            query_seconds=time.perf_counter() - done,
            tokens_encoded=held.n_read,
        )

    def _attention(
        self, sight: Sight, seen: Tensor, beside: Tensor | None, options: LayoutOptions
    ) -> QueryAttention:
        """What one group of rows pays each chunk, from what it sees of them and the background."""
        parts = [seen]
        if self._reader.sinks is not None:
            sinks = self._reader.sinks[None, :, None]
            parts.append(sinks.expand(1, -1, seen.shape[-1]))
        among = Denominator.of(parts)
        sums = chunk_mass(seen, among)
        return QueryAttention(
            TokenMasses(sight, among),
            (1 - sums.sum(dim=0)).clamp(min=0).float(),
            rows=RowMasses(sight, among) if options.query_rows else None,
            sums=sums,
            beside=(
                None if beside is None else BesideBackground(sight, seen, Denominator.of([beside]))
            ),
        )

    def _queries(
        self, queries: Sequence[Sequence[int]], options: LayoutOptions
    ) -> Iterator[Tensor]:
        """Vectors of each query's tokens, `[token, head, dim]`; several queries share a pass."""
        device = self._reader.device
        start = len(self._prefix) + _GAP + len(self._between)
        past = (self._prefix, self._between)

        def run(batch: Sequence[int]) -> list[Tensor]:
            mine = [queries[i] for i in batch]
            sizes = [len(ids) for ids in mine]
            vectors = self._reader.queries(
                torch.tensor([token for ids in mine for token in ids], device=device),
                torch.cat([torch.arange(size, device=device) + start for size in sizes]),
                past,
                torch.arange(len(mine)).repeat_interleave(torch.tensor(sizes)).to(device),
            )
            return list(vectors.split(sizes))

        for batch in query_batches(queries, options):
            with advising_fewer(max(len(queries[i]) for i in batch)):
                found = halving(run, batch)
            yield from found

    def _follow_model(self) -> None:
        """Read anew what every call shares, and look for different entries, once weights change."""
        model = self._reader.identity()
        if model == self._model:
            return
        (self._prefix,) = self._reader.read([self._prompt.before])
        start = len(self._prefix) + _GAP
        (self._between,) = self._reader.read([self._prompt.between], start, (self._prefix,))
        self._model = model
        self._scope = scope_digest(
            model=model,
            dtype=str(self._reader.dtype),
            key_heads=self._reader.key_heads,
            distance=self._reader.distance,
            layout=self.name,
            prompt_version=PROMPT_VERSION,
            prefix=self._prompt.before,
        ).hex()
        self._chunks.follow(self._prefix, self._scope)
        self._background.follow(self._prefix, self._scope)

    def _followed_by(self, chunks: ChunkVectors) -> None:
        self._follow_model()
        chunks.follow(self._prefix, self._scope)
