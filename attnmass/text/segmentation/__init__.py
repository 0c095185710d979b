"""A text as spans that are kept or dropped whole: sentences, headings, code, tables, list items."""

from attnmass.text.segmentation.segment import Segment, segment
from attnmass.text.segmentation.spans import Kind

__all__ = ["Kind", "Segment", "segment"]
