"""What one call asks of a ranker."""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from pydantic import ConfigDict, SkipValidation

from attnmass.options.attributing import Attributing
from attnmass.options.checked import Checked, kinds_of
from attnmass.options.choices import OnEmpty, OnNoEvidence, Order, RetrievalKind
from attnmass.options.declared import (
    Loading,
    Reading,
    Scoring,
    Selecting,
    Storing,
    Trimming,
    names_of,
    option,
)
from attnmass.options.renamed import check_known
from attnmass.options.selection import Selection
from attnmass.trimming import Render, Trim

# Options that a ranker is made with, each with the calls that take it.
_OF_RANKERS = {
    **dict.fromkeys(names_of(Reading, Storing), "AttentionRanker and its from_pretrained"),
    **dict.fromkeys(names_of(Loading), "AttentionRanker.from_pretrained"),
}


class RankOptions(TypedDict, total=False):
    """The options of `AttentionRanker.rank`, which explains them, for type checkers."""

    top_n: int | None
    min_relevance: float | Literal["auto"] | None
    retrieval_scores: Sequence[float | None] | None
    fuse: float | Literal["auto"] | None
    retrieval_kind: RetrievalKind
    order: Order
    evidence_threshold: float | None
    on_no_evidence: OnNoEvidence
    trim: Trim | None
    render: Render | None
    query_words: bool
    batch_size: int | None
    progress: bool | None


class TrimOptions(RankOptions, total=False):
    """The options of `AttentionRanker.trim`: fields of `Trim`, and options of `rank`."""

    max_tokens: int | None
    keep_ratio: float | None
    top_p: float | None
    min_keep: int
    keep_titles: bool
    neighbors: int
    resolve_context: bool
    separator: str
    on_empty: OnEmpty
    must_keep: Sequence[str]
    dry_run: bool
    tokenizer: Any
    language: str | None
    embed_model: Any


def as_rank_options(options: TrimOptions) -> RankOptions:
    """The options of `rank` that ask for the same.

    Raises:
        TypeError: If there is a `trim` beside them, or an option is unknown.
        ValueError, TypeError: As `Trim`.
    """
    if "trim" in options:
        raise TypeError("trim takes the fields of a Trim as options: leave out trim, or use rank")
    names = names_of(Trimming)
    known = [*names, *(name for name in RankOptions.__annotations__ if name != "trim")]
    check_known(options, known, _OF_RANKERS)
    wanted: dict[str, Any] = {name: value for name, value in options.items() if name in names}
    rest = {name: value for name, value in options.items() if name not in names}
    return cast("RankOptions", rest | {"trim": Trim(**wanted)})


class Answered(Attributing, Checked):
    """What `AttentionRanker.attribute` is asked, checked."""

    query: SkipValidation[str]
    answer: SkipValidation[str]


class Asked(Selection):
    """What a call of `rank` asks, checked.

    Attributes:
        trim: Keep only some spans of the chunks.
        render: What the reader gets of a chunk.
        progress: Whether to show a progress bar; `None` is the ranker's own.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    trim: SkipValidation[Trim | None] = None
    render: SkipValidation[Render | None] = None
    query_words: bool = option(False, "Whether to keep where each token of the query looked")
    batch_size: int | None = option(
        None, "Chunks in one forward pass", unset="the ranker's own", ge=1
    )
    progress: SkipValidation[bool | None] = None

    if not TYPE_CHECKING:  # type checkers know the fields

        def __init__(self, /, **given: Any) -> None:
            for name in given.keys() & set(names_of(Trimming)):
                raise TypeError(
                    f"unexpected keyword argument {name!r}. It is for trimming: call trim or "
                    f"trim_batch, or pass trim=Trim({name}=...)"
                )
            check_known(given, type(self).model_fields, _OF_RANKERS)
            super().__init__(**given)

    def check_together(self) -> None:
        """Raise `TypeError` for what is no request to trim, or no way to render."""
        if self.trim is not None and not isinstance(self.trim, Trim):
            raise TypeError(
                f"trim must be a Trim, not {self.trim!r}: pass trim=Trim(max_tokens=800)"
            )
        if self.render is not None and not callable(self.render):
            raise TypeError(f"render must be a callable from index and text, not {self.render!r}")

    @property
    def uncut(self) -> Asked:
        """The same, with all chunks kept."""
        cutting = Selecting.model_fields.keys() - Scoring.model_fields.keys()
        none = [name for name in cutting if NoneType in kinds_of(Selecting.model_fields[name])]
        return self.model_copy(update={**dict.fromkeys(none), "on_no_evidence": "keep"})
