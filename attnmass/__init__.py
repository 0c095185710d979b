"""Rerank retrieved text by the attention that a query pays it inside a transformer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from attnmass.adapters.shared import release, shared_ranker
from attnmass.engine.unfitted import finds_heads, fits_heads
from attnmass.errors import (
    AttnMassError,
    CaptureError,
    OutOfMemoryError,
    ServerError,
    UnsupportedModelError,
    WeightsNotFoundError,
)
from attnmass.options.cross import CrossOptions
from attnmass.results.errors import NoEvidenceError
from attnmass.results.ranking import Ranking, Timings
from attnmass.results.renderers import when_needed
from attnmass.results.stats import RankerStats, WarmResult
from attnmass.scoring.ranked import RankedChunk, Span
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    from attnmass.client.remote import RemoteRanker
    from attnmass.fitting.fit import fit_profile
    from attnmass.options.declared import JointReading, PointwiseReading
    from attnmass.profiles import HeadProfile, load_profile
    from attnmass.ranker import AttentionRanker
    from attnmass.trimming import Trim

# Names that bring torch, numpy or pydantic with them: imported when they are first asked for.
_LAZY = {
    "AttentionRanker": "attnmass.ranker",
    "HeadProfile": "attnmass.profiles",
    "JointReading": "attnmass.options.declared",
    "PointwiseReading": "attnmass.options.declared",
    "RemoteRanker": "attnmass.client.remote",
    "Trim": "attnmass.trimming",
    "fit_profile": "attnmass.fitting.fit",
    "load_profile": "attnmass.profiles",
}

__all__ = [
    "AttentionRanker",
    "AttnMassError",
    "CaptureError",
    "Chunk",
    "CrossOptions",
    "HeadProfile",
    "JointReading",
    "NoEvidenceError",
    "OutOfMemoryError",
    "PointwiseReading",
    "RankedChunk",
    "RankerStats",
    "Ranking",
    "RemoteRanker",
    "ServerError",
    "Span",
    "Timings",
    "Trim",
    "UnsupportedModelError",
    "WarmResult",
    "WeightsNotFoundError",
    "fit_profile",
    "load_profile",
    "release",
    "shared_ranker",
]


# What draws results registers itself when it is imported.
when_needed(lambda: import_module("attnmass.explain"))

# So does what finds heads for a model without a profile.
finds_heads(lambda: import_module("attnmass.fitting.quick").choose_quickly)
fits_heads(lambda: import_module("attnmass.fitting.first_use").fit_at_first_use)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
