"""What a text is cut into, in forms that tests compare."""

from __future__ import annotations

from typing import Any

from attnmass.text.segmentation import Segment, segment


def pieces(text: str, **options: Any) -> list[str]:
    """The text of each span."""
    return [text[span.start : span.end] for span in segment(text, **options)]


def kinds(text: str, **options: Any) -> list[tuple[str, str]]:
    """Kind and text of each span."""
    return [(span.kind, text[span.start : span.end]) for span in segment(text, **options)]


def check(text: str, spans: tuple[Segment, ...]) -> None:
    """Hold the spans against the contract of `segment`."""
    covered = 0
    for index, span in enumerate(spans):
        assert covered <= span.start < span.end <= len(text)
        assert not text[covered : span.start].strip()
        piece = text[span.start : span.end]
        assert piece == piece.strip()
        assert list(span.headings) == sorted(set(span.headings))
        assert all(place < index for place in span.headings)
        assert all(spans[place].kind == "heading" for place in span.headings)
        covered = span.end
    assert not text[covered:].strip()
