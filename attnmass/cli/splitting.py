"""Long texts as chunks of whole sentences and blocks."""

from __future__ import annotations

from attnmass.text.segmentation import segment


def split_text(text: str, limit: int) -> list[tuple[int, int]]:
    """Pack what trimming would keep or drop whole into chunks, in order, as full as they may be.

    A heading begins a chunk if the one before is at least half full, and never ends one.

    Args:
        text: The text.
        limit: Characters in a chunk; a span that is longer is a chunk of its own.

    Returns:
        `[start, end)` of each chunk.
    """
    places: list[tuple[int, int]] = []
    start = end = 0
    pending: int | None = None  # where headings begin whose text has not come yet
    is_open = False
    for span in segment(text):
        if span.kind == "heading":
            pending = span.start if pending is None else pending
            continue
        first = span.start if pending is None else pending
        full = span.end - start > limit
        turned = pending is not None and 2 * (end - start) >= limit
        if is_open and (full or turned):
            places.append((start, end))
            is_open = False
        if not is_open:
            start, is_open = first, True
        end, pending = span.end, None
    if is_open:
        places.append((start, end))
    if pending is not None:  # headings over nothing
        places.append((pending, pending + len(text[pending:].rstrip())))
    return places
