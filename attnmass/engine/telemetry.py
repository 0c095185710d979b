"""OpenTelemetry spans, where its API is installed: what was asked and how much, never a text.

Without the API, or without an SDK that the process has set up, nothing is recorded. The names of
attributes begin with `attnmass.`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from attnmass.results.ranking import Ranking

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

Value = str | int | float | bool | Sequence[float]
Tell = Callable[..., None]
Method = TypeVar("Method", bound=Callable[..., list[Any]])


@contextmanager
def span(
    name: str,
    *,
    kind: Literal["internal", "server"] = "internal",
    caller: Mapping[str, str] | None = None,
    **attributes: Value,
) -> Iterator[Tell]:
    """A span around what is done inside; an error leaves its type on it, and not what it says.

    Args:
        name: What is done.
        kind: Whether it answers somebody else's call.
        caller: Headers that may name the caller's span.
        **attributes: What is known of it before.

    Yields:
        A function for attributes that are known after.
    """
    tracer = _tracer()
    if tracer is None:
        yield lambda **_: None
        return
    from opentelemetry import propagate
    from opentelemetry.trace import SpanKind, Status, StatusCode

    with tracer.start_as_current_span(
        name,
        context=None if caller is None else propagate.extract(caller),
        kind=SpanKind[kind.upper()],
        attributes=_named(attributes),
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield lambda **more: current.set_attributes(_named(more))
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def carrier() -> dict[str, str]:
    """Headers that name the current span, for a server that is asked inside it."""
    headers: dict[str, str] = {}
    if _tracer() is not None:
        from opentelemetry import propagate

        propagate.inject(headers)
    return headers


def spanned(method: Method) -> Method:
    """Put a span around a method of a ranker that ranks chunks for queries."""

    @wraps(method)
    def ranked(
        ranker: Any, queries: Sequence[str], chunks: Sequence[Any], **options: Any
    ) -> list[Any]:
        with span(
            "attnmass.rank", model=ranker.profile.model, layout=ranker.profile.layout
        ) as tell:
            found = method(ranker, queries, chunks, **options)
            tell(**_facts([getattr(each, "ranking", each) for each in found]))
            return found

    return cast("Method", ranked)


def _facts(rankings: Sequence[Ranking]) -> dict[str, Value]:
    """What is told of rankings of the same chunks."""
    if not rankings:
        return {}
    first = rankings[0]
    after = [each.n_tokens_after for each in rankings if each.n_tokens_after is not None]
    facts: dict[str, Value] = {
        "queries": len(rankings),
        "candidates": len(first.scores),
        "kept": sum(len(each.chunks) for each in rankings),
        "tokens": sum(chunk.n_tokens for chunk in (*first.chunks, *first.dropped)),
        "evidence": [each.evidence for each in rankings],
    }
    return {**facts, "tokens_after": sum(after)} if after else facts


def _named(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {f"attnmass.{name}": value for name, value in attributes.items()}


@cache
def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.trace") is not None
    except ModuleNotFoundError:
        return False


def _tracer() -> Tracer | None:
    if not _is_installed():
        return None
    from opentelemetry.trace import get_tracer

    return get_tracer("attnmass")
