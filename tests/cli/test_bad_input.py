"""What is wrong is told in one line, with a hint, and with a code that says what kind it is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from attnmass import AttentionRanker, CaptureError, UnsupportedModelError, WeightsNotFoundError
from attnmass.cli import asking, reading
from attnmass.cli.errors import spelled_as_options
from tests.cli.conftest import Cli

USAGE, INPUT, MODEL, FAILED = 2, 3, 4, 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no QUERY"),
        ((" \t",), "blank"),
        (("gold", "docs", "--top-n", "0"), "--top-n must be at least 1, not 0"),
        (("gold", "docs", "--top-n", "many"), "--top-n"),
        (("gold", "docs", "--fuse", "2"), "--fuse must be between 0 and 1 or auto, not 2.0"),
        (("gold", "docs", "--fuse", "0.5"), "docs/gold.md has none"),
        (("gold", "docs", "--order", "random"), "'--order': 'random' is not one of"),
        (("gold", "docs", "--topn", "1"), "--top-n"),
        (("gold", "docs", "--heads", "18:6"), "18-6,18-7"),
        (("gold", "docs", "--heads", "1-2", "--profile", "x.json"), "not both"),
        (("gold", "docs", "--store-bytes", "9"), "--store-bytes bounds a store"),
        (("gold", "docs", "--store-format", "int4"), "int4"),
        (("gold", "-", "-"), "once"),
        (("--queries", "-", "-"), "stdin"),
        (("gold", "docs", "--split", "0"), "--split"),
        (("--queries", "q.jsonl", "-f", "text"), "--format text"),
    ],
)
def test_usage(cli: Cli, texts: Path, arguments: tuple[str, ...], said: str) -> None:
    """Wrong and contradictory arguments end with 2, before a model is loaded."""
    Path("q.jsonl").write_text('{"query": "a", "chunks": []}\n')
    found = cli.fails(USAGE, "rank", *arguments)
    assert said in found.splitlines()[0]
    assert not cli.loaded


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--max-tokens", "0"), "--max-tokens must be at least 1, not 0"),
        (("--keep-ratio", "1.5"), "--keep-ratio must be above 0 and at most 1, not 1.5"),
        (("--on-empty", "weep"), "--on-empty"),
        (("--min-keep", "-1"), "--min-keep must be at least 0, not -1"),
        (("--max-tokens", "1"), "--max-tokens"),
    ],
)
def test_trimming(cli: Cli, texts: Path, arguments: tuple[str, ...], said: str) -> None:
    """So do requests for trimming that cannot be met."""
    assert said in cli.fails(USAGE, "trim", "gold", "docs", *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("rank", "gold", "docs", "--top-n"),
        ("trim", "--max-tokens"),
        ("store", "--push"),
        ("profiles", "verify", "--model"),
        ("rank", "--nosuch"),
        ("trim", "--min-keep", "x"),
    ],
)
def test_the_hint_names_the_command(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Whatever is wrong with an option, its own command's help is where it stands."""
    command = " ".join(arguments[: 2 if arguments[0] == "profiles" else 1])
    assert cli.fails(USAGE, *arguments).splitlines()[1] == f"hint: attnmass {command} --help"


@pytest.mark.parametrize(
    ("code", "arguments", "said"),
    [
        (USAGE, ("rank", "gold", "docs", "--modle", "x"), "--model"),
        (USAGE, ("rnak",), "Did you mean 'rank'?"),
        (USAGE, ("profiles", "lst"), "Did you mean 'list'?"),
        (INPUT, ("profiles", "show", "smolm2-135m.joint"), "Did you mean 'smollm2-135m.joint'?"),
        (INPUT, ("rank", "gold", "docs", "--profile", "m1ne.json"), "Did you mean 'mine.json'?"),
    ],
)
def test_the_nearest_name_is_told(
    cli: Cli, texts: Path, code: int, arguments: tuple[str, ...], said: str
) -> None:
    """What is misspelled is an error that asks whether the nearest name was meant."""
    Path("mine.json").write_text("{}")
    assert said in cli.fails(code, *arguments).splitlines()[0]
    assert not cli.loaded


