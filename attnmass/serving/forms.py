"""Rerank requests and answers in the forms that clients of other servers use.

Each form is what one kind of client sends, and knows what that client reads. Fields that it does
not name are ignored, as those servers do: clients send many that make no difference here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, WithJsonSchema

from attnmass.serving.asked import (
    About,
    Documents,
    Question,
    Scored,
    Strict,
    parsed,
    query_of,
    texts_of,
)
from attnmass.serving.errors import BadRequest

Query = Annotated[Any, WithJsonSchema({"type": "string"})]
Top = Annotated[int | None, Field(ge=0, description="Keep the best so many; 0 for all")]


class Form(Strict, ABC):
    """What one kind of client sends.

    Attributes:
        known_by: The field that distinguishes it from the other forms.
    """

    model_config = ConfigDict(extra="ignore")
    known_by: ClassVar[str]

    @abstractmethod
    def questions(self) -> list[Question]:
        """What is asked.

        Raises:
            BadRequest: If a value is invalid.
        """

    @abstractmethod
    def answer(self, scored: Sequence[Sequence[Scored]], about: About) -> Any:
        """What is answered.

        Args:
            scored: For each question, its texts, best first.
            about: What is said besides that.
        """


class Listed(Form):
    """A query, and documents in the field that the form is known by."""

    query: Query

    def read(self, documents: Sequence[Any]) -> list[str]:
        """What is read of some of them."""
        return list(texts_of(documents, self.known_by, getattr(self, "rank_fields", None)))

    def questions(self) -> list[Question]:
        """See `Form.questions`."""
        texts = self.read(getattr(self, self.known_by))
        return [Question(query_of(self.query), tuple(texts))]


class Rerank(Listed):
    """Cohere's, Jina's, Voyage's, Infinity's, vLLM's and LiteLLM's form, with one envelope."""

    known_by = "documents"

    documents: Documents
    model: Any = None
    top_n: Top = None
    top_k: Top = None
    return_documents: bool | None = None
    rank_fields: list[str] | None = None

    def answer(self, scored: Sequence[Sequence[Scored]], about: About) -> dict[str, Any]:
        """See `Form.answer`."""
        kept = best(scored[0], self.top_n or self.top_k)
        results = []
        data = []
        # Only Voyage's client reads `data`, and texts in it twice would double every answer.
        is_voyage = bool({"top_k", "truncation"} & self.model_fields_set)
        for each in kept:
            result: dict[str, Any] = {"index": each.index, "relevance_score": each.score}
            entry = dict(result)
            if self.return_documents:
                result["document"] = self.document(each.index)
                if is_voyage:
                    entry["document"] = self.text(each.index)
            results.append(result)
            data.append(entry)
        tokens = {"input_tokens": about.n_tokens, "output_tokens": 0}
        return {
            "id": about.id,
            "object": "rerank",
            "created": about.created,
            "model": about.model,
            "results": results,
            "data": data,
            "usage": usage(about),
            "tokens": tokens,
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"search_units": 1},
                "tokens": tokens,
            },
        }

    def document(self, index: int) -> Any:
        """A document in an answer."""
        document = self.documents[index]
        return {**(document if isinstance(document, Mapping) else {}), "text": self.text(index)}

    def text(self, index: int) -> str:
        """What was read of a document."""
        return self.read([self.documents[index]])[0]


class InfinityRerank(Rerank):
    """The same, for Infinity's client in LiteLLM: a document is its text."""

    def document(self, index: int) -> str:
        """A document in an answer."""
        return self.text(index)


class TextsRerank(Listed):
    """The form of Text Embeddings Inference (TEI): a bare list, one entry for each text."""

    known_by = "texts"

    texts: Documents
    return_text: bool | None = None
    top_n: Top = None

    def answer(self, scored: Sequence[Sequence[Scored]], about: About) -> list[dict[str, Any]]:
        """See `Form.answer`."""
        texts = self.read(self.texts)
        return [
            {"index": each.index, "score": each.score}
            | ({"text": texts[each.index]} if self.return_text else {})
            for each in best(scored[0], self.top_n)
        ]


class InputRerank(Listed):
    """Mixedbread's form."""

    known_by = "input"

    input: Documents
    top_k: Top = None
    return_input: bool | None = None
    rank_fields: list[str] | None = None

    def answer(self, scored: Sequence[Sequence[Scored]], about: About) -> dict[str, Any]:
        """See `Form.answer`."""
        return {
            "object": "list",
            "model": about.model,
            "data": [
                {
                    "index": each.index,
                    "score": each.score,
                    "input": self.input[each.index] if self.return_input else None,
                    "object": "rank_result",
                }
                for each in best(scored[0], self.top_k)
            ],
            "usage": usage(about),
            "top_k": self.top_k or len(self.input),
            "return_input": bool(self.return_input),
        }


class PassagesRerank(Listed):
    """NVIDIA's form; what it calls a logit is a score, as everywhere else."""

    known_by = "passages"

    passages: Documents

    def answer(self, scored: Sequence[Sequence[Scored]], about: About) -> dict[str, Any]:
        """See `Form.answer`."""
        return {
            "rankings": [{"index": each.index, "logit": each.score} for each in scored[0]],
            "usage": usage(about),
        }


RERANK: tuple[type[Form], ...] = (Rerank, TextsRerank, InputRerank, PassagesRerank)
INFINITY: tuple[type[Form], ...] = (InfinityRerank, *RERANK[1:])


def form_of(data: Mapping[str, Any], forms: Sequence[type[Form]]) -> Form:
    """A body as the first form whose field is in it.

    Raises:
        BadRequest: If it is not any of them, or malformed.
    """
    for form in forms:
        if form.known_by in data:
            return parsed(form, data)
    names = " or ".join(repr(form.known_by) for form in forms)
    raise BadRequest(f"the body has none of the fields {names}")


def best(scored: Sequence[Scored], top_n: int | None) -> Sequence[Scored]:
    """The first `top_n`; 0 and `None` mean all."""
    return scored[:top_n] if top_n else scored


def usage(about: About) -> dict[str, int]:
    """How much was read."""
    return {"prompt_tokens": about.n_tokens, "total_tokens": about.n_tokens}
