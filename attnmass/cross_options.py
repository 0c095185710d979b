"""How cross-attention is read: what a user can say of it, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from attnmass.checks import check_type

Aggregation = Literal["attention", "scores"]
Rows = Literal["query", "last"]


@dataclass(frozen=True, slots=True)
class CrossOptions:
    """How encoder-decoders (T5, BART, FiD-style readers) are read.

    Attributes:
        with_question: Whether the encoder reads the query with each chunk, as readers are trained
            that follow Fusion-in-Decoder: `question: ... context: ...` (Izacard and Grave,
            arXiv 2007.01282, section 3); `chunk // question` for the generators of RAG (Lewis et
            al., arXiv 2005.11401). What chunks leave then depends on the query and is found in the
            cache for the same query only. Default: the chunk alone.
        aggregation: `"attention"` is the attention mass itself, the softmax being over the tokens
            of all chunks at once. `"scores"` averages the scores before the softmax over a chunk's
            tokens, the heads and the query's tokens, and takes the softmax over the chunks, as the
            reader's signal in Izacard and Grave, arXiv 2012.04584, who read the first token of the
            output. That ranks chunks among each other: they share a mass of 1 whatever
            they say, and a lone chunk gets all of it.
        value_norm: Whether attention is weighed by the norm of the values that it carries, as
            Atlas does for its attention distillation (Izacard et al., arXiv 2208.03299), after
            Kobayashi et al., arXiv 2004.10102: tokens that get attention but hand on little count
            little. Masses are then shares of the weighed attention. Goes with
            `aggregation="attention"`.
        rows: Whose attention is averaged: that of all tokens of the `"query"`, or of its `"last"`
            one alone, from which the decoder would begin its answer: arXiv 2012.04584 reads the
            step that gives the first token of the output. Decoders read from left to right, so
            that the tokens before may not know yet what is asked for.

    Raises:
        ValueError: If options contradict each other.
    """

    with_question: bool = False
    aggregation: Aggregation = "attention"
    value_norm: bool = False
    rows: Rows = "query"

    def __post_init__(self) -> None:
        for name in ("with_question", "value_norm"):
            check_type(name, getattr(self, name), bool)
        for name, known in (("aggregation", get_args(Aggregation)), ("rows", get_args(Rows))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, not {getattr(self, name)!r}")
        if self.value_norm and self.aggregation == "scores":
            raise ValueError(
                "value_norm weighs attention after the softmax, and aggregation='scores' is from "
                "before it: pass one of them"
            )
