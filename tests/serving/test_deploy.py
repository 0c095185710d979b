"""The container, the compose file and the unit: what they run is what there is."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from attnmass.cli.app import app
from attnmass.cli.serve import KEYS
from attnmass.options.remote import API_KEY
from attnmass.options.urls import REDIS_PASSWORD

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "serve.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVE: Any = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
OPTIONS = {name for parameter in SERVE.params for name in parameter.opts}
VARIABLES = {f"ATTNMASS_{parameter.name.upper()}" for parameter in SERVE.params} | {KEYS}


def check_command(words: list[str]) -> None:
    """Hold a command to what `attnmass serve` takes."""
    while re.match(r"[A-Z_]+=", words[0]):
        assert words.pop(0).partition("=")[0] in VARIABLES
    assert Path(words[0]).name == "attnmass"
    assert words[1] == "serve"
    context = SERVE.make_context("serve", [*words[2:]], resilient_parsing=False)
    assert context.params


def instruction(name: str) -> str:
    """The last instruction of this name in the Dockerfile."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.+)$", joined, re.MULTILINE)[-1]


def test_the_container_runs_the_server() -> None:
    """Its command is one that there is, its variables are options, and it runs as no root."""
    check_command([*json.loads(instruction("ENTRYPOINT")), *json.loads(instruction("CMD"))])
    names = dict(pair.split("=") for pair in instruction("ENV").split())
    assert names.pop("HF_HUB_OFFLINE") == "1"
    assert set(names) == {"ATTNMASS_HOST", "ATTNMASS_PORT", "ATTNMASS_STORE"} <= VARIABLES
    assert instruction("EXPOSE") == names["ATTNMASS_PORT"]
    assert instruction("VOLUME") == names["ATTNMASS_STORE"]
    assert instruction("USER") == "attnmass"
    assert f":{names['ATTNMASS_PORT']}/ready" in instruction("HEALTHCHECK")


def test_what_the_container_is_made_of_is_there() -> None:
    """Every path that is copied is in the repository, and let through by .dockerignore."""
    let_through = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = re.findall(r"^COPY (.+) /src/\S*$", DOCKERFILE, re.MULTILINE)
    paths = {path for line in copied for path in line.split()}
    assert paths == let_through
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_compose_file() -> None:
    """It runs a command that there is, asks for keys, and gives the server time to end."""
    found = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    service = found["services"]["attnmass"]
    check_command(["attnmass", *service["command"]])
    assert set(service["environment"]) <= VARIABLES
    assert service["environment"][KEYS].startswith(f"${{{KEYS}:?")
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    (volume,) = service["volumes"]
    name, _, path = volume.partition(":")
    assert name in found["volumes"]
    assert path == instruction("VOLUME")
    drain = next(parameter for parameter in SERVE.params if parameter.name == "drain_timeout")
    assert drain.default is None
    assert int(service["stop_grace_period"].removesuffix("s")) > 30 + 10


def test_the_unit_of_systemd() -> None:
    """Its command is one that there is, and its time to end is longer than the server's."""
    (text,) = re.findall(r"```ini\n(.+?)```", PAGE, re.DOTALL)
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(re.sub(r"\\\n\s*", "", text))  # as systemd joins lines
    assert set(unit) == {"DEFAULT", "Unit", "Service", "Install"}
    check_command(shlex.split(unit["Service"]["ExecStart"]))
    assert int(unit["Service"]["TimeoutStopSec"]) > 30 + 10


@pytest.mark.parametrize("line", re.findall(r"^\$ (.*attnmass serve.*)$", PAGE, re.MULTILINE))
def test_commands_of_the_page(line: str) -> None:
    """Each that the page shows is one that there is."""
    check_command(shlex.split(line))


def test_options_of_the_page() -> None:
    """Options and variables that it names are there, and commands are shown at all."""
    assert len(re.findall(r"^\$ (.*attnmass serve.*)$", PAGE, re.MULTILINE)) >= 3
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE.partition("## Clients")[2]))
    assert named - OPTIONS == {"--help"}
    assert set(re.findall(r"ATTNMASS_[A-Z_]+", PAGE)) <= VARIABLES | {API_KEY, REDIS_PASSWORD}


def test_metrics_of_the_page() -> None:
    """Metrics that the page names are those that the server tells."""
    from attnmass.serving import metrics

    source = Path(metrics.__file__).read_text(encoding="utf-8")
    declared = set(re.findall(r'"(attnmass_\w+)"', source))
    named = {name.removesuffix("_total") for name in re.findall(r"`(attnmass_\w+)", PAGE)}
    assert named == declared


def test_routes_of_the_page(client: Any) -> None:
    """Routes that the page names are those that there are."""
    table = PAGE.partition("## Routes")[2].partition("\n## ")[0]
    named = {
        path
        for line in re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
        for path in re.findall(r"(/[\w/.]+)", line)
    }
    told = set(client.get("/openapi.json").json()["paths"]) | {"/docs", "/openapi.json"}
    assert named == {path.replace("{rest}", "...") for path in told}
