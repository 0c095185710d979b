"""Writes the reference of options from their declarations: `make options`."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from attnmass.adapters.fields import OfAdapters
from attnmass.options.checked import kinds_of
from attnmass.options.clustering import Clustering
from attnmass.options.declared import (
    JointReading,
    Loading,
    PointwiseReading,
    Reading,
    Remote,
    Selecting,
    Storing,
    Trimming,
)
from attnmass.options.serving import Serving
from attnmass.profiles import HeadProfile

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "options.md"

GROUPS = (
    Loading,
    Selecting,
    Trimming,
    Reading[HeadProfile],
    Storing,
    OfAdapters,
    Remote,
    JointReading,
    PointwiseReading,
    Serving,
    Clustering,
)

_HEAD = """# Options

Fields of `AttentionRerank` in both packages; but for what only adapters have, also what
`AttentionRanker` and `Trim` take and, spelled as `--top-n`, the command line; `embed_model`, which
no text can name, is neither there nor beside a server's URL. Only `AttentionRerank` has a `top_n`
of its own: `"auto"`, which is 5, and all under `max_tokens`. What only one layout has is an object,
passed as `reading=JointReading(second_pass=True)`; both kinds are in `attnmass`. The last group but
one is for `attnmass serve` alone, and the last for `attnmass.serving.ray`.
"""


def render() -> str:
    """The page, as the declarations are now."""
    return "\n".join([_HEAD, *map(_section, GROUPS)])


def _section(group: type[BaseModel]) -> str:
    doc = next(each.__doc__ for each in group.__mro__ if each.__doc__)
    title = doc.partition("\n")[0].partition(";")[0].rstrip(".")
    rows = [_row(name, info) for name, info in group.model_fields.items()]
    return "\n".join(
        [f"## {title}", "", "| option | values | default | |", "|---|---|---|---|", *rows, ""]
    )


def _row(name: str, info: FieldInfo) -> str:
    default = "" if info.default in (None, ()) else f"`{info.default!r}`"
    return f"| `{name}` | {_values(info)} | {default} | {info.description} |"


def _values(info: FieldInfo) -> str:
    kinds = [kind for kind in kinds_of(info) if kind is not NoneType]
    limits = ""
    for limit in info.metadata:
        if isinstance(limit, Ge):
            limits += f", {limit.ge} or more"
        elif isinstance(limit, Gt):
            limits += f", above {limit.gt}"
        elif isinstance(limit, Le):
            limits += f", {limit.le} or less"
    return " or ".join(filter(None, map(_kind, kinds))) + limits


def _kind(kind: Any) -> str:
    if get_args(kind) and get_origin(kind) is not tuple:
        return ", ".join(f"`{each!r}`" for each in get_args(kind))
    known = {int: "whole number", float: "number", bool: "`True`, `False`", str: "text"}
    if get_origin(kind) is tuple:
        return "texts" if get_args(kind)[0] is str else "pairs"
    return known.get(kind, "" if kind is Any else f"`{getattr(kind, '__name__', kind)}`")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
