"""Kept spans as one text again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def join_kept(text: str, spans: Sequence[tuple[int, int]], separator: str) -> str:
    """Kept spans verbatim, in order, with a separator where something was dropped between them.

    The white space around what was dropped stays, so that a block remains a block; white space
    alone between two spans is not a gap. What was dropped at the ends is not marked.

    Args:
        text: The chunk's text.
        spans: `[start, end)` of the kept spans, in order, apart from each other.
        separator: What marks a gap; may be empty.
    """
    return "".join(kept_parts(text, spans, separator))


def kept_parts(text: str, spans: Sequence[tuple[int, int]], separator: str) -> Iterator[str]:
    """What `join_kept` joins: each span with what comes before it; arguments as there."""
    last: int | None = None
    for start, end in spans:
        before = "" if last is None else _between(text[last:start], separator)
        yield before + text[start:end]
        last = end


def kept_places(text: str, spans: Sequence[tuple[int, int]], separator: str) -> list[int]:
    """Where each span begins in what `join_kept` gives; arguments as there."""
    places: list[int] = []
    length = 0
    for (start, end), part in zip(spans, kept_parts(text, spans, separator), strict=True):
        length += len(part)
        places.append(length - (end - start))
    return places


def _between(gap: str, separator: str) -> str:
    dropped = gap.strip()
    if not dropped:
        return gap
    left = gap[: len(gap) - len(gap.lstrip())]
    right = gap[len(gap.rstrip()) :]
    if separator:
        return f"{left}{separator}{right}"
    return max(left, right, key=lambda space: (space.count("\n"), len(space))) or " "
