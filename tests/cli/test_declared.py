"""Declared options on the command line, one of a newcomer's among them."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import pytest
import typer
from pydantic import BaseModel, ValidationError
from typer.testing import CliRunner

from attnmass.cli.declared import Given, Shown, options_of
from attnmass.cli.groups import command
from attnmass.cli.model_options import CacheGroup, LoadOptions, ModelOptions
from attnmass.cli.options import SelectionOptions, ServeOptions, TrimOptions
from attnmass.options.declared import (
    Loading,
    Reading,
    Selecting,
    Storing,
    Trimming,
    names_of,
    option,
)
from attnmass.options.serving import Serving
from tests.cli.conftest import Cli
from tests.contract.adapters import LangChainAdapter, LlamaIndexAdapter


class Dating(BaseModel):
    """Options of a newcomer: what is older is left out."""

    not_before: int | None = option(None, "Leave out chunks of earlier years", unset="none", ge=1)
    undated: Literal["keep", "drop"] = option(
        "keep", "What becomes of chunks without a year; None for the reader's choice"
    )
    strictly: bool = option(False, "Whether not_before itself is left out, too")


@options_of(Dating, panel="Dates", not_before=Shown("-y", metavar="YEAR"))
class DatingOptions(Given):
    """What is too old."""


def test_an_option_from_outside_is_one_of_the_command_line() -> None:
    """A group that is declared once becomes options, with its types, limits and sentences."""
    app = typer.Typer()
    told: list[dict[str, Any]] = []

    def date(*, dates: DatingOptions) -> None:
        """Try."""
        told.append(dates.given())

    command(app, "date")(date)
    run = CliRunner().invoke
    assert run(app, ["-y", "1999", "--undated", "drop", "--strictly"]).exit_code == 0
    assert run(app, []).exit_code == 0
    assert told == [{"not_before": 1999, "undated": "drop", "strictly": True}, {}]
    assert run(app, ["--undated", "sell"]).exit_code == 2
    assert run(app, ["--not-before", "x"]).exit_code == 2
    shown = " ".join(run(app, ["--help"], env={"COLUMNS": "200"}).output.split())
    assert "YEAR Leave out chunks of earlier years; default: none." in shown
    assert "What becomes of chunks without a year." in shown
    assert "Whether --not-before itself is left out, too." in shown


@pytest.mark.parametrize("adapter", [LlamaIndexAdapter, LangChainAdapter])
def test_and_a_field_of_both_adapters(adapter: Any) -> None:
    """The same group, mixed into a reranker, is a field with a check and a sentence of help."""
    base: Any = adapter().Rerank

    class Rerank(Dating, base):
        """Knows years."""

    rerank = Rerank(not_before=1999, top_n=2)
    assert (rerank.not_before, rerank.undated, rerank.top_n) == (1999, "keep", 2)
    assert json.loads(rerank.model_dump_json())["not_before"] == 1999
    assert "    not_before: Leave out chunks of earlier years; default: none." in Rerank.__doc__
    with pytest.raises(ValidationError, match="not_before"):
        Rerank(not_before=0)
    with pytest.raises(ValueError, match=r"no field 'not_befor'\. Did you mean 'not_before'\?"):
        Rerank(not_befor=3)


@pytest.mark.parametrize(
    ("group", "declared", "but"),
    [
        (ModelOptions, (Loading, Reading), {"reading"}),
        (LoadOptions, (Loading, Reading), {"profile", "fit_texts", "heads", "rank_by", "reading"}),
        (CacheGroup, (Storing,), set()),
        (SelectionOptions, (Selecting,), set()),
        (TrimOptions, (Trimming,), {"embed_model"}),  # an object
        (ServeOptions, (Serving,), {"api_keys"}),
    ],
)
def test_every_declared_option_is_one(
    group: Any, declared: tuple[type[BaseModel], ...], but: set[str]
) -> None:
    """No option of a group is missing, each is `None` where nothing is said, and has help."""
    assert {each.name for each in fields(group)} == set(names_of(*declared)) - but
    assert group().given() == {}
    for each in fields(group):
        assert each.default is None
        assert each.type.__metadata__[0].help.endswith(".")


def test_options_reach_the_loader(cli: Cli, texts: Path) -> None:
    """What is declared for reading goes to the model's loader under its own name."""
    cli.json("rank", "gold", "docs", "--rank-by", "attention", "--layout", "joint")
    assert cli.loaded == [((), {"rank_by": "attention", "layout": "joint"})]
