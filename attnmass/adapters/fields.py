"""The options as fields of an adapter, mixed in alongside the base class of its framework."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from functools import partial
from textwrap import fill
from typing import Annotated, Any, Literal

from annotated_types import Ge
from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from typing_extensions import Self

from attnmass.adapters.reloading import light_tokenizer, warn_of_embed_model
from attnmass.engine.worker import Worker
from attnmass.options.checked import of_its_kind, told
from attnmass.options.checks import as_heads
from attnmass.options.declared import (
    Loading,
    Reading,
    Remote,
    Selecting,
    Storing,
    Trimming,
    option,
)
from attnmass.options.fields import OBJECTS
from attnmass.options.fitting import as_texts
from attnmass.options.readings import as_reading
from attnmass.options.renamed import check_names
from attnmass.options.urls import is_url
from attnmass.profiles import HeadProfile

_PATHS = [
    name
    for group in (Loading, Reading, Storing)
    for name, declared in group.model_fields.items()
    if told(declared, "format") == "path"
]

# LlamaIndex's field for whom to tell about calls.
_TOLD = "callback_manager"

# Calls that an event loop may have under way with a server, which answers many.
_THREADS = 16

# What is kept where nothing is said.
N_BEST = 5

# What users set, listed first, starting with what most of them set.
COMMON = (
    *("model", "top_n", "max_tokens", "keep_ratio", "device", "store"),
    *("fuse", "min_relevance", "order", "evidence_threshold", "on_no_evidence"),
    *("top_p", "tokenizer", "layout", "heads", "dtype", "on_error", "show_progress"),
    *("keep_ranking", "add_scores", "keep_retrieval_score", "keep_original"),
)


def _line(name: str, said: str | None) -> str:
    """What `help` says about a field."""
    return fill(f"{name}: {said}", 100, initial_indent=" " * 4, subsequent_indent=" " * 8)


class OfAdapters(BaseModel):
    """What only adapters have."""

    on_error: Literal["raise", "passthrough"] = option(
        "raise", "What a failure does: an error, or the untouched candidates and a warning"
    )
    show_progress: bool = option(False, "Whether to show a progress bar while chunks are read")
    keep_ranking: bool = option(
        False, "Whether last_ranking keeps the last call's ranking, to draw a heat map"
    )
    add_scores: bool = option(
        False,
        "Whether metadata holds each call's scores; duplicates from several calls then differ, and "
        "are not merged",
    )
    keep_retrieval_score: bool = option(
        False,
        "Whether metadata holds the retriever's score, which duplicates from several retrievers do "
        "not share",
    )
    keep_original: bool = option(
        False, "Whether metadata of what was trimmed holds its whole text, to restore it"
    )


class Sound(BaseModel):
    """Checks what is assigned; an assignment that is refused leaves an object as it was.

    Errors say nothing about what was passed, which may be a key.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    @classmethod
    def _names(cls) -> Iterable[str]:
        """What may be passed."""
        return cls.model_fields

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, data: Any) -> Any:
        """For a field that does not exist, name the nearest one."""
        if isinstance(data, Mapping):
            check_names(cls, data, cls._names())
        return data

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a field if all fields are then valid together, else leave it as it was.

        Raises:
            ValidationError: As the constructor; pydantic itself would keep what it refused.
        """
        if name not in type(self).model_fields:
            super().__setattr__(name, value)
            return
        fields, known = dict(vars(self)), set(self.model_fields_set)
        try:
            super().__setattr__(name, value)
        except Exception:
            vars(self).clear()
            vars(self).update(fields)
            self.model_fields_set.clear()
            self.model_fields_set.update(known)
            raise


class RankerFields(
    Sound, OfAdapters, Remote, Storing, Reading[HeadProfile], Trimming, Selecting, Loading
):
    """Every option as a field.

    The docstring of each subclass that has its own is extended with its fields.
    """

    # Wider than the core's, where no `top_n` means all.
    top_n: Annotated[int, Ge(1)] | Literal["auto"] | None = option(  # type: ignore[assignment]
        "auto", "Keep this many of the best; auto is 5, or all under max_tokens, None for all"
    )

    _ranker: Any = PrivateAttr(default=None)
    _counted: Any = PrivateAttr(default=None)
    _last_ranking: Any = PrivateAttr(default=None)
    _here: Worker = PrivateAttr(default_factory=Worker)
    _there: Worker = PrivateAttr(default_factory=partial(Worker, _THREADS))

    @property
    def _worker(self) -> Worker:
        """What async calls run in, by where the model is now, whatever value was refused before."""
        return self._there if is_url(self.model) else self._here

    @property
    def _n_best(self) -> int | None:
        """`top_n` as a number; all candidates compete for a budget."""
        if self.top_n != "auto":
            return self.top_n
        return N_BEST if self.max_tokens is None else None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Describe the fields in the docstring, for `help`."""
        super().__pydantic_init_subclass__(**kwargs)
        if doc := cls.__dict__.get("__doc__"):
            told = {name: info.description for name, info in cls.model_fields.items()}
            rare = [name for name in told if name not in COMMON and told[name]]
            first, _, rest = inspect.cleandoc(doc).partition("\n\n")
            cls.__doc__ = "\n\n".join(
                [
                    first,
                    "\n".join(["Attributes:", *(_line(name, told[name]) for name in COMMON)]),
                    *([rest] if rest else []),
                    "\n".join(["Attributes:", *(_line(name, told[name]) for name in rare)]),
                ]
            )

    @field_validator("*", mode="before")
    @classmethod
    def _hold_to_kind(cls, value: Any, info: ValidationInfo) -> Any:
        return of_its_kind(cls.model_fields[str(info.field_name)], value)

    @field_validator(*_PATHS, mode="before", check_fields=False)
    @classmethod
    def _accept_paths(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @field_validator("model", mode="before", check_fields=False)
    @classmethod
    def _accept_names(cls, value: Any) -> Any:
        if isinstance(value, str | bytes | os.PathLike):
            return value
        raise ValueError(
            "must be a name or a path: what is in memory goes to from_model, from_generator or "
            "from_ranker"
        )

    @field_validator("heads", mode="before", check_fields=False)
    @classmethod
    def _accept_heads(cls, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        try:
            return as_heads(value)
        except TypeError as error:
            raise ValueError(str(error)) from error

    @field_validator("fit_texts", mode="before", check_fields=False)
    @classmethod
    def _accept_texts(cls, value: Any) -> Any:
        try:
            return as_texts(value)
        except TypeError as error:
            raise ValueError(str(error)) from error

    @field_validator("reading", mode="before", check_fields=False)
    @classmethod
    def _accept_readings(cls, value: Any) -> Any:
        return as_reading(value)

    def __eq__(self, other: object) -> bool:
        """Whether all options are equal; what was loaded, and who is told of it, does not count."""
        if not isinstance(other, RankerFields) or type(other) is not type(self):
            return NotImplemented
        names = [name for name in type(self).model_fields if name != _TOLD]
        return all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[Any, Any]:
        """Weights stay behind, an embedding model's too, and so do keys."""
        warn_of_embed_model(self.embed_model)
        tokenizer = light_tokenizer(self.tokenizer)
        update = {"tokenizer": tokenizer, "embed_model": None, "api_key": None}
        light = self.model_copy(update=update)
        light._ranker = light._counted = light._last_ranking = None
        return super(RankerFields, light).__getstate__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """The copy shares the ranker, the caller's objects, and who is told about calls."""
        listener = getattr(self, _TOLD, None)
        mine = (getattr(self, name) for name in OBJECTS)
        shared = (self._ranker, self._counted, self._last_ranking, *mine, listener)
        return super().__deepcopy__({**(memo or {}), **{id(one): one for one in shared}})