BAD_LINES = [
    ("{", "not JSON"),
    ('{"text": "a"} x', "not JSON"),
    ('{"text": NaN}', "NaN"),
    ('{"text": "a", "metadata": {"n": 1e999}}', "not JSON: a number is too large for a float"),
    ('{"text": "a", "metadata": {"n": ' + "9" * 5000 + "}}", "a number has more than 4,300 digits"),
    ("[1]", "a list, not an object"),
    ('"a"', "a string, not an object"),
    ("{}", "no text"),
    ('{"text": null}', "no text"),
    ('{"text": 5}', "text is a number, not a string"),
    ('{"text": "a", "id": [1]}', "id is a list"),
    ('{"text": "a", "id": true}', "id is a boolean"),
    ('{"text": "a", "title": 1}', "title is a number"),
    ('{"text": "a", "metadata": ["1"]}', "metadata is a list, not an object"),
    ('{"text": "a", "score": "1"}', "score is a string, not a number"),
    ('{"text": "a", "score": true}', "score is a boolean"),
    ('{"text": "a", "score": 1e999}', "not JSON: a number is too large for a float"),
    ('{"text": "a", "score": 1' + "0" * 400 + "}", "score is not finite"),
    ('{"text": "a", "score": 1' + "0" * 5000 + "}", "not JSON"),
    ('{"text": ' + "[" * 100_000, "nested too deeply"),
    ('{"query": "who?", "chunks": []}', "a question, not a chunk"),
]


@pytest.mark.parametrize(("line", "said"), BAD_LINES)
def test_bad_line(cli: Cli, texts: Path, line: str, said: str) -> None:
    """A line that is no chunk ends with 3, and file and line are named, from stdin likewise."""
    lines = f'{{"text": "fine \\u2028 \u2028"}}\n\n{line}\n'
    Path("bad.jsonl").write_text(lines, encoding="utf-8")
    found = cli.fails(INPUT, "rank", "gold", "bad.jsonl")
    assert found.startswith("error: bad.jsonl:3: ")
    assert said in found
    assert len(found) < 500
    assert "<stdin>:3:" in cli.fails(INPUT, "rank", "gold", stdin=lines)
    assert not cli.loaded


@pytest.mark.parametrize("number", ["NaN", "1e999", "9" * 5000], ids=lambda said: said[:5])
def test_bad_first_line(cli: Cli, number: str) -> None:
    """An object with a wrong number is a bad JSON line from stdin, and no paragraph of text."""
    line = f'{{"text": "gold", "score": {number}}}\n'
    assert "<stdin>:1: not JSON: " in cli.fails(INPUT, "rank", "gold", stdin=line)
    assert not cli.loaded


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "a"}', "no query"),
        ('{"query": " ", "chunks": []}', "a blank query"),
        ('{"query": 5, "chunks": []}', "no query"),
        ('{"query": "a"}', "no chunks"),
        ('{"query": "a", "chunks": "b"}', "chunks is not a list"),
        ('{"query": "a", "chunks": [5]}', "chunks[0] is not an object"),
        ('{"query": "a", "chunks": ["b", {"text": 1}]}', "chunks[1]: text is a number"),
    ],
)
def test_bad_question(cli: Cli, texts: Path, line: str, said: str) -> None:
    """A line that is no question ends with 3, with file, line and chunk."""
    Path("q.jsonl").write_text(line)
    assert f"q.jsonl:1: {said}" in cli.fails(INPUT, "rank", "--queries", "q.jsonl")


