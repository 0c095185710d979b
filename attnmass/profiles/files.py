"""A head profile as a file: read, and checked like any input."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attnmass.options.checks import check_path
from attnmass.profiles.fusing import FuseRule
from attnmass.profiles.profile import HeadProfile
from attnmass.profiles.relevance import RelevanceRule
from attnmass.profiles.rules import EvidenceRule, Head, RankRule, SpanRule


def load_profile(path: str | os.PathLike[str]) -> HeadProfile:
    """Read a profile from its JSON file.

    Raises:
        ValueError: If the file is no profile; names the file and what is wrong.
        TypeError: If that is no path.
    """
    check_path("path", path)
    return parse(Path(path).read_text(encoding="utf-8"), str(path))


def parse(text: str, name: str) -> HeadProfile:
    """A profile from the text of its file; arguments and errors as `load_profile` has them."""
    try:
        data = json.loads(text)
        data.pop("stop_layer", None)
        data |= _heads(data)
        for part, read in _PARTS.items():
            found = data.pop(part, None)
            if found is not None:
                data[part] = _part(part, read, found)
        return HeadProfile(**data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{name} is not a head profile: {error}") from error


def _part(name: str, read: Callable[[Any], Any], data: Any) -> Any:
    """A field of a file, whose name is in the error where it is none."""
    try:
        return read(data)
    except KeyError as error:
        raise ValueError(f"{name} lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def _heads(data: Mapping[str, Any]) -> dict[str, Any]:
    """Heads and their weights as they stand in a file."""
    return {
        "heads": _part("heads", _pairs, data["heads"]),
        "weights": _part("weights", lambda weights: tuple(map(float, weights)), data["weights"]),
    }


def _pairs(heads: Iterable[Iterable[int]]) -> tuple[Head, ...]:
    return tuple((int(layer), int(head)) for layer, head in heads)


_NUMBERS = ("embedding", "lexical", "ranks", "evidence")
_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "ranking": lambda data: RankRule(
        **{
            **data,
            "heads": _pairs(data["heads"]),
            "exponents": tuple(map(float, data["exponents"])),
        }
    ),
    "spans": lambda data: SpanRule(
        **{**data, **_heads(data), "exponents": tuple(map(float, data.get("exponents", ())))}
    ),
    "evidence": lambda data: EvidenceRule(
        **{
            **data,
            "heads": _pairs(data.get("heads", ())),
            "best_of": tuple(data.get("best_of", ())),
            "total_of": tuple(data.get("total_of", ())),
        }
    ),
    "relevance": lambda data: RelevanceRule(
        **{
            **data,
            "heads": _pairs(data["heads"]),
            "weights": tuple(map(float, data["weights"])),
        }
    ),
    "fusing": lambda data: FuseRule(
        **{
            **data,
            **{name: tuple(map(float, data[name])) for name in _NUMBERS if data.get(name)},
        }
    ),
    "context": _pairs,
    "background": lambda texts: tuple(map(str, texts)),
}
