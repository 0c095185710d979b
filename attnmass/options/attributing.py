"""The options of an attribution, once, as `attnmass.options.declared` has all others."""

from __future__ import annotations

from pydantic import BaseModel

from attnmass.options.declared import option

TOP_SPANS = 3


class Attributing(BaseModel):
    """What is told of each sentence of an answer."""

    top_spans: int = option(TOP_SPANS, "Tell so many spans for each sentence, at most", ge=1)
    threshold: float | None = option(
        None, "Less support than this is none", unset="the profile's", ge=0, le=1
    )
    language: str | None = option(
        None, "ISO 639-1 code for the split into sentences", unset="a choice by script"
    )
