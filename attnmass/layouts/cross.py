"""The pointwise layout of encoder-decoders: chunks apart in the encoder, the query in the decoder.

Each chunk is read alone, and the decoder attends over the joined encoder states of all chunks, as
Fusion-in-Decoder does (Izacard and Grave, arXiv 2007.01282): one softmax goes over the tokens of
all chunks, so that what a chunk gets is a share of the query's attention, comparable with what the
others get. Cross-attention knows no positions (T5 has no bias there, BART adds positions to the
inputs of encoder and decoder only), so the order of the chunks cannot matter, and what a chunk
leaves, its keys and values for the decoder's layers, depends on nothing but the model and the
chunk.

What is read is the step from which an answer would begin, the query's last token; `CrossOptions`
gives the sources and other ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from attnmass.capture import CrossAttention, CrossReader, Head, KeyValues, prove_cross
from attnmass.layouts.base import Advance, Groups, LayoutOptions, LayoutResult, WarmCounts
from attnmass.layouts.cross_masses import by_query, of_chunks
from attnmass.layouts.frames import Frame, frame_of, special_tokens
from attnmass.layouts.kept import KeepingLayout, Limit
from attnmass.layouts.states import States
from attnmass.layouts.windows import SHORTEST_WINDOW, lowest, query_batches
from attnmass.layouts.within import Part, look_in_parts
from attnmass.models.kinds import is_rag
from attnmass.models.out_of_memory import advising_fewer, shrinking, sizes_down
from attnmass.options.checks import check_type
from attnmass.options.cross import CrossOptions
from attnmass.store import ChunkCache
from attnmass.text.tokens import PlainTokenizer, Tokens

# Keys that are looked at together; where memory is too small, a quarter of them, and so on.
_BLOCKS = sizes_down(16384, 256, by=4)


class CrossLayout(KeepingLayout):
    """Chunks in the encoder, query in the decoder; see the module's text."""

    name: ClassVar[str] = "pointwise"
    takes: ClassVar[Mapping[str, Any]] = {"cross": CrossOptions()}

    def __init__(
        self,
        reader: CrossReader,
        plain: PlainTokenizer,
        cache: ChunkCache,
        options: CrossOptions,
        *,
        is_rag: bool = False,
    ) -> None:
        """Bind the layout to a model.

        Args:
            reader: The heads to read.
            plain: Our own copy of the tokenizer.
            cache: Where what chunks leave is kept between calls.
            options: How cross-attention is read.
            is_rag: Whether the model is the generator of a RAG model, which has its own format for
                questions and chunks.
        """
        super().__init__(reader, cache)
        self._reader = reader
        self._plain = plain
        self._options = options
        self._is_rag = is_rag
        self._special = special_tokens(plain)
        self._start = (reader.start_token, *self._special.before)
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
        cross: CrossOptions,
    ) -> CrossLayout:
        """See `Layout.build`; `cross` is how cross-attention is read."""
        check_type("cross", cross, CrossOptions)
        reader = CrossReader(model, heads, keeps_values=cross.value_norm)
        reader.proved(lambda made: prove_cross(made, model))
        return cls(reader, plain, cache, cross, is_rag=is_rag(model))

    def attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """See `Layout.attend`."""
        for query in queries:
            self._check_length(query)
        if not self._options.with_question:
            return self._attend(queries, self._special, chunks, options, advance)
        results = [
            self._attend([query], self._frame(query), chunks, options, step)
            for query, step in zip(
                queries, [advance, *[_nothing] * (len(queries) - 1)], strict=True
            )
        ]
        return LayoutResult(
            queries=tuple(result.queries[0] for result in results),
            windows=tuple(
                max(counts) for counts in zip(*(r.windows for r in results), strict=True)
            ),
            encode_seconds=sum(result.encode_seconds for result in results),
            query_seconds=sum(result.query_seconds for result in results),
            tokens_encoded=sum(result.tokens_encoded for result in results),
            notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
        )

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> WarmCounts:
        """See `Layout.warm`.

        Raises:
            ValueError: If the encoder reads the query with each chunk.
        """
        if self._options.with_question:
            raise ValueError(
                "chunks that the encoder reads with the question cannot be read before there is "
                "one: build the ranker with CrossOptions(with_question=False) to warm a cache"
            )
        frame = self._special
        return self._warm_chunks(chunks, options, advance, self._limit(chunks, frame), frame.around)

    def within(
        self, chunks: Sequence[Tokens], groups: Sequence[Groups], options: LayoutOptions
    ) -> list[Tensor]:
        """See `Layout.within`: attention inside the encoder, see `CrossReader.look_inside`."""
        self._reader.follow()
        frame = self._special

        def look(batch: Sequence[Part]) -> list[Tensor]:
            shift = len(frame.before)
            found = self._reader.look_inside(
                [frame.around(part.ids(chunks)) for part in batch],
                [part.rows(groups, shift) for part in batch],
            )
            return [
                seen[:, :, shift : shift + len(part)].cpu()
                for seen, part in zip(found, batch, strict=True)
            ]

        room = self._room(chunks, frame)
        return look_in_parts(look, len(self._reader.heads), chunks, groups, options, room)

    def _attend(
        self,
        queries: Sequence[Tokens],
        frame: Frame,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """Queries over chunks that are all read in one frame."""
        limit = self._limit(chunks, frame)
        kept = self._read_chunks(chunks, options, advance, limit, frame.around)
        found = self._look_all(queries, kept.keys, kept.states, options)
        how = self._options.aggregation
        return kept.result(
            [of_chunks(one, kept.windows, chunks, frame, how) for one in found], len(chunks)
        )

    def _look_all(
        self,
        queries: Sequence[Tokens],
        keys: Sequence[str],
        states: States,
        options: LayoutOptions,
    ) -> list[CrossAttention]:
        """What each query sees, `[head, key]`, fp32 on the CPU."""
        mode = self._options.chosen_rows
        rows = [(*self._start, *(() if mode == "start" else query.ids)) for query in queries]
        by_token = options.query_rows and mode != "start"

        def look_in(key_block: int) -> Callable[[Sequence[int]], list[CrossAttention]]:
            def look(batch: Sequence[int]) -> list[CrossAttention]:
                lengths = [len(queries[i]) for i in batch]
                seen = self._reader.look(
                    [rows[i] for i in batch],
                    lengths if mode == "query" else [1] * len(batch),
                    [states[key] for key in keys],
                    by_token=lengths if by_token else (),
                    value_norm=self._options.value_norm,
                    key_block=key_block,
                )
                return by_query(seen, lengths)

            return look

        def look_by(batch: Sequence[int]) -> list[CrossAttention]:
            with advising_fewer(max(len(rows[i]) for i in batch)):
                return shrinking(
                    lambda size: self._states.with_room(look_in(size), batch, states), _BLOCKS
                )

        return [one for batch in query_batches(rows, options) for one in look_by(batch)]

    def _frame(self, query: Tokens) -> Frame:
        """What surrounds a chunk in the encoder where that also reads the query."""
        return frame_of(self._plain, self._special, query, is_rag=self._is_rag)

    def _check_length(self, query: Tokens) -> None:
        limit = self._reader.decoder_limit
        if self._options.chosen_rows == "start":
            return  # the decoder reads no query
        if limit is not None and len(self._start) + len(query) > limit:
            raise ValueError(
                f"the query has {len(query)} tokens, and this model's decoder has room for "
                f"{limit - len(self._start)}: shorten the query"
            )

    def _read_batch(self, rows: Sequence[Sequence[int]]) -> list[KeyValues]:
        return self._reader.read(rows)

    def _about(self) -> dict[str, Any]:
        return {
            "heads": [head for head in self._reader.heads if head[0] == self._reader.last_layer],
            "layout": f"{self.name} cross",
            "path": self._reader.path,
            "keeps_values": self._reader.keeps_values,
        }

    def _limit(self, chunks: Sequence[Tokens], frame: Frame) -> Limit:
        """How long a window may be in a frame, given the length that is wanted."""
        free = self._room(chunks, frame)
        return lambda wanted: lowest(free, wanted)

    def _room(self, chunks: Sequence[Tokens], frame: Frame) -> int | None:
        """How long a window may be in a frame, or `None` for no limit."""
        limit = self._reader.encoder_limit
        if limit is None:
            return None
        free, least = limit - len(frame), min(SHORTEST_WINDOW, max(map(len, chunks)))
        if free < least:
            raise ValueError(
                f"the query has {frame.n_asked} tokens, and this model's encoder has room for "
                f"{max(0, free + frame.n_asked - least)} beside a piece of a chunk: shorten the "
                "query, or pass CrossOptions(with_question=False)"
            )
        return free


def _nothing(_: int) -> None:
    """Chunks are counted once, however many queries read them."""
