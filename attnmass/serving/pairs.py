"""vLLM's score requests: pairs of texts, asked as one question for each query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema

from attnmass.serving.asked import About, Question, Scored, parsed, query_of, texts_of
from attnmass.serving.errors import BadRequest
from attnmass.serving.forms import Form, usage

# Names of the two sides in its versions.
SIDES = (
    ("text_1", "text_2"),
    ("queries", "documents"),
    ("queries", "items"),
    ("data_1", "data_2"),
)

_ONE_OR_MORE = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}
Side = Annotated[Any, WithJsonSchema(_ONE_OR_MORE)]


class Score(Form):
    """One text with each of many, or as many with as many, pair by pair.

    Pairs with the same first text are ranked together, so that what each gets is a share of the
    same attention.
    """

    known_by: ClassVar[str] = "text_1"

    text_1: Side = Field(description="One text, or as many as in text_2: what is asked")
    text_2: Side = Field(description="The texts that are scored for it")

    def questions(self) -> list[Question]:
        """See `Form.questions`."""
        return [
            Question(query, tuple(text for _, text in pairs))
            for query, pairs in self._by_query().items()
        ]

    def answer(self, scored: Sequence[Sequence[Scored]], about: About) -> dict[str, Any]:
        """See `Form.answer`; pairs are in the order of the request."""
        found: dict[int, float] = {}
        for pairs, mine in zip(self._by_query().values(), scored, strict=True):
            found |= {pairs[each.index][0]: each.score for each in mine}
        return {
            "id": about.id,
            "object": "list",
            "created": about.created,
            "model": about.model,
            "data": [
                {"index": index, "object": "score", "score": found[index]}
                for index in sorted(found)
            ],
            "usage": usage(about),
        }

    def _by_query(self) -> dict[str, list[tuple[int, str]]]:
        """The pairs' places and second texts, by their first."""
        queries = [query_of(each) for each in texts_of(_listed(self.text_1), "text_1")]
        texts = list(texts_of(_listed(self.text_2), "text_2"))
        if len(queries) == 1:
            queries *= len(texts)
        if len(queries) != len(texts):
            raise BadRequest(
                f"text_1 has {len(queries)} texts and text_2 {len(texts)}: send one text, or as "
                "many as in text_2"
            )
        found: dict[str, list[tuple[int, str]]] = {}
        for index, (query, text) in enumerate(zip(queries, texts, strict=True)):
            found.setdefault(query, []).append((index, text))
        return found


def score_of(data: Mapping[str, Any]) -> Score:
    """A body as a score request, whatever its sides are called.

    Raises:
        BadRequest: If it is not one.
    """
    for first, second in SIDES:
        if first in data and second in data:
            return parsed(Score, {"text_1": data[first], "text_2": data[second]})
    names = ", or ".join(f"{first!r} and {second!r}" for first, second in SIDES)
    raise BadRequest(f"the body needs the fields {names}")


def _listed(side: Any) -> list[Any]:
    return side if isinstance(side, list) else [side]
