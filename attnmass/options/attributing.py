"""The options of an attribution, once, as `attnmass.options.declared` has all others."""

from __future__ import annotations

from pydantic import BaseModel

from attnmass.options.declared import option

TOP_SPANS = 3


class Attributing(BaseModel):
    """What is told of each sentence of an answer."""

    top_spans: int = option(TOP_SPANS, "Report at most this many spans for each sentence", ge=1)
    threshold: float | None = option(
        None, "Support below this counts as none", unset="the profile's", ge=0, le=1
    )
    language: str | None = option(
        None, "ISO 639-1 code of the language, to split into sentences", unset="a choice by script"
    )
