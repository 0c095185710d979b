"""Values held to the declarations of `attnmass.options.declared`, with errors of ours."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Set
from dataclasses import is_dataclass
from itertools import chain
from numbers import Integral, Real
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from attnmass.options.checks import (
    as_str,
    check_count,
    check_finite,
    check_items,
    check_share,
    check_type,
)
from attnmass.options.choices import check_choice
from attnmass.options.renamed import check_known


class Checked(BaseModel):
    """Options that the core is asked with: frozen, and checked with plain errors.

    Raises:
        TypeError: If an option is unknown, or of another type than is declared.
        ValueError: If it is out of range, or options contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    if not TYPE_CHECKING:  # type checkers know the fields

        def __init__(self, /, **given: Any) -> None:
            super().__init__(**checked(type(self), given))
            self.check_together()

    def check_together(self) -> None:
        """Raise `ValueError` where options contradict each other."""


def checked(kind: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Options held to their declarations, with numbers and paths as Python's own.

    Raises:
        TypeError, ValueError: As `Checked`.
    """
    check_known(given, kind.model_fields)
    return {name: check_option(name, kind.model_fields[name], given[name]) for name in given}


def check_option(name: str, declared: FieldInfo, value: Any) -> Any:
    """Hold one value to the declaration of its option.

    Args:
        name: The option's.
        declared: Its field.
        value: What was passed for it.

    Returns:
        The value, a number, path or text of another library as Python's own.

    Raises:
        TypeError: If it is of another type than is declared.
        ValueError: If it is out of range.
    """
    kinds = kinds_of(declared)
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    unset = told(declared, "unset") or ("none" if words else "no bound")
    optional = unset if NoneType in kinds else ""
    if value is None and optional:
        return None
    limits = limits_of(declared)
    patterns = [found for limit in declared.metadata if (found := getattr(limit, "pattern", None))]
    if told(declared, "format") == "path" and isinstance(value, os.PathLike):
        return os.fspath(value)
    for kind in kinds:
        if kind == tuple[str, ...]:
            instead = f"[{value!r}]" if isinstance(value, str) else "a list of texts"
            check_items(name, value, str, instead=instead)
            return tuple(as_str(each) for each in value)
        if get_origin(kind) is Literal:
            check_choice(name, value, kind, optional=optional)
            return as_str(value) if isinstance(value, str) else value
        if kind is bool and _is_truth(value):
            return bool(value)
        if kind in (bool, str):
            check_type(name, value, kind, optional=optional)
            for pattern in patterns:
                if not re.search(pattern, value):
                    raise ValueError(f"{name} is written as {pattern}, not {value!r}")
            return as_str(value) if isinstance(value, str) else value
        if kind is int:
            check_count(name, value, int(limits[Ge].ge), optional=optional)
            return int(value) if isinstance(value, Integral) else value
        if kind is float and Le in limits:
            check_share(name, value, above_zero=Gt in limits, optional=optional, choices=words)
        elif kind is float:
            check_finite(name, value, optional=optional)
        if kind is float:
            return float(value) if isinstance(value, Real) else value
        if (
            isinstance(kind, type) and is_dataclass(kind) and not isinstance(value, Mapping)
        ):  # which pydantic reads
            check_type(name, value, kind, optional=optional)
    return value


def of_its_kind(declared: FieldInfo, value: Any, *, is_json: bool = False) -> Any:
    """A value that pydantic may then read: it would make numbers of texts, and 1 of `True`.

    So adapters, requests and the core take the same values. `fuse=True` would have the retriever's
    scores alone decide, and `"no"` may not be what its writer thinks.

    Args:
        declared: The option's field.
        value: What was passed for it.
        is_json: Whether it was JSON of some client's: 3 may be written as 3.0 there, and some send
            `"true"`.

    Raises:
        ValueError: If it is a text, or `True` or `False`, also numpy's, where the option is a
            number, a fraction where it is a whole one, no truth value where it is one, bytes where
            it is a text, or a text or a set where it is a list.
    """
    kinds = kinds_of(declared)
    is_text = isinstance(value, str | bytes | bytearray)
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    if value is None or (is_text and (value in words or (str in kinds and isinstance(value, str)))):
        return value
    if int in kinds or float in kinds:
        if _is_truth(value):
            raise ValueError("must be a number, not true or false")
        if is_text:
            raise ValueError(f"must be {' or '.join(['a number', *map(repr, words)])}, not text")
        if not is_json and float not in kinds and not isinstance(value, Integral):
            raise ValueError("must be a whole number")
    elif bool in kinds and not _is_truth(value) and not is_json:
        raise ValueError("must be true or false")
    elif str in kinds and is_text:
        raise ValueError("must be a text, not bytes")
    elif tuple[str, ...] in kinds and isinstance(value, str | bytes | Set):
        raise ValueError("must be a list of texts")
    return value


def _is_truth(value: Any) -> bool:
    return type(value).__name__ in ("bool", "bool_")


def kinds_of(declared: FieldInfo) -> tuple[Any, ...]:
    """The types that an option may be of: the members of a union, else the one."""
    annotation = declared.annotation
    if get_origin(annotation) in (Literal, tuple) or not get_args(annotation):
        return (annotation,)
    return tuple(
        get_args(kind)[0] if get_origin(kind) is Annotated else kind
        for kind in get_args(annotation)
    )


def limits_of(declared: FieldInfo) -> dict[type, Any]:
    """The limits of an option's value, by their kind, its own or those of a member of a union."""
    members = get_args(declared.annotation)
    inner = [get_args(kind)[1:] for kind in members if get_origin(kind) is Annotated]
    return {type(limit): limit for limit in chain(declared.metadata, *inner)}


def told(declared: FieldInfo, what: str) -> Any:
    """What an option's declaration says of it beside its limits, see `option`."""
    extra = declared.json_schema_extra
    return extra.get(what) if isinstance(extra, dict) else None