def test_chunks_twice(cli: Cli, texts: Path) -> None:
    """Questions with chunks of their own have none of PATHS."""
    Path("q.jsonl").write_text('{"query": "a", "chunks": ["b"]}')
    found = cli.fails(INPUT, "rank", "--queries", "q.jsonl", "docs")
    assert "q.jsonl:1: has chunks of its own" in found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing.md", "missing.md: no such file or folder"),
        ("binary.txt", "binary.txt: not UTF-8 text"),
        ("latin.txt", "latin.txt: not UTF-8 text"),
        ("empty", "nothing to read in empty"),
        ("empty.jsonl", "nothing to read in empty.jsonl"),
        ("a\0b", "not a file name"),
        ("x" * 5000, "cannot be read"),
        ("mi\nss\x1b[31ming", "no such file"),
    ],
)
def test_bad_file(cli: Cli, texts: Path, path: str, said: str) -> None:
    """Files that are missing, binary, in another encoding or empty end with 3."""
    Path("binary.txt").write_bytes(b"PK\x03\x04\x00\x00gold")
    Path("latin.txt").write_bytes("Käse".encode("latin-1"))
    Path("empty").mkdir()
    Path("empty.jsonl").write_text("\n \n")
    found = cli.fails(INPUT, "rank", "gold", path)
    assert said in found
    assert "\x1b" not in found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.json", "none.json: no profile of that name ships, and there is no such file"),
        ("docs", "docs: cannot be read"),
        ("bad.json", "bad.json is not a head profile"),
    ],
)
def test_bad_profile(cli: Cli, texts: Path, path: str, said: str) -> None:
    """A head profile that is missing or none ends with 3, before a model is loaded."""
    Path("bad.json").write_text("{}")
    assert said in cli.fails(INPUT, "rank", "gold", "docs", "--profile", path)
    assert not cli.loaded


@pytest.mark.parametrize("stdin", ["", " \n\n\t\n"])
def test_empty_stdin(cli: Cli, texts: Path, stdin: str) -> None:
    """Nothing on stdin ends with 3; a file in the place of the question is found out."""
    assert "nothing to read in <stdin>" in cli.fails(INPUT, "rank", "gold", stdin=stdin)
    found = cli.fails(INPUT, "rank", "docs/gold.md", stdin=stdin)
    assert "docs/gold.md is a file: pass the question before it" in found


def test_binary_stdin(cli: Cli, texts: Path) -> None:
    """So does what is no text on stdin."""
    assert "<stdin>: not UTF-8" in cli.fails(INPUT, "rank", "gold", stdin=b"\xff\xfe\x00")


def test_terminal_as_stdin(cli: Cli, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without paths nobody waits for what a person might type: that is an error of usage."""
    monkeypatch.setattr(reading, "stdin_is_terminal", lambda: True)
    assert "name files or folders" in cli.fails(USAGE, "rank", "gold")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_unreadable(cli: Cli, texts: Path) -> None:
    """A file or folder without permission ends with 3 where it is named."""
    Path("docs/gold.md").chmod(0)
    assert "cannot be read" in cli.fails(INPUT, "rank", "gold", "docs/gold.md")
    Path("docs").chmod(0)
    assert "cannot be read" in cli.fails(INPUT, "rank", "gold", "docs")
    Path("docs").chmod(0o700)


def test_unreadable_folder(cli: Cli, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be listed is an error where it is named, and a note within another."""
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert "docs/deep: cannot be read" in cli.fails(INPUT, "rank", "gold", "docs/deep")
    result = cli("rank", "gold", "docs")
    assert result.exit_code == 0
    assert "1 not readable (docs/deep)" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (WeightsNotFoundError("no weights for 'x'"), MODEL, "no weights for 'x'"),
        (UnsupportedModelError("differs\nhere"), MODEL, "differs here"),
        (ValueError("store is a file; pass heads=None"), USAGE, "--store is a file"),
        (CaptureError("NaN"), FAILED, "NaN"),
        (MemoryError("too much"), FAILED, "--max-batch-tokens"),
        (ZeroDivisionError("by us"), FAILED, "--debug"),
        (OSError(28, "No space left"), FAILED, "No space left"),
    ],
)
def test_loading_fails(
    cli: Cli,
    texts: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
    said: str,
) -> None:
    """What goes wrong with a model has a code of its own, and a traceback on request only."""

    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(AttentionRanker, "from_pretrained", fail)
    found = cli.fails(code, "rank", "gold", "docs")
    assert said in found
    debugged = cli("rank", "gold", "docs", "--debug")
    assert debugged.exit_code == code
    assert "Traceback" in debugged.stderr
    assert type(error).__name__ in debugged.stderr


def test_ranking_fails(cli: Cli, texts: Path) -> None:
    """What the model says of the arguments when it ranks is told as usage, too."""
    cli.stub._error = ValueError("the query is too long: 9 tokens, and top_n=3")
    assert "too long: 9 tokens, and --top-n 3" in cli.fails(USAGE, "rank", "gold", "docs")


