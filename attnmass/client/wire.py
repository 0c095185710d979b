"""Scored rankings as they go over the wire: what the server writes and the client reads."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge
from pydantic import BaseModel, ConfigDict

from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking, Timings
from attnmass.results.scored import ScoredRanking
from attnmass.results.trace import ChunkTrace, Trace
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.chunk import Chunk
from attnmass.text.prompt import chunk_text, text_start
from attnmass.text.segmentation import Segment
from attnmass.trimming import ScoredText

Count = Annotated[int, Ge(0)]


class Wire(BaseModel):
    """A part of an answer; what a later server adds is ignored."""

    model_config = ConfigDict(
        extra="ignore", allow_inf_nan=False, strict=True, hide_input_in_errors=True
    )


class WireArray(Wire):
    """Numbers of one type, in base64.

    Attributes:
        dtype: `"<f4"` or `"<i8"`.
        shape: Its dimensions.
        data: Little-endian, in C order.
    """

    dtype: str
    shape: list[Count]
    data: str

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> dict[str, Any]:
        """An array as JSON has it."""
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        return {
            "dtype": plain.dtype.str,
            "shape": list(plain.shape),
            "data": base64.b64encode(plain.tobytes()).decode("ascii"),
        }

    def read(self, dtype: type[Any]) -> npt.NDArray[Any]:
        """The array, which cannot be written to.

        Raises:
            ValueError: If it is of another type, or there is more or less of it.
        """
        if np.dtype(self.dtype) != np.dtype(dtype).newbyteorder("<"):
            raise ValueError(f"an array is {self.dtype}")
        data = base64.b64decode(self.data, validate=True)
        return np.frombuffer(data, dtype=self.dtype).astype(dtype, copy=False).reshape(self.shape)


class WireChunk(Wire):
    """A `RankedChunk` without text and spans, which the client knows."""

    index: Count
    score: float
    n_tokens: Count
    n_windows: Count
    mass: float
    share: float
    relevance: float | None
    logit: float | None
    skipped: str | None


class WireSpans(Wire):
    """The spans of one chunk; `segments` have start, end, kind and headings."""

    index: Count
    segments: list[tuple[Count, Count, str, list[Count]]]
    scores: list[float]
    masses: list[float]
    relevances: list[float] | None
    bound: float | None
    leans: list[tuple[Count, Count]] | None


class WireTrace(Wire):
    """A `ChunkTrace` without text."""

    index: Count
    offsets: WireArray
    masses: WireArray
    rows: WireArray | None


class WireRanking(Wire):
    """A `ScoredRanking`; `chunks` are all of them, best first."""

    evidence: float
    no_evidence: bool
    threshold: float | None
    notes: list[str]
    stability: float | None
    timings: dict[str, float]
    chunks: list[WireChunk]
    spans: list[WireSpans]
    query_offsets: WireArray | None
    traces: list[WireTrace] | None


class WireAnswer(Wire):
    """The answer to `POST /v1/spans`; `ranker` tells whether the server's is still the same."""

    ranker: str
    rankings: list[WireRanking]


def told_scored(found: ScoredRanking, *, traces: bool) -> dict[str, Any]:
    """A scored ranking as JSON has it.

    Args:
        found: One with all chunks, best first.
        traces: Whether what `Ranking.explain` draws goes along.
    """
    ranking = found.ranking
    trace = ranking.trace
    names = list(WireChunk.model_fields)
    times = Timings.__dataclass_fields__
    return {
        "evidence": ranking.evidence,
        "no_evidence": ranking.no_evidence,
        "threshold": None if trace is None else trace.threshold,
        "notes": list(ranking.notes),
        "stability": ranking.stability,
        "timings": {name: getattr(ranking.timings, name) for name in times},
        "chunks": [{name: getattr(each, name) for name in names} for each in ranking.chunks],
        "spans": [_told_spans(found, index) for index in found.texts],
        "query_offsets": WireArray.of(trace.query_offsets) if traces and trace else None,
        "traces": [
            {
                "index": index,
                "offsets": WireArray.of(each.offsets),
                "masses": WireArray.of(each.masses),
                "rows": None if each.rows is None else WireArray.of(each.rows),
            }
            for index, each in trace.scored.items()
        ]
        if traces and trace
        else None,
    }


