"""What draws results, by name: it registers here, so that results need not know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Renderer = TypeVar("Renderer", bound=Callable[..., Any])

_known: dict[tuple[type, str], Callable[..., Any]] = {}
_sources: list[Callable[[], object]] = []


def renders(kind: type, name: str) -> Callable[[Renderer], Renderer]:
    """Register a function as what makes `name`, such as `"html"`, of things of this kind.

    Of two for the same kind and name, the later one counts.
    """

    def register(function: Renderer) -> Renderer:
        _known[kind, name] = function
        return function

    return register


def when_needed(source: Callable[[], object]) -> None:
    """Have `source` called before a renderer is looked up: it imports some, which register."""
    _sources.append(source)


def renderer(thing: object, name: str) -> Callable[..., Any]:
    """What makes `name` of a thing, by its class or one that it is derived from.

    Raises:
        ValueError: If nothing does; names what there is.
    """
    for source in _sources:  # each time: in another thread one may be importing still
        source()
    kinds = type(thing).__mro__
    for kind in kinds:
        if (kind, name) in _known:
            return _known[kind, name]
    names = sorted({known for kind, known in _known if kind in kinds})
    others = f"pass one of {', '.join(map(repr, names))}, or " if names else ""
    raise ValueError(
        f"nothing draws {type(thing).__name__} as {name!r}: {others}register it with "
        "attnmass.results.renderers.renders"
    )
