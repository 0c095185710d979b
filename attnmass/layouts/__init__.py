"""How chunks and query are laid out for the model; a layout is one file here and one line below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnmass.layouts.base import (
    Layout,
    LayoutOptions,
    LayoutResult,
    QueryAttention,
    WarmCounts,
)
from attnmass.layouts.parallel import ParallelLayout

if TYPE_CHECKING:
    from collections.abc import Mapping

LAYOUTS: Mapping[str, type[Layout]] = {ParallelLayout.name: ParallelLayout}

__all__ = [
    "LAYOUTS",
    "Layout",
    "LayoutOptions",
    "LayoutResult",
    "ParallelLayout",
    "QueryAttention",
    "WarmCounts",
]
