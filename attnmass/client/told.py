"""What else a server tells: which ranker it has, and what an answer rests on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from attnmass.client.wire import Count, Wire
from attnmass.errors import ServerError
from attnmass.options.readings import as_reading
from attnmass.profiles import HeadProfile
from attnmass.profiles.files import parse
from attnmass.results.attribution import Attribution
from attnmass.results.support import AnswerSentence, Support
from attnmass.text.chunk import Chunk
from attnmass.trimming import TokenCounter


@dataclass
class KnownRanker:
    """What is known of a server's ranker.

    Attributes:
        digest: Tells it from another one.
        profile: Its heads.
        options: As `AttentionRanker.options`.
        count: Counts its tokens, once that was needed.
    """

    digest: str
    profile: HeadProfile
    options: dict[str, Any]
    count: TokenCounter | None = None


class WireRanker(Wire):
    """The answer to `GET /v1/ranker`."""

    ranker: str
    profile: dict[str, Any]
    options: dict[str, Any]

    def read(self) -> KnownRanker:
        """What it says.

        Raises:
            ValueError: If it is not what a ranker is.
        """
        options = {**self.options, "reading": as_reading(self.options.get("reading"))}
        return KnownRanker(self.ranker, parse(json.dumps(self.profile), "the server's"), options)


class WireSupport(Wire):
    """A `Support` without its text."""

    index: Count
    start: Count
    end: Count
    kind: str
    score: float
    mass: float
    id: str


class WireSentence(Wire):
    """An `AnswerSentence` without its text."""

    start: Count
    end: Count
    support: float
    supported: bool | None
    scores: list[float]
    spans: list[WireSupport]


class WireAttribution(Wire):
    """The answer to `POST /v1/attribute`."""

    sentences: list[WireSentence]
    scores: list[float]
    threshold: float | None
    notes: list[str]


def read_attribution(
    told: WireAttribution, query: str, answer: str, chunks: Sequence[Chunk], profile: HeadProfile
) -> Attribution:
    """An attribution, with the texts that the client knows.

    Raises:
        ValueError: If it does not fit what was sent.
    """

    def support(span: WireSupport) -> Support:
        if span.index >= len(chunks) or not span.start < span.end <= len(chunks[span.index].text):
            raise ValueError("a span is not in its chunk")
        text = chunks[span.index].text[span.start : span.end]
        found = (span.kind, span.score, span.mass, span.id)
        return Support(span.index, span.start, span.end, text, *found)

    sentences = tuple(
        AnswerSentence(
            each.start,
            each.end,
            answer[each.start : each.end],
            tuple(map(support, each.spans)),
            tuple(each.scores),
            each.support,
            each.supported,
        )
        for each in told.sentences
    )
    if any(len(each) != len(chunks) for each in (told.scores, *(s.scores for s in sentences))):
        raise ValueError("there is not one score for each chunk")
    return Attribution(
        query, answer, sentences, tuple(told.scores), profile, told.threshold, tuple(told.notes)
    )


@contextmanager
def refused(url: str) -> Iterator[None]:
    """Raise `ServerError` for an answer that is not what it should be."""
    try:
        yield
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise ServerError(
            f"{url} answers what this version of attnmass cannot read: {error}"
        ) from error
