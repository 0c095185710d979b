"""Options that are one of a few names, and the name of the model that is read by default."""

from __future__ import annotations

from typing import Any, Literal, get_args

DEFAULT_MODEL = "smollm2-135m"

# A profile that is fitted, on texts alone, where none is kept from an earlier time.
FIT = "fit"
TO_FIT = "to be fitted"  # the source of what stands for it until the model is at hand

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
LayoutName = Literal["parallel", "late", "joint", "pointwise"]
RankBy = Literal["attention", "logit", "both"]
# Which way the pointwise layout reads attention, see `attnmass.layouts.pointwise`.
Direction = Literal["query_to_chunk", "chunk_to_query", "both"]
StoreFormat = Literal["float16", "bfloat16", "int8"]
# What a retriever's scores are; "auto" recognises for the order what is lower where it is better.
RetrievalKind = Literal["auto", "similarity", "distance", "rank"]
Order = Literal["score", "input", "best_last"]
OnNoEvidence = Literal["keep", "empty", "raise"]
OnEmpty = Literal["raise", "empty", "cut"]
# What answers over HTTP have as scores, see `attnmass.serving.scores`.
Scores = Literal["auto", "evidence", "relevance", "share", "top1"]


def check_choice(name: str, value: Any, choices: Any, *, optional: str = "") -> None:
    """Hold an option to a few names.

    Args:
        name: The option's.
        value: What was passed for it.
        choices: A `Literal`.
        optional: What `None`, which is then allowed too, stands for.

    Raises:
        ValueError: If it is none of them.
    """
    if value is None and optional:
        return
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {get_args(choices)}, not {value!r}")


def check_rank_by(rank_by: str | None) -> None:
    """Raise `ValueError` unless chunks can be ranked by that; `None` is the model's default."""
    check_choice("rank_by", rank_by, RankBy, optional="the model's")


def check_direction(direction: str | None) -> None:
    """Raise `ValueError` unless attention can be read that way; `None` is the layout's own."""
    check_choice("direction", direction, Direction, optional="the layout's")
