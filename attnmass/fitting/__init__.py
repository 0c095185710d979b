"""From labelled queries, or texts alone, to the heads of any model.

Knows the core, and no framework. Reading data and selecting heads need no model and no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnmass.fitting.errors import DataError, NotBetterError

if TYPE_CHECKING:
    from attnmass.fitting.fit import fit_profile
    from attnmass.fitting.queries.data import LabelledData, read_data
    from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery
    from attnmass.fitting.queries.texts import made_of
    from attnmass.fitting.reports.report import FitReport
    from attnmass.fitting.reports.result import FitResult
    from attnmass.fitting.selection import HeadSelection
    from attnmass.fitting.verify import Verification, verify_profile

# Names that bring in torch or numpy: imported when they are first asked for.
_LAZY = {
    "FitReport": "reports.report",
    "FitResult": "reports.result",
    "HeadSelection": "selection",
    "LabelledChunk": "queries.items",
    "LabelledData": "queries.data",
    "LabelledQuery": "queries.items",
    "Verification": "verify",
    "fit_profile": "fit",
    "made_of": "queries.texts",
    "read_data": "queries.data",
    "verify_profile": "verify",
}

__all__ = [
    "DataError",
    "FitReport",
    "FitResult",
    "HeadSelection",
    "LabelledChunk",
    "LabelledData",
    "LabelledQuery",
    "NotBetterError",
    "Verification",
    "fit_profile",
    "made_of",
    "read_data",
    "verify_profile",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"attnmass.fitting.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
