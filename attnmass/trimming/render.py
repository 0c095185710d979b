"""Kept spans as one text again."""

from __future__ import annotations

from collections.abc import Sequence


def join_kept(text: str, spans: Sequence[tuple[int, int]], separator: str) -> str:
    """Kept spans verbatim, in order, a separator where something was dropped between them.

    The white space around what was dropped stays, so that a block remains a block; white space
    alone between two spans is no gap. What was dropped at the ends is not marked.

    Args:
        text: The chunk's text.
        spans: `[start, end)` of the kept spans, in order, apart from each other.
        separator: What marks a gap; may be empty.
    """
    parts: list[str] = []
    last = 0
    for start, end in spans:
        if parts:
            parts.append(_between(text[last:start], separator))
        parts.append(text[start:end])
        last = end
    return "".join(parts)


def _between(gap: str, separator: str) -> str:
    dropped = gap.strip()
    if not dropped:
        return gap
    left = gap[: len(gap) - len(gap.lstrip())]
    right = gap[len(gap.rstrip()) :]
    if separator:
        return f"{left}{separator}{right}"
    return max(left, right, key=lambda space: (space.count("\n"), len(space))) or " "
