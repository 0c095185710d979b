"""A head profile as a file: read, and checked like any input."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

from attnmass.options.checks import as_float, as_heads, check_path, did_you_mean
from attnmass.options.keywords import names_nearest
from attnmass.profiles.fusing import FuseRule
from attnmass.profiles.profile import HeadProfile
from attnmass.profiles.published import published_lists
from attnmass.profiles.relevance import RelevanceRule
from attnmass.profiles.rules import EvidenceRule, RankRule, SpanRule


@names_nearest
def load_profile(path: str | os.PathLike[str]) -> HeadProfile:
    """Read a profile from its JSON file.

    Raises:
        ValueError: If there is no such file, or it is not a profile; names the file and what is
            wrong.
        TypeError: If that is not a path.
    """
    check_path("path", path)
    try:
        text = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(_not_there(Path(path))) from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from error
    return parse(text, str(path))


def shipped_texts() -> dict[str, str]:
    """What is in the files of the fitted profiles that ship, by name, in order."""
    entries = (resources.files(__package__) / "data").iterdir()
    return {
        entry.name.removesuffix(".json"): entry.read_text(encoding="utf-8")
        for entry in sorted(entries, key=lambda entry: entry.name)
        if entry.name.endswith(".json")
    }


def _not_there(path: Path) -> str:
    """What to say of a file that is missing, or of a name that was passed for one."""
    ships = [*shipped_texts(), *published_lists()]
    if str(path) in ships:
        return (
            f"{path}: there is no such file, and the profiles that ship are found by themselves: "
            "leave out profile, or pass layout=..."
        )
    with suppress(OSError):
        beside = [each.name for each in path.parent.glob("*.json")]
        if near := did_you_mean(path.name, beside):
            return f"{path}: no profile of that name ships, and there is no such file.{near}"
    near = did_you_mean(str(path), ships)
    return f"{path}: no profile of that name ships, and there is no such file.{near}"


def parse(text: str | bytes, name: str) -> HeadProfile:
    """A profile from the text of its file; arguments and errors as `load_profile` has them."""
    try:
        data = _object(json.loads(text))
        data.pop("stop_layer", None)
        data |= _heads(data)
        for part, read in _PARTS.items():
            found = data.pop(part, None)
            if found is not None:
                data[part] = _part(part, read, found)
        return HeadProfile(**data)
    except KeyError as error:
        raise ValueError(f"{name} is not a head profile: it lacks {error}") from error
    except (TypeError, ValueError, RecursionError) as error:
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
        "heads": _part("heads", as_heads, data["heads"]),
        "weights": _part("weights", _numbers, data["weights"]),
    }


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError(f"{data!r} is not an object with fields")
    return data


def _numbers(data: Any) -> tuple[float, ...]:
    """Numbers, and no texts that look like some."""
    if not isinstance(data, list):
        raise TypeError(f"{data!r} is not a list of numbers")
    found = []
    for value in data:
        number = as_float(value)
        if number is None:
            raise TypeError(f"{value!r} is not a number")
        found.append(number)
    return tuple(found)


def _rule(kind: type[Any], *wanted: str, optional: Sequence[str] = ()) -> Callable[[Any], Any]:
    """How a rule is read: lists that it has to have, and such as it may do without."""

    def read(data: Any) -> Any:
        told = {
            name: value
            for name, value in _object(data).items()
            if value is not None or name not in optional
        }
        names = [*wanted, *(name for name in optional if name in told)]
        lists = {name: _part(name, _LISTS.get(name, _numbers), told[name]) for name in names}
        return kind(**{**told, **lists})

    return read


_LISTS: Mapping[str, Callable[[Any], Any]] = {"heads": as_heads}
_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "ranking": _rule(RankRule, "heads", "exponents"),
    "spans": _rule(SpanRule, "heads", "weights", optional=["exponents"]),
    "evidence": _rule(EvidenceRule, optional=["heads", "best_of", "total_of"]),
    "relevance": _rule(RelevanceRule, "heads", "weights"),
    "fusing": _rule(FuseRule, "embedding", "lexical", "ranks", optional=["evidence", "words"]),
    "context": as_heads,
    "background": lambda texts: tuple(texts) if isinstance(texts, list) else texts,
}
