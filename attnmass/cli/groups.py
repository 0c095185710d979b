"""Commands whose options come in groups, so that commands share them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand

from attnmass.cli import fit_options, options
from attnmass.cli.errors import report
from attnmass.cli.notes import say_warnings


class Command(TyperCommand):
    """A command whose help shows the defaults of the API, looked up when help is shown.

    What is wrong with its arguments is told with its own name.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer, which does not say whose option it is that lacks a value."""
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            if getattr(error, "ctx", None) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As typer does, with the API's defaults for options that are `None` if not given."""
        known = options.api_defaults() | fit_options.api_defaults()
        shown = {
            parameter: known[str(parameter.name)]
            for parameter in self.params
            if parameter.default is None and parameter.name in known
        }
        try:
            for parameter, default in shown.items():
                parameter.default = default
            super().format_help(ctx, formatter)
        finally:
            for parameter in shown:
                parameter.default = None


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[Any], Any]:
    """Register a command, whose errors are told in a line and end the process with their code.

    Its parameters that are dataclasses become options, one for each field; so do fields that are
    dataclasses themselves. A parameter or field
    `debug` asks for tracebacks.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        # What Python 3.10's `get_type_hints` adds to defaults of `None` would hide the option.
        hints = inspect.get_annotations(function, eval_str=True)
        groups: dict[str, Any] = {key: hint for key, hint in hints.items() if is_dataclass(hint)}
        flat: list[inspect.Parameter] = []
        for parameter in inspect.signature(function).parameters.values():
            if parameter.name in groups:
                flat += _options(groups[parameter.name])
            else:
                flat.append(parameter.replace(annotation=hints[parameter.name]))

        @wraps(function)
        def call(**values: Any) -> None:
            debug = bool(values.get("debug"))
            built = {key: _filled(group, values) for key, group in groups.items()}
            try:
                with warnings.catch_warnings():
                    say_warnings(quiet=bool(getattr(built.get("common"), "quiet", False)))
                    function(**values, **built)
            except (typer.Exit, typer.Abort):
                raise
            except (Exception, KeyboardInterrupt) as error:
                raise typer.Exit(report(error, debug=debug)) from None

        kept = sorted(flat, key=lambda parameter: parameter.kind)
        call.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
        paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
        told = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        return app.command(name, cls=Command, help=told, **settings)(call)

    return register


def _options(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    found = []
    for field in fields(group):
        hint = hints[field.name]
        if is_dataclass(hint):
            found += _options(hint)
            continue
        default = field.default if field.default is not MISSING else inspect.Parameter.empty
        kind = inspect.Parameter.KEYWORD_ONLY
        found.append(inspect.Parameter(field.name, kind, default=default, annotation=hint))
    return found


def _filled(group: Any, values: dict[str, Any]) -> Any:
    """A group, and the groups in it, with their values, which are taken out of all."""
    hints = get_type_hints(group)
    return group(
        **{
            name: _filled(hints[name], values) if is_dataclass(hints[name]) else values.pop(name)
            for name in (field.name for field in fields(group))
        }
    )
