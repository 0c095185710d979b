"""The profile itself: the selected heads of one model in one layout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from attnmass.options.checks import as_heads, check_count, check_items, check_share, check_type
from attnmass.options.choices import FIT, Direction, check_direction
from attnmass.options.keywords import names_nearest
from attnmass.profiles.fusing import COSINE_WEIGHT, ORDINARY, FuseRule
from attnmass.profiles.relevance import RelevanceRule
from attnmass.profiles.rules import (
    EvidenceRule,
    Head,
    RankRule,
    SpanRule,
    check_heads,
    check_weights,
)
from attnmass.profiles.texts import ordinary_texts
from attnmass.text.prompt import PROMPT_VERSION

if TYPE_CHECKING:
    from typing_extensions import Self

JOINT = "joint"  # the one layout that has a null query
LATE = "late"  # the one layout that has a background
_FITTED = ("fitted", FIT)  # sources


@names_nearest
@dataclass(frozen=True, slots=True)
class HeadProfile:
    """The selected heads of one model in one layout.

    Attributes:
        model: The model that the heads belong to.
        layout: The layout that they were selected in.
        heads: `(layer, head)`, 0-based, in the model's own numbering.
        weights: One for each head; they sum to 1.
        fingerprint: Of the model's config, see `fingerprint`; `None` fits any model.
        prompt_version: Of the wording that the heads were selected with.
        source: `"fitted"`, `"default"` or `"user"`, or a citation.
        fitted_on: The data that selected the heads.
        measured: Scores on data that did not select them.
        ranking: How the mass that `heads` give all chunks is shared out among them; default: each
            chunk has its own.
        spans: How spans are scored; default: by the heads that rank chunks.
        evidence: How much was found; default: by the largest mass of a chunk alone, no threshold.
        relevance: How likely it is that a chunk holds evidence, by its mass beside the background;
            for layout `"late"`. Where there is such a rule, it also gives the evidence.
        fusing: How attention and a retriever's order are weighted where `fuse` is `"auto"`;
            default: where heads were fitted, as in the profiles that ship, on average; else
            attention alone. Also how a span's score and its embedding's cosine are weighted.
        background: The texts that chunks are compared with for it; default: those that ship.
        context: `(layer, head)` pairs that look from a sentence at the earlier one that it leans
            on; default: those that rank chunks.
        direction: Which way attention is read in the pointwise layout; default: the layout's own.
        null_query: Whether what a null query pays the chunks is subtracted, in the joint layout.
        support_threshold: For a sentence of an answer, support below this in the chunks is none,
            see `attnmass.results.support.AnswerSentence`; `None` where no data set one.
    """

    model: str
    layout: str
    heads: tuple[Head, ...]
    weights: tuple[float, ...]
    fingerprint: str | None = None
    prompt_version: int = PROMPT_VERSION
    source: str = "user"
    fitted_on: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict, hash=False)
    ranking: RankRule | None = None
    spans: SpanRule | None = None
    evidence: EvidenceRule = field(default_factory=EvidenceRule)
    relevance: RelevanceRule | None = None
    fusing: FuseRule | None = None
    background: tuple[str, ...] = ()
    context: tuple[Head, ...] = ()
    direction: Direction | None = None
    null_query: bool = False
    support_threshold: float | None = None

    def __post_init__(self) -> None:
        for name in ("model", "layout", "source", "fitted_on"):
            check_type(name, getattr(self, name), str)
        check_type("fingerprint", self.fingerprint, str, optional="any model")
        check_type("measured", self.measured, Mapping)
        check_count("prompt_version", self.prompt_version, 0)
        check_direction(self.direction)
        check_share("support_threshold", self.support_threshold, optional="none")
        if not isinstance(self.null_query, bool):
            raise TypeError(f"null_query must be True or False, not {self.null_query!r}")
        if self.null_query and self.layout != JOINT:
            raise ValueError(f"null_query is for layout 'joint', not {self.layout!r}: leave it out")
        check_weights(self.heads, self.weights)
        check_heads(self.context)
        check_items("background", self.background, str, instead="a list of texts")
        if self.background and self.relevance is None:
            raise ValueError("a background is for relevance, which this profile has no rule for")
        if self.relevance is not None and self.layout != LATE:
            raise ValueError(f"relevance is for layout 'late', not {self.layout!r}: leave it out")

    @property
    def span_rule(self) -> SpanRule:
        """`spans`, or its default."""
        return self.spans or SpanRule(self.heads, self.weights)

    @property
    def cosine_weight(self) -> float:
        """The weight of a cosine in the score of a span, `fusing.spans` or its default."""
        return COSINE_WEIGHT if self.fusing is None else self.fusing.spans

    @property
    def fuse_rule(self) -> FuseRule | None:
        """`fusing`, or its default where heads were fitted; named heads count alone."""
        return self.fusing or (ORDINARY if self.source in _FITTED else None)

    @property
    def background_texts(self) -> tuple[str, ...]:
        """`background`, or its default; none where there is no `relevance`."""
        return () if self.relevance is None else self.background or ordinary_texts()

    @property
    def all_heads(self) -> tuple[Head, ...]:
        """Every head that is read: those that rank chunks, then those for all else."""
        ranking = () if self.ranking is None else self.ranking.heads
        relevance = () if self.relevance is None else self.relevance.heads
        others = (*ranking, *self.span_rule.heads, *self.context, *self.evidence.heads, *relevance)
        return tuple(dict.fromkeys([*self.heads, *others]))

    @property
    def last_layer(self) -> int:
        """The layer to stop at, 0-based."""
        return max(layer for layer, _ in self.all_heads)

    @property
    def chunk_weights(self) -> tuple[float, ...]:
        """The weight of each of `all_heads` in a chunk's mass."""
        return self._spread(self.heads, self.weights)

    @property
    def span_weights(self) -> tuple[float, ...]:
        """The weight of each of `all_heads` in a span's mass."""
        return self._spread(self.span_rule.heads, self.span_rule.weights)

    @property
    def context_weights(self) -> tuple[float, ...]:
        """The weight of each of `all_heads` in what a sentence leans on."""
        heads = self.context or self.heads
        return self._spread(heads, [1 / len(heads)] * len(heads))

    def _spread(self, heads: Sequence[Head], weights: Sequence[float]) -> tuple[float, ...]:
        known = dict(zip(heads, weights, strict=True))
        return tuple(known.get(head, 0.0) for head in self.all_heads)

    @classmethod
    def from_heads(
        cls, heads: Iterable[tuple[int, int]], *, model: str, layout: str, **fields: Any
    ) -> Self:
        """Equal weights over `(layer, head)` pairs.

        Raises:
            TypeError: If they are not such pairs.
            ValueError: As the constructor.
        """
        pairs = as_heads(heads)
        weights = tuple(1 / len(pairs) for _ in pairs)
        return cls(model, layout, pairs, weights, **fields)

    def to_json(self) -> str:
        """The profile as its file holds it; `load_profile` reads it back."""
        data = asdict(self) | {"stop_layer": self.last_layer}
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


class ProfileMismatchError(ValueError):
    """A profile that is for another model."""
