"""How cross-attention is read: what a user can say of it, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from attnmass.options.checks import check_type
from attnmass.options.keywords import names_nearest

Aggregation = Literal["attention", "scores"]
Rows = Literal["query", "last", "start"]


@names_nearest
@dataclass(frozen=True, slots=True)
class CrossOptions:
    """How encoder-decoders (T5, BART, FiD-style readers) are read.

    Attributes:
        with_question: Whether the encoder reads the query with each chunk, as readers that follow
            Fusion-in-Decoder are trained: `question: ... context: ...` (Izacard and Grave,
            arXiv 2007.01282, section 3); `chunk // question` for the generators of RAG (Lewis et
            al., arXiv 2005.11401). What is kept of chunks then depends on the query, and is found
            in the cache for the same query only. Default: the chunk alone.
        aggregation: `"attention"` is the attention mass itself, the softmax being over the tokens
            of all chunks at once. `"scores"` averages the scores before the softmax over a chunk's
            tokens, the heads and the query's tokens, and takes the softmax over the chunks, like
            the reader's signal in Izacard and Grave, arXiv 2012.04584, who read the first token of
            the output. That ranks chunks against each other: they share a mass of 1 whatever they
            say, and a lone chunk gets all of it.
        value_norm: Whether attention is weighted by the norm of the values that it carries, as
            Atlas does for its attention distillation (Izacard et al., arXiv 2208.03299), after
            Kobayashi et al., arXiv 2004.10102: tokens that get attention but pass on little count
            for little. Masses are then shares of the weighted attention. Goes with
            `aggregation="attention"`.
        rows: Whose attention is read. arXiv 2012.04584 reads the step of the decoder that gives the
            first token of the output; so do the two defaults. Where the encoder has the question,
            the decoder gets its `"start"` token alone, as Fusion-in-Decoder generates. Where it
            does not, the decoder reads the query, and the `"last"` of its tokens is where an answer
            would begin: decoders read from left to right, so earlier tokens do not yet know what
            is asked for, and in `tests/models` they found far less. `"query"` is the mean
            over all of the query's tokens, as in the other layouts.

    Raises:
        ValueError: If options contradict each other.
    """

    with_question: bool = False
    aggregation: Aggregation = "attention"
    value_norm: bool = False
    rows: Rows | None = None

    def __post_init__(self) -> None:
        for name in ("with_question", "value_norm"):
            check_type(name, getattr(self, name), bool)
        for name, known in (
            ("aggregation", get_args(Aggregation)),
            ("rows", (*get_args(Rows), None)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, not {getattr(self, name)!r}")
        if self.rows == "start" and not self.with_question:
            raise ValueError(
                "rows='start' gives the decoder no query, so the encoder has to have it: pass "
                "with_question=True, or rows='last'"
            )
        if self.value_norm and self.aggregation == "scores":
            raise ValueError(
                "value_norm weighs attention after the softmax, and aggregation='scores' is from "
                "before it: pass one of them"
            )

    @property
    def chosen_rows(self) -> Rows:
        """`rows`, or its default."""
        return self.rows or ("start" if self.with_question else "last")
