"""`attnmass serve`, up to where it serves."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnmass.serving import extra, server
from attnmass.serving.options import ServingOptions
from tests.cli.conftest import Cli


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServingOptions]:
    """What the server was run with; it ends at once, its model loaded."""
    found: list[ServingOptions] = []

    def run(
        load: Callable[[], Any], options: ServingOptions, listener: Any, *, asked: str, quiet: bool
    ) -> None:
        load()
        found.append(options)

    monkeypatch.setattr(server, "run", run)
    monkeypatch.setattr(server, "listen", lambda options: None)
    for name in ("ATTNMASS_API_KEYS", "ATTNMASS_PORT"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_defaults(cli: Cli, served: list[ServingOptions]) -> None:
    """Without options it is this machine alone, and the default model as it is read elsewhere."""
    result = cli("serve")
    assert result.exit_code == 0, result.stderr
    (options,) = served
    assert (options.host, options.port, options.scores) == ("127.0.0.1", 8080, "auto")
    assert cli.loaded == [((), {})]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ((), "smollm2-135m"),
        (("--model", "All-MiniLM-L6-v2"), "all-minilm-l6-v2"),
        (("--model", "some/folder"), "some/folder"),
    ],
)
def test_the_name_of_a_model_that_is_not_loaded_yet(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], name: str
) -> None:
    """The server is told what was asked for, spelled as the loaded model has it."""
    names: list[str] = []
    monkeypatch.setattr(server, "run", lambda *_, asked, **__: names.append(asked))
    monkeypatch.setattr(server, "listen", lambda options: None)
    assert cli("serve", *given).exit_code == 0
    assert names == [name]


@pytest.mark.parametrize(
    ("args", "arguments"),
    [
        (("--layout", "parallel"), {"layout": "parallel"}),
        (("--heads", "1-2"), {"heads": ((1, 2),)}),
        (("--model", "all-minilm-l6-v2"), {}),
        (("--model", "some/folder"), {}),
    ],
)
def test_the_layout(
    cli: Cli, served: list[ServingOptions], args: tuple[str, ...], arguments: Any
) -> None:
    """The late layout is taken where its heads are known and the user says nothing else."""
    assert cli("serve", *args).exit_code == 0
    assert cli.loaded[0][1] == arguments


def test_the_environment(
    cli: Cli, served: list[ServingOptions], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Options are found in the environment, and the command line has the last word."""
    monkeypatch.setenv("ATTNMASS_PORT", "9000")
    monkeypatch.setenv("ATTNMASS_QUEUE_SIZE", "3")
    monkeypatch.setenv("ATTNMASS_API_KEYS", "a,b")
    monkeypatch.setenv("ATTNMASS_MODEL", "some/folder")
    monkeypatch.setenv("ATTNMASS_STORE", str(tmp_path / "kept"))
    assert cli("serve", "--queue-size", "4").exit_code == 0
    (options,) = served
    assert (options.port, options.queue_size, options.keys()) == (9000, 4, (b"a", b"b"))
    assert cli.loaded == [(("some/folder",), {"store": str(tmp_path / "kept")})]


def test_other_commands_do_not_look_there(
    cli: Cli, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's settings change nothing for a command beside it."""
    monkeypatch.setenv("ATTNMASS_MODEL", "some/folder")
    assert cli("rank", "gold", "docs").exit_code == 0
    assert cli.loaded == [((), {})]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--queue-size", "0"), "'--queue-size': Input should be greater"),
        (("--port", "70000"), "--port must be at most 65535"),
        (("--scores", "best"), "'--scores'"),
        (("--cors-origins", "a"), "--cors-origins has 'a'"),
        (("--max-pending-bytes", "5"), "--max-pending-bytes 5 has no room"),
        (("--memory-bytes", "-1"), "--memory-bytes must be at least 0"),
        (("--heads", "x"), "--heads takes layer-head pairs"),
        (("--api-keys", "a"), "No such option: --api-keys"),
    ],
)
@pytest.mark.usefixtures("served")
def test_options_that_are_off(cli: Cli, args: tuple[str, ...], message: str) -> None:
    """They are told in a line, spelled as options, before anything is loaded."""
    assert message in cli.fails(2, "serve", *args)
    assert cli.loaded == []


@pytest.mark.usefixtures("served")
def test_keys_that_cannot_be_read(cli: Cli, tmp_path: Path) -> None:
    """A file of keys that is missing or empty lets nobody in by mistake: it ends there."""
    assert "No such file" in cli.fails(3, "serve", "--api-key-file", tmp_path / "none")
    (tmp_path / "keys").write_text("# none yet\n")
    assert "has no key" in cli.fails(3, "serve", "--api-key-file", tmp_path / "keys")


@pytest.mark.usefixtures("served")
def test_keys_that_are_empty(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does a variable that is set to nothing."""
    monkeypatch.setenv("ATTNMASS_API_KEYS", "")
    assert "names no key" in cli.fails(3, "serve")


def test_what_is_not_installed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the command says what installs it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        extra.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name)
    )
    said = cli.fails(2, "serve")
    assert 'serving needs uvicorn: pip install "attnmass[serve]"' in said


def test_a_port_that_is_taken(cli: Cli) -> None:
    """It is told before a model is loaded for nothing."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"cannot listen at 127.0.0.1:{port}" in cli.fails(5, "serve", "--port", str(port))
    assert cli.loaded == []


@pytest.mark.parametrize(
    ("host", "alone"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("::", False)]
)
def test_who_can_reach_an_address(host: str, alone: bool) -> None:
    """Addresses of the machine alone are told from others."""
    assert server.is_loopback(host) is alone
