"""What a ranker is made with: its options, as they are declared, and checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from pydantic import BaseModel

from attnmass.options.checked import check_option
from attnmass.options.choices import RankBy, StoreFormat
from attnmass.options.declared import (
    JointReading,
    Loading,
    PointwiseReading,
    Reading,
    Selecting,
    Storing,
    Trimming,
    names_of,
    option,
)
from attnmass.options.renamed import check_known
from attnmass.profiles import HeadProfile

if TYPE_CHECKING:
    import torch


class RankerOptions(TypedDict, total=False):
    """The options of `AttentionRanker`, which explains them, for type checkers."""

    profile: HeadProfile | str | Path | None
    fit_texts: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
    heads: Iterable[tuple[int, int]] | Literal["all"] | None
    layout: str | None
    reading: JointReading | PointwiseReading | None
    rank_by: RankBy | None
    batch_size: int | None
    max_batch_tokens: int | None
    max_chunk_tokens: int | None
    store: str | os.PathLike[str] | None
    store_bytes: int | None
    shared_store: str | None
    store_format: StoreFormat | None
    memory_bytes: int | None
    progress: bool


class LoadingOptions(RankerOptions, total=False):
    """The same, and those of `AttentionRanker.from_pretrained`."""

    device: str | torch.device | None
    dtype: str | torch.dtype
    revision: str | None
    cache_dir: str | os.PathLike[str] | None
    local_files_only: bool


class OfRankers(BaseModel):
    """What only rankers have."""

    progress: bool = option(False, "Whether to show a progress bar while chunks are read")


# What a ranker takes, and what is taken to load one; `model` is an argument of its own.
MAKING = (Reading[Any], Storing, OfRankers)
LOADING = (Loading, *MAKING)

# Options of other calls, each with that call.
_OF_OTHERS = {
    **dict.fromkeys(names_of(Loading), "from_pretrained"),
    **dict.fromkeys(names_of(Selecting), "rank and trim"),
    **dict.fromkeys(names_of(Trimming), "trim"),
}

# Checked where it is known what they may be: for the core also objects of their own.
_ELSEWHERE = {"device", "dtype", "fit_texts", "heads", "layout", "profile", "rank_by", "reading"}


def settled(
    groups: tuple[type[BaseModel], ...], given: Mapping[str, Any], *beside: str
) -> dict[str, Any]:
    """All options of some groups, with the declared default where nothing is said.

    Args:
        groups: Where they are declared.
        given: What was said.
        *beside: Arguments that the call has beside these options.

    Raises:
        TypeError: If there is no such option, or a value is of another type than is declared.
        ValueError: If a value is out of range.
    """
    declared = {name: info for group in groups for name, info in group.model_fields.items()}
    declared.pop("model", None)
    if "model" in given:
        raise TypeError("unexpected keyword argument 'model'. Pass its value first, without a name")
    check_known(given, [*declared, *beside], _OF_OTHERS)
    values = {name: info.default for name, info in declared.items()}
    for name, value in given.items():
        plain = name not in _ELSEWHERE
        values[name] = check_option(name, declared[name], value) if plain else value
    return values
