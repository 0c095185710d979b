"""What becomes a chunk: of files, folders, stdin."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass.cli.splitting import split_text
from tests.cli.conftest import Cli


def test_folder(cli: Cli, texts: Path) -> None:
    """In folders texts are read, in order, and a note tells what was left out and why."""
    Path("docs/.git").mkdir()
    Path("docs/.git/notes.txt").write_text("gold")
    Path("docs/.hidden.md").write_text("gold")
    Path("docs/code.py").write_text("gold = 1")
    Path("docs/chunks.jsonl").write_text('{"text": "gold"}')
    Path("docs/binary.txt").write_bytes(b"\0gold")
    Path("docs/latin.md").write_bytes(b"K\xe4se")
    Path("docs/blank.md").write_text(" \n")
    Path("docs/LOUD.TXT").write_text("LOUD")
    Path("docs/dangling.md").symlink_to("nowhere")
    Path("docs/loop").symlink_to(".")
    os.mkfifo("docs/pipe.txt")
    result = cli("rank", "gold", "docs", "-f", "json")
    assert cli.asked == [
        "LOUD",
        "# Metals\n\nMines have gold. Also gold dust. Nothing else is there.\n",
        "Iron is grey.",
        "Some gold was found in the river.\n",
    ]
    assert result.stderr == (
        "note: docs: left out 2 hidden (docs/.git, docs/.hidden.md); "
        "2 not UTF-8 text (docs/binary.txt, docs/latin.md); 1 blank (docs/blank.md); "
        "2 of other kinds (.jsonl, .py); 2 no files (docs/dangling.md, docs/pipe.txt)\n"
    )
    assert cli("rank", "gold", "docs", "--quiet").stderr == ""


def test_suffix(cli: Cli, texts: Path) -> None:
    """Other suffixes can be asked for, with or without the dot; a named file needs none."""
    Path("docs/code.py").write_text("gold = 1")
    Path("docs/more.c").write_text("gold;")
    cli("rank", "gold", "docs", "--suffix", ".py", "--suffix", "c")
    assert cli.asked == ["gold = 1", "gold;"]
    cli("rank", "gold", "docs/code.py")
    assert cli.asked == ["gold = 1"]


def test_paragraphs(cli: Cli, texts: Path) -> None:
    """Text on stdin is a chunk a paragraph, with the line and the place where it begins."""
    text = "\n  One gold\nring.\n \t\n\nTwo.\r\n\r\nThree.\n"
    found = cli.json("rank", "gold", "--order", "input", stdin=text)
    chunks = found["chunks"]
    assert [chunk["text"] for chunk in chunks] == ["One gold\nring.", "Two.", "Three."]
    assert [chunk["id"] for chunk in chunks] == ["<stdin>:2", "<stdin>:6", "<stdin>:8"]
    assert all(text[c["start"] :].startswith(c["text"]) for c in chunks)


def test_kind_of_stdin(cli: Cli, texts: Path) -> None:
    """Stdin is JSON Lines if it begins with an object, and text if not or if that is said."""
    cli("rank", "gold", "-", stdin='\n{"text": "gold"}\n')
    assert cli.asked == ["gold"]
    for text in ("{not json}", '["gold"]', "5"):
        cli("rank", "gold", stdin=text)
        assert cli.asked == [text]
    cli("rank", "gold", "--input", "text", stdin='{"text": "gold"}')
    assert cli.asked == ['{"text": "gold"}']


def test_kind_of_files(cli: Cli, texts: Path) -> None:
    """A file is JSON Lines by its suffix, or if that is said."""
    Path("a.NDJSON").write_text('{"text": "gold"}')
    Path("a.txt").write_text('{"text": "gold"}')
    cli("rank", "gold", "a.NDJSON", "a.txt")
    assert cli.asked == ["gold", '{"text": "gold"}']
    cli("rank", "gold", "a.txt", "--input", "jsonl")
    assert cli.asked == ["gold"]


def test_files_and_stdin(cli: Cli, texts: Path) -> None:
    """Stdin can stand among files, in its place."""
    cli("rank", "gold", "docs/iron.txt", "-", "docs/deep", stdin="a\n\nb")
    assert cli.asked == ["Iron is grey.", "a", "b", "Some gold was found in the river.\n"]


def test_text_is_taken_as_it_is(cli: Cli, texts: Path) -> None:
    """Line ends and white space stay, so that offsets are right; a byte-order mark goes."""
    Path("dos.txt").write_bytes(b"\xef\xbb\xbf one\r\ntwo \r\n")
    cli("rank", "gold", "dos.txt")
    assert cli.asked == [" one\r\ntwo \r\n"]


def test_blank_file(cli: Cli, texts: Path) -> None:
    """A blank file that is named is not dropped silently: it comes last, and a note says why."""
    Path("blank.txt").write_text("\n")
    result = cli("rank", "gold", "blank.txt", "docs/gold.md")
    assert result.stdout.splitlines()[1].startswith("0.0000\tblank.txt\t")
    assert result.stderr == "note: blank.txt was not scored: blank\n"


def test_split(cli: Cli, texts: Path) -> None:
    """With `--split` files are cut between sentences, and parts know where they are from."""
    found = cli.json("rank", "gold", "docs/gold.md", "--split", "40", "--order", "input")
    chunks = found["chunks"]
    assert [chunk["text"] for chunk in chunks] == [
        "# Metals\n\nMines have gold.",
        "Also gold dust. Nothing else is there.",
    ]
    assert [chunk["id"] for chunk in chunks] == ["docs/gold.md:1", "docs/gold.md:3"]
    text = Path("docs/gold.md").read_text()
    assert all(text[c["start"] :].startswith(c["text"]) for c in chunks)


def test_metadata_of_json_lines(cli: Cli) -> None:
    """What a line says of a chunk comes back with it, and can be read again."""
    lines = '{"id": "x", "metadata": {"year": 1999}, "text": "One is. Two is."}\n{"text": "Three."}'
    for _ in range(2):
        lines = cli("rank", "gold", "--split", "8", "--format", "jsonl", stdin=lines).stdout
        found = [json.loads(line) for line in lines.splitlines()]
        assert {chunk["text"]: chunk.get("metadata") for chunk in found} == {
            "One is.": {"year": 1999},
            "Two is.": {"year": 1999},
            "Three.": None,
        }


def test_split_json_lines(cli: Cli, texts: Path) -> None:
    """The text of a line is split, too, of a question's chunks as well; its parts are its own."""
    line = '{"id": "x", "title": "T", "score": 2, "text": "One is. Two is."}'
    options = ("--split", "8", "--order", "input")
    found = cli.json("rank", "gold", *options, stdin=line + '\n{"text": " "}')
    parts = [
        (chunk["id"], chunk["start"], chunk["title"], chunk["retrieval_score"], chunk["text"])
        for chunk in found["chunks"]
    ]
    assert parts == [
        ("x", 0, "T", 2.0, "One is."),
        ("x", 8, "T", 2.0, "Two is."),
        ("<stdin>:2", None, None, None, " "),
    ]
    question = f'{{"query": "gold", "chunks": [{line}]}}'
    (found,) = cli.json("rank", "--queries", "-", *options, stdin=question)
    assert [chunk["text"] for chunk in found["chunks"]] == ["One is.", "Two is."]


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("", 9, []),
        (" \n ", 9, []),
        ("One is. Two is. Three is.", 16, ["One is. Two is.", "Three is."]),
        ("A sentence that is too long. No.", 5, ["A sentence that is too long.", "No."]),
        ("# A\n\nText a.\n\n# B\n\nText b.", 99, ["# A\n\nText a.\n\n# B\n\nText b."]),
        ("# A\n\nText a.\n\n# B\n\nText b.", 22, ["# A\n\nText a.", "# B\n\nText b."]),
        ("Text.\n\n# A\n\n## B", 99, ["Text.", "# A\n\n## B"]),
        ("# A\n\n## B\n\nText.", 3, ["# A\n\n## B\n\nText."]),
    ],
)
def test_split_text(text: str, limit: int, expected: list[str]) -> None:
    """Chunks are as full as they may be; headings stay with what they head."""
    assert [text[start:end] for start, end in split_text(text, limit)] == expected


@given(
    st.lists(st.sampled_from(["# H\n\n", "One. ", "Two is it.\n\n", "- a\n", "\u00a0", "x" * 30])),
    st.integers(1, 60),
)
def test_split_keeps_all(parts: list[str], limit: int) -> None:
    """Of any text nothing but white space is lost between chunks, and they do not overlap."""
    text = "".join(parts)
    last, left = 0, ""
    for start, end in split_text(text, limit):
        assert last <= start < end
        left += text[last:start]
        last = end
    assert not (left + text[last:]).strip()
