"""Declared options as options of the command line, in groups."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer
from annotated_types import Ge
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import Self

from attnmass.options.checked import kinds_of

_PLAIN = (bool, int, float, str)

Group = TypeVar("Group", bound="Given")


class Given:
    """A group of options whose fields are `None` where the user said nothing."""

    if TYPE_CHECKING:  # `options_of` makes a dataclass of it

        def __init__(self, **given: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

    def given(self) -> dict[str, Any]:
        """What the user said, by the API's names."""
        said = asdict(self)  # type: ignore[call-overload]
        return {name: value for name, value in said.items() if value is not None}

    def changed(self, **more: Any) -> Self:
        """As if the user had said that as well."""
        return type(self)(**{**self.given(), **more})


@dataclass(frozen=True, slots=True)
class Shown:
    """What is otherwise on the command line than where an option is declared.

    Attributes:
        short: A second name, such as `-n`.
        long: Its name, where it is not that of the API.
        metavar: What its value is called.
        kind: Its type, where it is written otherwise.
        help: Its sentence, where it does otherwise.
        alone: Whether it has no opposite, `--no-...`.
    """

    short: str = ""
    long: str = ""
    metavar: str | None = None
    kind: Any = None
    help: str = ""
    alone: bool = False


def options_of(
    *groups: type[BaseModel],
    panel: str,
    but: tuple[str, ...] = (),
    checks: bool = False,
    **shown: Shown,
) -> Callable[[type[Group]], type[Group]]:
    """Make a class a dataclass with a field for each option that is declared in some groups.

    Args:
        *groups: Where they are declared.
        panel: Over which they stand in the help.
        but: Names that are left out.
        checks: Whether typer holds numbers to their lower limit, since nobody does before a model
            is loaded.
        **shown: What is otherwise here, by name.
    """

    def fill(group: type[Group]) -> type[Group]:
        declared = {
            name: info
            for each in groups
            for name, info in each.model_fields.items()
            if name not in but
        }
        flags = {name: _flag(name, shown.get(name, Shown())) for name in declared}
        own = []
        for name, info in declared.items():
            how = shown.get(name, Shown())
            least = next((limit.ge for limit in info.metadata if isinstance(limit, Ge)), None)
            words = _words_beside_numbers(info)
            told = typer.Option(
                *_names(flags[name], how, info),
                metavar=how.metavar,
                help=how.help or _spelled(info.description or "", flags),
                min=least if checks else None,  # type: ignore[arg-type]
                parser=_number_or(words) if words else None,
                rich_help_panel=panel,
            )
            own.append((name, Annotated[_kind(info, how) | None, told], field(default=None)))
        namespace = {"__doc__": group.__doc__}
        made = make_dataclass(group.__name__, own, bases=(group,), namespace=namespace, frozen=True)
        # From Python 3.12 on it would be this module, where nobody who unpickles it finds it.
        made.__module__ = group.__module__
        return made

    return fill


def _flag(name: str, how: Shown) -> str:
    return f"--{how.long or name.replace('_', '-')}"


def _names(flag: str, how: Shown, declared: FieldInfo) -> tuple[str, ...]:
    """The option's names; those that are true or not have one for each."""
    if bool in kinds_of(declared) and not how.alone:
        return (f"{flag}/--no-{flag.removeprefix('--')}",)
    return (flag, how.short) if how.short else (flag,)


def _kind(declared: FieldInfo, how: Shown) -> Any:
    """What its value is read as."""
    if how.kind is not None:
        return how.kind
    kinds = kinds_of(declared)
    return next(kind for kind in kinds if kind in _PLAIN or get_origin(kind) is Literal)


def _words_beside_numbers(declared: FieldInfo) -> tuple[str, ...]:
    """The words that an option may be instead of a number; none where it is no number."""
    kinds = kinds_of(declared)
    if float not in kinds:
        return ()
    return tuple(word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind))


def _number_or(words: Sequence[str]) -> Callable[[str], float | str]:
    """Reads a number, or one of a few words."""

    def read(text: str) -> float | str:
        if text in words:
            return text
        try:
            return float(text)
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} is neither a number nor {' or '.join(words)}"
            ) from None

    read.__name__ = "|".join(["number", *words])
    return read


def _spelled(said: str, flags: Mapping[str, str]) -> str:
    """A sentence with other options as they are spelled here, and no word about `None`."""
    said = re.sub(r"[;,] None for [^.;,]+", "", said)
    several = "|".join(name for name in flags if "_" in name)
    return re.sub(rf"\b({several})\b", lambda m: flags[m[1]], said)
