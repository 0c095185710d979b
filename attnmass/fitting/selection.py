"""How a fit selects heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from attnmass.fitting.defaults import FOLDS, MOST_HEADS
from attnmass.fitting.heads.methods import METHODS
from attnmass.options.checks import check_count
from attnmass.options.keywords import names_nearest


@names_nearest
@dataclass(frozen=True, slots=True)
class HeadSelection:
    """How heads are selected, and what is fitted alongside them.

    Attributes:
        max_heads: Select no more than this to give mass; a rule has up to 32, in the same layers.
        max_layer: Select from layers 0 to this one; default: all.
        methods: Which of `"single"`, `"gold_mass"`, `"contrastive"`, `"stability"` and
            `"listwise"` take part, or `"likelihood"`; default: all five, or on queries made from
            texts the last, which carries over best from these to real ones.
        folds: How many parts queries are split into.
        rule: Whether to fit a `RankRule` over more heads of the same layers. With labels, it is
            kept where it is better by more than one standard error; without, queries cannot tell.
        evidence: Whether to fit how evidence is told, which reads each query three more times up to
            the last selected layer.
        seed: Of the folds and of the order of chunks.

    Raises:
        ValueError: If a number is out of range, or a method is not one of these.
        TypeError: If a number is not one.
    """

    max_heads: int = MOST_HEADS
    max_layer: int | None = None
    methods: Sequence[str] | None = None
    folds: int = FOLDS
    rule: bool = True
    evidence: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("max_heads", self.max_heads, 1)
        check_count("folds", self.folds, 3)
        self.methods_of(())

    def methods_of(self, usual: Sequence[str]) -> tuple[str, ...]:
        """The usual methods, or those named, the simplest first."""
        if self.methods is None:
            return tuple(usual)
        named = [self.methods] if isinstance(self.methods, str) else list(self.methods)
        unknown = [name for name in named if name not in METHODS]
        if unknown or not named:
            said = repr(unknown[0]) if unknown else "none"
            raise ValueError(f"methods must be some of {', '.join(map(repr, METHODS))}, not {said}")
        return tuple(name for name in METHODS if name in named)


# Options that read data or select heads, each with the call that takes it.
_ELSEWHERE = {
    **dict.fromkeys(("qrels", "run", "split"), "read_data(...), whose result is data here"),
    **dict.fromkeys(
        ("candidates", "limit"), "read_data(...) and made_of(...), whose results are data here"
    ),
    "corpus": "read_data(...), whose result is data here; without labels it is texts=...",
    **{each.name: "selection=HeadSelection(...)" for each in fields(HeadSelection)},
}


def check_elsewhere(options: Iterable[str]) -> None:
    """Raise `TypeError` for options of other calls of a fit, with the call that they are for."""
    for name in options:
        if name in _ELSEWHERE:
            raise TypeError(f"{name} is an option of {_ELSEWHERE[name]}")
