"""Spans of OpenTelemetry: what they tell, and that they never tell a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, TraceFlags

from attnmass import AttentionRanker, Trim
from attnmass.engine import telemetry

QUERY = "Where was Einstein born?"
TEXTS = ["Einstein was born in Ulm. He sailed.", "It rains."]


class Span(NonRecordingSpan):
    """Remembers what it is told."""

    def __init__(self, name: str, parent: SpanContext, attributes: Any) -> None:
        super().__init__(SpanContext(parent.trace_id or 7, id(self), False, TraceFlags(1)))
        self.name, self.parent = name, parent
        self.told: dict[str, Any] = dict(attributes)
        self.status: Status | None = None

    def set_attributes(self, attributes: Any) -> None:
        """Remember them."""
        self.told |= attributes

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Remember it."""
        self.status = status


class Tracer(trace.NoOpTracer):
    """Remembers its spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    @contextmanager
    def start_as_current_span(self, name: str, **options: Any) -> Iterator[Span]:  # type: ignore[override]
        """As an SDK's."""
        assert options["record_exception"] is False
        parent = trace.get_current_span(options["context"]).get_span_context()
        found = Span(name, parent, options["attributes"])
        self.spans.append(found)
        with trace.use_span(found, record_exception=False, set_status_on_exception=False):
            yield found


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Tracer:
    """What spans go to."""
    found = Tracer()
    monkeypatch.setattr(telemetry, "_tracer", lambda: found)
    return found


def test_a_ranking_is_a_span(ranker: AttentionRanker, tracer: Tracer) -> None:
    """It tells model, candidates, kept, tokens and evidence."""
    ranking = ranker.rank(QUERY, TEXTS, top_n=1, trim=Trim(max_tokens=60))
    (found,) = tracer.spans
    assert found.name == "attnmass.rank"
    assert found.told == {
        "attnmass.model": ranker.profile.model,
        "attnmass.layout": "parallel",
        "attnmass.queries": 1,
        "attnmass.candidates": 2,
        "attnmass.kept": 1,
        "attnmass.tokens": sum(c.n_tokens for c in (*ranking.chunks, *ranking.dropped)),
        "attnmass.tokens_after": ranking.n_tokens_after,
        "attnmass.evidence": [ranking.evidence],
    }


def test_errors_leave_their_type_alone(ranker: AttentionRanker, tracer: Tracer) -> None:
    """What an error says may quote a text, and stays out."""
    with pytest.raises(ValueError, match="blank"):
        ranker.rank("  ", TEXTS)
    (found,) = tracer.spans
    assert found.status is not None
    assert found.status.description == "ValueError"


def test_no_text_is_told(ranker: AttentionRanker, tracer: Tracer) -> None:
    """Neither query nor chunks are anywhere in a span."""
    ranker.rank_batch([QUERY, "rain?"], TEXTS)
    assert "Ulm" not in repr(tracer.spans[0].told)
    assert "Einstein" not in repr(tracer.spans[0].told)


def test_the_callers_span_is_the_parent(tracer: Tracer) -> None:
    """What stands in headers is followed, and what is done inside is a child."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with (
        telemetry.span("outer", kind="server", caller={"traceparent": parent}),
        telemetry.span("inner"),
    ):
        pass
    outer, inner = tracer.spans
    assert outer.parent.span_id == 0xB7AD6B7169203331
    assert inner.parent.span_id == outer.get_span_context().span_id


def test_without_the_api_nothing_happens(
    ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where OpenTelemetry is not installed, rankings are as they are."""
    monkeypatch.setattr(telemetry, "_is_installed", lambda: False)
    assert telemetry._tracer() is None
    assert len(ranker.rank(QUERY, TEXTS).chunks) == 2
    with telemetry.span("any") as tell:
        tell(anything=1)
