"""The one interface that every layout implements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from attnmass.capture import Head
from attnmass.store import ChunkCache
from attnmass.text.tokens import PlainTokenizer, Tokens

# Is told how many chunks have been read since the last call.
Advance = Callable[[int], object]

# For one chunk, the token indices of each group of tokens.
Groups = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class LayoutOptions:
    """Bounds on what a layout gives the model at once.

    Attributes:
        max_batch_tokens: Tokens in one forward pass, padding included.
        batch_size: Chunks in one forward pass; `None` for no bound besides `max_batch_tokens`.
        max_chunk_tokens: A chunk of more tokens is split; `None` is the model's own limit.
        overlap: Tokens that two windows of a split chunk share; in the late layout, half of each is
            shared.
        query_rows: Whether each of the query's tokens is reported, see `QueryAttention.rows`.
        null_query: Whether what chunks get from a query without content is also reported.
        ignored: For each query, for some chunks by their place, the tokens that do not count, such
            as where a chunk repeats the question; empty where all count.
    """

    max_batch_tokens: int = 1024
    batch_size: int | None = None
    max_chunk_tokens: int | None = None
    overlap: int = 64
    query_rows: bool = False
    null_query: bool = False
    ignored: tuple[Mapping[int, Sequence[int]], ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_batch_tokens", "batch_size", "max_chunk_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if self.overlap < 0:
            raise ValueError(f"overlap must not be negative, not {self.overlap}")


class Beside(Protocol):
    """What things get alone beside a fixed background, whatever the other candidates are.

    Attributes:
        chunks: Attention mass of each chunk, fp64, `[chunk, head]`.
    """

    @property
    def chunks(self) -> Tensor:
        """See above."""

    def parts(self, place: int, groups: Groups) -> Tensor:
        """The same for groups of a chunk's tokens, `[group, head]`; 0 where a group has none.

        Args:
            place: Which chunk.
            groups: Token indices of each group.
        """


@dataclass(frozen=True, slots=True)
class QueryAttention:
    """Where the selected heads look from one query.

    Attributes:
        chunks: For each chunk, the attention on each of its tokens, averaged over the query's
            tokens, `[head, token]`, fp32 on the CPU.
        context: Attention on everything else (template, instruction, the query itself), `[head]`.
        rows: What each of the query's tokens pays, where that was asked for and the layout can
            tell: for each chunk, `[query token, head, token]`. `chunks` is their mean, except where
            several contexts are merged, and where `CrossOptions` reads differently.
        logits: What a classification head says about each chunk, where it was asked.
        null: What the null query pays each chunk, as `chunks`, where that was asked for.
        passes: What this is the mean of, where the chunks were read in two orders.
        sums: What `chunks` sum to over their tokens, fp64, `[chunk, head]`, where the layout has
            that without computing each token's.
        beside: What chunks and spans get alone beside a background, where there is one.
    """

    chunks: Sequence[Tensor]
    context: Tensor
    rows: Sequence[Tensor] | None = None
    logits: tuple[float, ...] | None = None
    null: Sequence[Tensor] | None = None
    passes: tuple[QueryAttention, ...] = ()
    sums: Tensor | None = None
    beside: Beside | None = None

    @property
    def beyond_null(self) -> Sequence[Tensor]:
        """`chunks` less `null`, which can be below zero; `chunks` where there is no null query."""
        if self.null is None:
            return self.chunks
        return tuple(found - null for found, null in zip(self.chunks, self.null, strict=True))


@dataclass(frozen=True, slots=True)
class AnsweredQuery:
    """A query and its answer.

    Attributes:
        query: The query.
        answer: The answer, in the turn of the model that would give it.
        groups: Indices of the answer's tokens that look as one, for each group; no group is empty.
    """

    query: Tokens
    answer: Tokens
    groups: Groups


@dataclass(frozen=True, slots=True)
class LayoutResult:
    """What a layout returns for several queries over one set of chunks.

    Attributes:
        queries: One for each query.
        windows: How many windows each chunk was split into; 1 where it was not.
        encode_seconds: Time spent on reading chunks.
        query_seconds: Time spent on the queries.
        tokens_encoded: Tokens of chunks that the model read for this; the others were in the cache.
        notes: What a caller should know, in sentences.
    """

    queries: tuple[QueryAttention, ...]
    windows: tuple[int, ...]
    encode_seconds: float
    query_seconds: float
    tokens_encoded: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WarmCounts:
    """What a layout did to fill its cache.

    Attributes:
        chunks: How many chunks were missing from the cache, wholly or in part.
        tokens_encoded: Tokens that the model read.
        encode_seconds: Time spent on them.
    """

    chunks: int
    tokens_encoded: int
    encode_seconds: float


class Layout(Protocol):
    """Turns tokens of chunks and queries into attention, and knows nothing about scores.

    Attributes:
        name: What users call it.
        takes: The options that it has and others do not, by the names of `AttentionRanker`'s
            parameters, each with its default; `build` gets them all.
    """

    name: ClassVar[str]
    takes: ClassVar[Mapping[str, Any]]

    @classmethod
    def build(
        cls,
        model: nn.Module,
        tokenizer: Any,
        plain: PlainTokenizer,
        heads: Sequence[Head],
        cache: ChunkCache,
        *_: Any,
        **own: Any,
    ) -> Layout:
        """Bind the layout to a model and a cache, once the model's attention is proved.

        Args:
            model: The caller's, not to be changed.
            tokenizer: The model's, for its templates.
            plain: Our own copy of the tokenizer.
            heads: What is read, `(layer, head)` in the order of the results.
            cache: Where what chunks leave behind is kept between calls, if they leave anything in
                this layout.
            **own: The options in `takes`.

        Raises:
            UnsupportedModelError: If the attention cannot be read, or is not the model's own.
            ValueError: If an option is invalid.
        """

    def attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """Read the chunks, then look at them from each query.

        Args:
            queries: At least one, each of at least one token.
            chunks: Likewise.
            options: Bounds on one forward pass.
            advance: Called with the number of chunks read since the last call.

        Raises:
            ValueError: If a query is longer than the model allows.
        """

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> WarmCounts:
        """Read the chunks that are not in the cache, for later calls of `attend`.

        Args, errors: as in `attend`.

        Raises:
            ValueError: If the layout reads chunks with the query, so that nothing can be kept.
        """

    def within(
        self, chunks: Sequence[Tokens], groups: Sequence[Groups], options: LayoutOptions
    ) -> list[Tensor]:
        """See where groups of a chunk's tokens look inside the chunk, each chunk on its own.

        Args:
            chunks: The chunks.
            groups: For each chunk, the token indices of each group.
            options: Bounds on one forward pass.

        Returns:
            For each chunk, the attention averaged over each group's tokens, `[group, head, token]`,
            fp32 on the CPU; zeros where a token is not in the group's window.
        """


@runtime_checkable
class AnswerLayout(Layout, Protocol):
    """A layout that can also look at the chunks from an answer that follows the query."""

    def attend_answer(
        self,
        asked: AnsweredQuery,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
    ) -> LayoutResult:
        """Read the chunks, then query and answer, and see where groups of its tokens look.

        Args:
            asked: The query and its answer.
            chunks: As in `attend`.
            options: Likewise; there is no null query.
            advance: As in `attend`.

        Returns:
            As `attend`, with one `QueryAttention` for each group.

        Raises:
            ValueError: If query and answer are longer than the model allows.
        """