def _told_spans(found: ScoredRanking, index: int) -> dict[str, Any]:
    text, bound = found.texts[index], found.bounds[index]
    leans = found.leaning.get(index)
    return {
        "index": index,
        "segments": [(s.start, s.end, s.kind, list(s.headings)) for s in text.segments],
        "scores": text.scores.tolist(),
        "masses": text.masses.tolist(),
        "relevances": None if text.relevances is None else list(text.relevances),
        "bound": bound if math.isfinite(bound) else None,
        "leans": None if leans is None else list(leans.items()),
    }


def read_scored(
    told: WireRanking,
    query: str,
    chunks: Sequence[Chunk],
    given: Sequence[float | None] | None,
    profile: HeadProfile,
) -> ScoredRanking:
    """What `told_scored` told, with what the client knows.

    Args:
        told: The answer.
        query: What was asked.
        chunks: What was sent; what is not text has the text `""`.
        given: The retriever's scores.
        profile: The server's.

    Raises:
        ValueError: If it does not fit what was sent.
    """
    if sorted(each.index for each in told.chunks) != list(range(len(chunks))):
        raise ValueError("the ranking does not have each chunk exactly once")
    ranked = tuple(
        RankedChunk(
            **each.model_dump(),
            text=chunks[each.index].text,
            metadata=chunks[each.index].metadata,
            retrieval_score=None if given is None else _number(given[each.index]),
        )
        for each in told.chunks
    )
    skipped = {each.index for each in ranked if each.skipped is not None}
    if any(each.index >= len(chunks) or each.index in skipped for each in told.spans):
        raise ValueError("there are spans of a chunk that was not read")
    scores = {each.index: each.score for each in ranked}
    ranking = Ranking(
        query=query,
        chunks=ranked,
        scores=tuple(scores[index] for index in range(len(chunks))),
        profile=profile,
        timings=Timings(**told.timings),
        notes=tuple(told.notes),
        evidence=told.evidence,
        no_evidence=told.no_evidence,
        trace=_trace(told, chunks),
        stability=told.stability,
    )
    return ScoredRanking(
        ranking,
        {each.index: _scored_text(each, chunks[each.index].text) for each in told.spans},
        {each.index: math.inf if each.bound is None else each.bound for each in told.spans},
        {each.index: dict(each.leans) for each in told.spans if each.leans is not None},
    )


def _number(score: float | None) -> float | None:
    return None if score is None else float(score)


def _scored_text(told: WireSpans, text: str) -> ScoredText:
    last = 0
    for place, (start, end, _, headings) in enumerate(told.segments):
        if not last <= start < end <= len(text) or any(each >= place for each in headings):
            raise ValueError(f"span {place} of chunk {told.index} is not in its text")
        last = end
    counts = {len(told.segments), len(told.scores), len(told.masses)}
    if len(counts | {len(told.relevances or told.scores)}) != 1:
        raise ValueError(f"chunk {told.index} does not have one score for each span")
    segments = tuple(
        Segment(start, end, kind, tuple(headings))  # type: ignore[arg-type]
        for start, end, kind, headings in told.segments
    )
    if any(not later > earlier for later, earlier in told.leans or ()):
        raise ValueError(f"a span of chunk {told.index} leans on a later one")
    masses, scores = (np.array(each, dtype=np.float64) for each in (told.masses, told.scores))
    return ScoredText(text, segments, masses, scores, told.relevances)


def _trace(told: WireRanking, chunks: Sequence[Chunk]) -> Trace | None:
    if told.traces is None or told.query_offsets is None:
        return None
    scored: Mapping[int, ChunkTrace] = {
        each.index: ChunkTrace(
            chunk_text(chunks[each.index]),
            text_start(chunks[each.index]),
            each.offsets.read(np.int64),
            each.masses.read(np.float32),
            None if each.rows is None else each.rows.read(np.float32),
        )
        for each in told.traces
    }
    return Trace(tuple(chunks), scored, told.query_offsets.read(np.int64), told.threshold)
