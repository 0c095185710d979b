"""Parts of lines that people read: how a text begins, a number with its noun."""

from __future__ import annotations


def beginning(text: str, width: int = 60) -> str:
    """The first words of a text, quoted on one line; what cannot be shown is escaped.

    Args:
        text: Any `str`.
        width: Characters before escaping; what is longer ends in an ellipsis.
    """
    line = " ".join(text[: 20 * width].split())
    return repr(line if len(line) <= width else line[: width - 1].rstrip() + "…")


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where it is not one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
