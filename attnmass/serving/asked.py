"""What a request asks, whatever its form: questions with texts, and a form's fields checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    InstanceOf,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from attnmass.options.checked import of_its_kind
from attnmass.options.checks import did_you_mean
from attnmass.serving.errors import BadRequest

# Strings as Python has them: pydantic's own check refuses lone surrogates, which JSON may contain.
Text = InstanceOf[str]

# Checked by `texts_of`, whose errors name the one that is wrong.
Documents = Annotated[
    list[Any],
    WithJsonSchema({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}),
]

_MOST_NESTED = 64  # levels; far fewer than what JSON's reader accepts but its writer refuses


def _checked_nesting(metadata: dict[str, Any]) -> dict[str, Any]:
    """The same, unless it is nested so deeply that it could not be sent back."""
    level: list[Any] = [metadata]
    for _ in range(_MOST_NESTED):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return metadata
    raise ValueError(f"it is nested more than {_MOST_NESTED} levels deep")


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


# Whatever a caller knows about a document; the model reads none of it.
Metadata = Annotated[
    InstanceOf[dict], AfterValidator(_checked_nesting), WithJsonSchema({"type": "object"})  # type: ignore[type-arg]
]

STRING, OBJECT = "a string", "an object"  # which a document is, for errors to be about


def kind_of(document: Any) -> str:
    """What a document is meant to be."""
    return STRING if isinstance(document, str) else OBJECT


Form = TypeVar("Form", bound=BaseModel)


class Strict(BaseModel):
    """Fields none of which, where it is a number, accepts a text, or true for 1."""

    @field_validator("*", mode="before")
    @classmethod
    def _hold_to_kind(cls, value: Any, info: ValidationInfo) -> Any:
        return of_its_kind(cls.model_fields[str(info.field_name)], value, is_json=True)


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and texts to rank for it.

    Attributes:
        query: The query.
        texts: The texts.
    """

    query: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class About:
    """What answers say besides scores.

    Attributes:
        id: The request's id.
        created: Seconds since 1970.
        model: The model's name.
        n_tokens: Tokens of queries and texts.
    """

    id: str
    created: int
    model: str
    n_tokens: int


@dataclass(frozen=True, slots=True)
class Scored:
    """A text's place in an answer.

    Attributes:
        index: Its position in the request.
        score: Its score.
    """

    index: int
    score: float


def parsed(form: type[Form], data: Mapping[str, Any]) -> Form:
    """A body's fields as a form.

    Raises:
        BadRequest: If a field is missing, unknown where that matters, or of another type; says
            which, and nothing about what it held.
    """
    try:
        return form.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place, message = _place(first["loc"]), first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            place = _place(first["loc"], named=True)
            known = (info.alias or name for name, info in form.model_fields.items())
            raise BadRequest(f"there is no field {place!r}.{did_you_mean(place, known)}") from None
        if first["type"] == "missing":
            raise BadRequest(f"the field {place!r} is missing") from None
        if first["type"] in ("is_instance_of", "model_type"):
            kinds = {"str": STRING, "dict": OBJECT}
            kind = first.get("ctx", {}).get("class", "")
            message = f"must be {kinds.get(kind, f'{STRING} or {OBJECT}')}"
        raise BadRequest(f"{place}: {message}" if place else message) from None


def _place(location: Sequence[int | str], *, named: bool = False) -> str:
    """Where in a body an error is.

    Args:
        location: As in pydantic, which also says what member of a union a value was checked
            against.
        named: Whether the last part is a name that the caller chose, whatever it is.
    """
    last = len(location) - 1 if named else None
    known = [
        part
        for index, part in enumerate(location)
        if isinstance(part, int) or index == last or _is_field(part)
    ]
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in known)
    return "".join(parts).removeprefix(".")


def _is_field(part: str) -> bool:
    return part.isidentifier() and part not in ("int", "str", "float", "bool")


def texts_of(
    documents: Sequence[Any], name: str, rank_fields: Sequence[str] | None = None
) -> Iterator[str]:
    """Documents as texts.

    Args:
        documents: Strings, or objects.
        name: The field that they are in.
        rank_fields: Fields of objects that are read; for objects that have none of them, and by
            default, `text` is read, else `content`, else the whole object as JSON.

    Raises:
        BadRequest: If one is neither.
    """
    for index, document in enumerate(documents):
        if isinstance(document, str):
            yield document
        elif isinstance(document, Mapping):
            yield _text_of(document, rank_fields)
        else:
            raise BadRequest(f"{name}[{index}] must be a string or an object")


def _text_of(document: Mapping[str, Any], rank_fields: Sequence[str] | None) -> str:
    if rank_fields:
        found = [document[field] for field in rank_fields if field in document]
        if found:
            return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in found)
    for field in ("text", "content"):
        if isinstance(document.get(field), str):
            return str(document[field])
    return json.dumps(document, ensure_ascii=False)


def query_of(query: Any) -> str:
    """A query, which NVIDIA's clients wrap in an object.

    Raises:
        BadRequest: If it is not a string, or blank.
    """
    found = query.get("text") if isinstance(query, Mapping) else query
    if not isinstance(found, str):
        raise BadRequest("query must be a string")
    if not found.strip():
        raise BadRequest("query is empty or blank")
    return found
