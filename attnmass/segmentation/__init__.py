"""A text as spans that are kept or dropped whole: sentences, headings, code, tables, list items."""

from attnmass.segmentation.segment import Segment, segment
from attnmass.segmentation.spans import Kind

__all__ = ["Kind", "Segment", "segment"]
