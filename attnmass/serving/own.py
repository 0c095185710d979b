"""Requests to our own routes: fields are the API's, and unknown ones are refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge
from pydantic import ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from attnmass.adapters.fields import N_BEST
from attnmass.engine.asking import Asked
from attnmass.options.attributing import Attributing
from attnmass.options.declared import Selecting, Trimming, names_of, option
from attnmass.options.fields import OBJECTS
from attnmass.results.markers import checked_marker
from attnmass.serving.asked import OBJECT, STRING, Metadata, Strict, Text, kind_of, query_of
from attnmass.serving.body import to_json
from attnmass.serving.errors import BadRequest, bad_requests
from attnmass.serving.told import told_attribution, told_explanation, told_trim
from attnmass.serving.work import Call, Rank, Warm, Work
from attnmass.text.chunk import Chunk
from attnmass.trimming import Trim

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker
    from attnmass.results.ranking import Ranking

_SELECTING = names_of(Selecting)
_TRIMMING = tuple(name for name in names_of(Trimming) if name not in OBJECTS)


class Document(Strict):
    """A text with what is known about it.

    Attributes:
        text: The text; null means none, and is not scored.
        title: As in `attnmass.Chunk`.
        before: Likewise.
        after: Likewise.
        id: Whatever the caller knows it by; comes back in answers.
        score: The retriever's score.
        metadata: As in `attnmass.Chunk`; comes back in answers.
    """

    model_config = ConfigDict(extra="forbid")

    text: Text | None
    title: Text | None = None
    before: Text = ""
    after: Text = ""
    id: Text | int | None = None
    score: float | None = Field(None, allow_inf_nan=False)
    metadata: Metadata | None = None

    @property
    def chunk(self) -> Chunk:
        """The document as a chunk."""
        known = self.metadata or {}
        return Chunk(self.text, self.title, self.before, self.after, known)  # type: ignore[arg-type]


_DOCUMENT = Document.model_json_schema()


class OwnForm(Strict, ABC):
    """What all our routes are given: documents."""

    model_config = ConfigDict(extra="forbid")

    documents: Annotated[
        list[
            Annotated[
                Annotated[Text, Tag(STRING)] | Annotated[Document, Tag(OBJECT)],
                Discriminator(kind_of),
            ]
        ],
        WithJsonSchema({"type": "array", "items": {"anyOf": [{"type": "string"}, _DOCUMENT]}}),
    ]

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """The documents as chunks."""
        return tuple(
            Chunk(each) if isinstance(each, str) else each.chunk for each in self.documents
        )

    @property
    def retrieval(self) -> dict[str, Any]:
        """The retriever's scores, as an option; empty where there are none."""
        scores = tuple(None if isinstance(each, str) else each.score for each in self.documents)
        return {"retrieval_scores": scores} if any(each is not None for each in scores) else {}

    @abstractmethod
    def work(self) -> Work:
        """What the model is asked.

        Raises:
            BadRequest: If a value is invalid.
        """

    @property
    def ids(self) -> list[str | int | None]:
        """What the caller knows the documents by."""
        return [None if isinstance(each, str) else each.id for each in self.documents]


class _Ranked(OwnForm, Selecting):
    """A query, which documents are kept for it, and which of their spans."""

    query: Text
    # As in adapters, too.
    top_n: Annotated[int, Ge(1)] | Literal["auto"] | None = option(  # type: ignore[assignment]
        None, "Keep the best so many; auto is 5, or all under max_tokens", unset="all"
    )

    def _rank(self, then: Callable[[Ranking], Any], **more: Any) -> Rank:
        """What the model is asked.

        Raises:
            BadRequest: If an option is invalid.
        """
        given = self.model_dump(include=set(_SELECTING))
        if self.top_n == "auto":
            trim = more.get("trim")
            given["top_n"] = N_BEST if trim is None or trim.max_tokens is None else None
        options = {**given, **more, **self.retrieval}
        if options["on_no_evidence"] == "raise":
            raise BadRequest("on_no_evidence must be keep or empty: no_evidence says it, too")
        with bad_requests():
            Asked(**options).check(len(self.documents))
        # Chunks that differ only in metadata are equal, but one request's metadata must not reach
        # another.
        known = [each.metadata or {} for each in self.chunks]
        settled = (*sorted(options.items(), key=lambda item: item[0]), to_json(known))
        query = query_of(self.query)
        return Rank(query, self.chunks, options, settled, then)  # type: ignore[arg-type]


class _Trimmed(_Ranked, Trimming):
    """The same, with what is asked of trimming."""

    # A tokenizer that is named here would have to be loaded.
    tokenizer: None = Field(None, description="Tokens are counted by the model's own", exclude=True)
    embed_model: None = Field(None, description="Spans are scored by attention", exclude=True)

    @property
    def trim(self) -> Trim:
        """What is asked of trimming.

        Raises:
            BadRequest: If a value is invalid.
        """
        with bad_requests():
            return Trim(**self.model_dump(include=set(_TRIMMING)))


class TrimForm(_Trimmed):
    """Rerank and trim to a budget."""

    citations: bool = option(False, "Whether the text is also given with numbers to cite by")
    marker: str | None = option(None, "What such a number looks like", unset="[{n}]")
    dropped: bool = option(False, "Whether spans and documents that were dropped are told, too")

    def work(self) -> Rank:
        """See `OwnForm.work`."""
        if self.marker is not None:
            with bad_requests():
                checked_marker(self.marker)
        then = partial(
            told_trim,
            chunks=self.chunks,
            ids=self.ids,
            separator=self.separator,
            dropped=self.dropped,
            citations=self.citations,
            marker=self.marker,
        )
        return self._rank(then, trim=self.trim)


class ExplainForm(_Trimmed):
    """Rank, trim if anything about that is asked for, and draw the result."""

    query_words: bool = option(False, "Whether to keep where each word of the query looked")
    format: Literal["html", "json"] = option("html", "A page, or its numbers")

    def work(self) -> Rank:
        """See `OwnForm.work`."""
        trim = self.trim if self.model_fields_set & set(_TRIMMING) else None
        then = partial(told_explanation, html=self.format == "html")
        return self._rank(then, trim=trim, query_words=self.query_words)


class AttributeForm(OwnForm, Attributing):
    """What each sentence of an answer rests on."""

    query: Text
    answer: Text

    def work(self) -> Call:
        """See `OwnForm.work`."""
        query, chunks = query_of(self.query), self.chunks
        if not self.answer.strip():
            raise BadRequest("answer is empty or blank")
        options = self.model_dump(include=set(names_of(Attributing)))

        def attribute(ranker: AttentionRanker) -> dict[str, Any]:
            found = ranker.attribute(query, chunks, self.answer, **options)
            return told_attribution(found, self.ids)

        return Call(attribute, chunks)


class WarmForm(OwnForm):
    """Read documents ahead, so that later requests find them read."""

    def work(self) -> Warm:
        """See `OwnForm.work`."""
        return Warm(self.chunks, asdict)