def test_interrupted(cli: Cli, texts: Path) -> None:
    """Ctrl-C ends with 130 and without a word."""
    cli.stub._error = KeyboardInterrupt()  # type: ignore[assignment]
    result = cli("rank", "gold", "docs")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "")


def test_reader_is_gone(cli: Cli, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When whoever read stops reading, the end is 141 and without a word."""

    def write(*_: Any) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(asking.Writer, "write", write)
    result = cli("rank", "gold", "docs")
    assert (result.exit_code, result.stdout, result.stderr) == (141, "", "")


def test_no_tokenizer(cli: Cli, texts: Path) -> None:
    """A reader's tokenizer that is not there is an error about weights."""
    found = cli.fails(MODEL, "trim", "gold", "docs", "--tokenizer", "./nowhere")
    assert "no tokenizer for './nowhere'" in found


@pytest.mark.parametrize(
    ("said", "spelled"),
    [
        ("top_n must be at least 1, or None for all, not 0", "--top-n must be at least 1, not 0"),
        ("pass max_tokens=800, or fuse=None", "pass --max-tokens 800, or no --fuse"),
        ("pass on_no_evidence='empty' or 'keep'", "pass --on-no-evidence empty or keep"),
        ("layout 'joint' is not one", "--layout 'joint' is not one"),
        ("the model has no such heads", "the model has no such heads"),
    ],
)
def test_options_are_spelled_as_here(said: str, spelled: str) -> None:
    """Messages of the API name its arguments; here they are options."""
    assert spelled_as_options(said) == spelled


def test_error_is_json_safe(cli: Cli, texts: Path) -> None:
    """With JSON asked for, an error leaves stdout empty, so that nothing parses half of it."""
    Path("q.jsonl").write_text(json.dumps({"query": "a", "chunks": ["b"]}) + "\n{\n")
    cli.fails(INPUT, "rank", "--queries", "q.jsonl", "-f", "json")


def test_question_and_paths_in_the_wrong_order(cli: Cli, texts: Path) -> None:
    """Where the first argument is a file and the second none, the hint says which comes first."""
    said = cli.fails(INPUT, "rank", str(texts), "Who wrote it?")
    assert "Who wrote it?: no such file or folder" in said
    assert f"the question comes first, then {texts}" in said
    assert "comes first" not in cli.fails(INPUT, "rank", "gold", "missing.md")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rank", "gold", "docs", "--store", ""), USAGE, "--store is empty: name a folder"),
        (("index", "docs", "--store", ""), USAGE, "--store is empty: name a folder"),
        (("rank", "gold", "docs", "--model", ""), USAGE, "--model is empty: pass a name"),
        (("rank", "gold", "docs", "--profile", ""), USAGE, "--profile is empty: pass a file"),
        (
            ("rank", "gold", "docs", "--profile", "smollm2-135m.late"),
            INPUT,
            "leave out --profile, or pass --layout ...",
        ),
        (("rank", "gold", "docs", "--queries", "q.jsonl"), INPUT, "there is no QUERY, only PATHS"),
        (("explain", "gold", "docs", "--head", "x"), USAGE, "--head takes layer-head pairs"),
        (("explain", "gold", "docs", "--head", "9-9"), USAGE, "hint: pass one of 0-0"),
        (("explain", "gold", "docs", "-o", "docs"), USAGE, "--output docs does not say"),
        (("store", "docs", "--push", "foo://x"), USAGE, "--push 'foo://x' is not the URL of"),
    ],
)
def test_what_is_wrong_is_named_as_it_was_written(
    cli: Cli, texts: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """Options by their names here, with what to pass; nothing is written where nobody said."""
    Path("q.jsonl").write_text('{"query": "gold"}\n')
    assert said in cli.fails(code, *arguments)
    assert not (texts / "store.sqlite3").exists()


def test_notes_name_options_as_they_are_here(cli: Cli, texts: Path) -> None:
    """What did not fit into the budget is told with the option that sets it."""
    Path("docs/long.md").write_text("gold " * 40)
    result = cli("trim", "gold", "docs", "--max-tokens", "9")
    assert "did not fit into --max-tokens 9" in result.stderr
