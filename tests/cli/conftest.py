"""A command line whose model is a stub: what it is asked, and how it is loaded, is remembered."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from attnmass import AttentionRanker, Chunk
from attnmass.cli.app import app
from attnmass.profiles import EvidenceRule, HeadProfile
from tests.contract.stub import StubRanker

PROFILE = HeadProfile(
    "stub", "parallel", ((0, 0),), (1.0,), evidence=EvidenceRule(threshold=0.001, bias=0.0)
)


def mass(chunk: Chunk) -> float:
    """The more often a chunk says `gold`, the more it gets."""
    return 0.01 + 0.1 * chunk.text.count("gold")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Always."""
        return True


@dataclass
class Cli:
    """Runs commands in this process."""

    loaded: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    stub: StubRanker = field(default_factory=lambda: StubRanker(mass, hot="gold", profile=PROFILE))

    def __call__(self, *args: str | Path, stdin: str | bytes | None = "") -> Result:
        """Run a command; `stdin` is what is piped in."""
        return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)

    def json(self, *args: str | Path, stdin: str | bytes | None = "") -> Any:
        """Run a command that has to succeed, as JSON."""
        result = self(*args, "--format", "json", stdin=stdin)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def fails(self, code: int, *args: str | Path, stdin: str | bytes | None = "") -> str:
        """Run a command that has to fail with a code; gives what it says on stderr."""
        result = self(*args, stdin=stdin)
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        told = [line for line in lines if not line.startswith(("note: ", "warning: "))]
        assert told[0].startswith("error: "), result.stderr
        assert len(told) == 1 or (len(told) == 2 and told[1].startswith("hint: ")), result.stderr
        return result.stderr

    @property
    def asked(self) -> list[str]:
        """Texts of the chunks in the last call."""
        return [chunk.text for chunk in self.stub.calls[-1].chunks]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line over a stub."""
    found = Cli()

    def load(*args: Any, **options: Any) -> AttentionRanker:
        found.loaded.append((args, options))
        return found.stub

    monkeypatch.setattr(AttentionRanker, "from_pretrained", load)
    monkeypatch.setenv("COLUMNS", "100")
    return found


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three texts, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    write = _writer(tmp_path)
    write("docs/iron.txt", "Iron is grey.")
    write("docs/gold.md", "# Metals\n\nMines have gold. Also gold dust. Nothing else is there.\n")
    write("docs/deep/mixed.txt", "Some gold was found in the river.\n")
    return tmp_path


def _writer(folder: Path) -> Callable[[str, str], None]:
    def write(name: str, text: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return write
