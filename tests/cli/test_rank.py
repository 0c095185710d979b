"""`attnmass rank` and `trim`: what is asked of the model, and what comes out."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnmass.cli.model_options import CacheGroup
from attnmass.cli.options import SelectionOptions, TrimOptions
from attnmass.cli.records import to_json
from attnmass.options.cache import CacheOptions
from attnmass.options.selection import Selection
from attnmass.trimming import Trim
from tests.cli.conftest import Cli
from tests.tiny import tiny_tokenizer

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)


@pytest.mark.parametrize(
    ("group", "of_api", "without"),
    [
        (SelectionOptions, Selection, {"retrieval_scores"}),
        (TrimOptions, Trim, {"counter", "patterns", "embed_model", "embedder"}),
        (CacheGroup, CacheOptions, set()),
    ],
)
def test_options_are_the_apis(group: Any, of_api: Any, without: set[str]) -> None:
    """Every option of the API is one of the command line, and none has a default of its own."""
    options = [*of_api.model_fields] if hasattr(of_api, "model_fields") else fields(of_api)
    names = {getattr(option, "name", option) for option in options} - without
    assert {field.name for field in fields(group)} == names
    assert all(field.default is None for field in fields(group))


def test_files_are_chunks(cli: Cli, texts: Path) -> None:
    """Files and the files of folders are ranked, best first, each as one chunk."""
    found = cli.json("rank", "where is gold?", "docs/iron.txt", "docs")
    assert [chunk["source"] for chunk in found["chunks"]] == [
        "docs/gold.md",
        "docs/deep/mixed.txt",
        "docs/iron.txt",
        "docs/iron.txt",
    ]
    assert found["chunks"][0]["score"] == pytest.approx(0.21)
    assert found["query"] == "where is gold?"
    assert found["no_evidence"] is False
    assert [chunk["index"] for chunk in found["chunks"]] == [1, 3, 0, 2]
    assert set(found["timings"]) == {"tokenize", "encode", "query", "total", "trim"}


def test_what_is_not_said_is_left_to_the_api(cli: Cli, texts: Path) -> None:
    """Without options nothing but the chunks is passed on."""
    cli.json("rank", "gold", "docs")
    assert cli.loaded == [((), {})]
    assert cli.stub.calls[-1].options == {"trim": None, "progress": False}


def test_options_reach_the_api(cli: Cli, texts: Path) -> None:
    """What is said reaches the model and the ranking by the API's names."""
    model = ("-m", "some/model", "--device", "cpu", "--dtype", "float32", "--heads", "3-1,4-0")
    more = ("--max-batch-tokens", "9", "--batch-size", "2", "--local-files-only")
    cache = ("--store", "kept", "--store-format", "int8")
    chosen = ("-n", "1", "--fuse", "auto", "--order", "input")
    found = cli.json("rank", "gold", "docs", *model, *more, *cache, *chosen)
    assert cli.loaded == [
        (
            ("some/model",),
            {
                "device": "cpu",
                "dtype": "float32",
                "heads": ((3, 1), (4, 0)),
                "max_batch_tokens": 9,
                "batch_size": 2,
                "local_files_only": True,
                "store": "kept",
                "store_format": "int8",
            },
        )
    ]
    options = cli.stub.calls[-1].options
    assert (options["top_n"], options["fuse"], options["order"]) == (1, "auto", "input")
    assert {chunk["dropped"] for chunk in found["dropped"]} == {"top_n"}
    assert all("text" not in chunk for chunk in found["dropped"])


def test_scores_are_fused(cli: Cli, texts: Path) -> None:
    """Scores of JSON Lines are the retrieval scores, and can decide the order."""
    lines = '{"text": "gold", "score": 0}\n{"text": "iron", "score": 7.5, "id": 3}\n'
    found = cli.json("rank", "gold", "--fuse", "1", stdin=lines)
    assert [chunk["id"] for chunk in found["chunks"]] == [3, "<stdin>:1"]
    assert found["chunks"][0]["retrieval_score"] == 7.5
    assert found["chunks"][0]["score"] > found["chunks"][1]["score"]
    assert found["chunks"][0]["share"] < found["chunks"][1]["share"]


def test_trim_json(cli: Cli, texts: Path) -> None:
    """Trimming gives spans whose offsets are into the file, kept or dropped with a reason."""
    found = cli.json("trim", "gold", "docs/gold.md", "--max-tokens", "6", "--no-keep-titles")
    (chunk,) = found["chunks"]
    text = Path("docs/gold.md").read_text()
    kept = [text[span["start"] : span["end"]] for span in chunk["spans"] if span["kept"]]
    assert kept == ["Mines have gold.", "Also gold dust."]
    assert {span["reason"] for span in chunk["spans"] if not span["kept"]} == {"max_tokens"}
    assert found["n_tokens_after"] <= 6 < found["n_tokens_before"]


def test_trim_options_reach_the_api(cli: Cli, texts: Path) -> None:
    """Options of trimming become a `Trim`; those that were not given keep its defaults."""
    cli.json("trim", "gold", "docs", "--neighbors", "1", "--separator", "~", "--resolve-context")
    expected = Trim(neighbors=1, separator="~", resolve_context=True)
    assert cli.stub.calls[-1].options["trim"] == expected


def test_readers_tokenizer(cli: Cli, texts: Path, tiny_folder: Path) -> None:
    """The budget is counted by the tokenizer that is named, not by the model's."""
    cli("trim", "gold", "docs", "-t", "10", "--tokenizer", tiny_folder)
    request = cli.stub.calls[-1].options["trim"]
    assert request.max_tokens == 10
    assert type(request.tokenizer).__name__ == type(tiny_tokenizer()).__name__


def test_trim_into_a_pipe_is_the_text_that_was_counted(cli: Cli, texts: Path) -> None:
    """By default a pipe gets what a reader would: titles over kept text, blank lines between."""
    lines = (
        '{"text": "Old mines. They have gold.", "title": "Mines"}\n'
        '{"text": "A gold ring."}\n{"text": "Iron."}'
    )
    result = cli("trim", "gold", "--max-tokens", "7", stdin=lines)
    assert result.stdout == "Mines\nThey have gold.\n\nA gold ring.\n"


def test_rank_into_a_pipe_is_a_line_a_chunk(cli: Cli, texts: Path) -> None:
    """By default a pipe gets score, name and the beginning of the text, without other tabs."""
    Path("a\tb.txt").write_text("gold\tgold\n\n" + "word " * 100)
    lines = cli("rank", "gold", "a\tb.txt", "docs/iron.txt").stdout.splitlines()
    assert lines[1] == "0.0100\tdocs/iron.txt\tIron is grey."
    score, name, text = lines[0].split("\t")
    assert (score, name) == ("0.2100", "a b.txt")
    assert text.startswith("gold gold word")
    assert text.endswith("…")


def test_jsonl_can_be_read_again(cli: Cli, texts: Path) -> None:
    """What `rank --format jsonl` writes is what `trim -` reads, ids and sources included."""
    ranked = cli("rank", "gold", "docs", "-f", "jsonl", "-n", "2").stdout
    records = [json.loads(line) for line in ranked.splitlines()]
    assert [record["rank"] for record in records] == [1, 2]
    found = cli.json("trim", "gold", "-", "--max-tokens", "100", stdin=ranked)
    assert [chunk["source"] for chunk in found["chunks"]] == ["docs/gold.md", "docs/deep/mixed.txt"]
    assert [chunk["retrieval_score"] for chunk in found["chunks"]] == [
        record["score"] for record in records
    ]


def test_questions(cli: Cli, texts: Path) -> None:
    """A file of questions is ranked line by line, each over its own chunks."""
    Path("q.jsonl").write_text(
        '{"id": "q1", "query": "gold?", "answer": "x", "chunks": [{"id": "a", "title": "T", '
        '"text": "T\\niron", "relevant": 0}, {"id": "b", "text": "gold", "relevant": 1}]}\n\n'
        '{"query": "iron?", "chunks": ["iron ore"]}\n'
    )
    first, second = cli.json("rank", "--queries", "q.jsonl")
    assert (first["id"], first["query"]) == ("q1", "gold?")
    assert [chunk["id"] for chunk in first["chunks"]] == ["b", "a"]
    assert (second["query"], len(second["chunks"])) == ("iron?", 1)
    lines = cli("rank", "--queries", "-", stdin=Path("q.jsonl").read_text()).stdout.splitlines()
    assert lines == [
        "q1\t0.1100\tb\tgold",
        "q1\t0.0100\ta\tT iron",
        "iron?\t0.0100\t<stdin>:3\tiron ore",
    ]
    many = cli("trim", "--queries", "q.jsonl", "-f", "jsonl").stdout.splitlines()
    assert [json.loads(line)["query"] for line in many] == ["gold?", "iron?"]


def test_title_is_not_read_twice(cli: Cli, texts: Path) -> None:
    """A title that the text begins with is not put before it again; another one is."""
    lines = '{"text": "T\\ngold", "title": "T"}\n{"text": "gold", "title": "T"}'
    cli.json("rank", "gold", stdin=lines)
    assert [chunk.title for chunk in cli.stub.calls[-1].chunks] == [None, "T"]


def test_questions_over_the_same_chunks(cli: Cli, texts: Path) -> None:
    """Questions without chunks are asked of the paths, all of which are paths then."""
    Path("q.jsonl").write_text('{"query": "one"}\n{"query": "two"}\n')
    found = cli.json("rank", "--queries", "q.jsonl", "docs/iron.txt", "docs/gold.md")
    assert [len(ranking["chunks"]) for ranking in found] == [2, 2]
    assert len(cli.loaded) == 1


def test_table(cli: Cli, texts: Path) -> None:
    """A table has ranks, scores, sources, text as it is, and a line about evidence."""
    Path("markup.txt").write_text("[bold red]gold[/] \x1b[31mno colour \u202e")
    result = cli("rank", "gold", "docs", "markup.txt", "-f", "table", "-n", "3")
    assert "0.2100" in result.stdout
    assert "[bold red]gold[/]" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "3 of 4 chunks · dropped: 1 top_n" in result.stdout
    trimmed = cli("trim", "gold", "docs/gold.md", "-t", "6", "-f", "table").stdout
    assert "Mines have gold." in trimmed
    assert "Nothing else" not in trimmed


def test_no_evidence(cli: Cli, texts: Path) -> None:
    """Too little evidence is a warning, an empty result, or code 1, as was asked for."""
    few = ("docs/iron.txt", "--evidence-threshold", "0.9")
    kept = cli("rank", "gold", *few)
    assert kept.exit_code == 0
    assert kept.stdout.startswith("0.0100\tdocs/iron.txt")
    assert kept.stderr.startswith("warning: evidence is 0.010: the answer is likely not in here")
    assert cli("rank", "gold", *few, "--quiet").stderr == ""
    table = cli("rank", "gold", *few, "-f", "table")
    assert (table.stderr, "evidence 0.010, likely not in here" in table.stdout) == ("", True)
    empty = cli.json("rank", "gold", *few, "--on-no-evidence", "empty")
    assert empty["chunks"] == []
    assert empty["dropped"][0]["dropped"] == "no_evidence"
    said = cli.fails(1, "rank", "gold", *few, "--on-no-evidence", "raise")
    assert "--evidence-threshold" in said


def test_no_evidence_for_one_of_many(cli: Cli, texts: Path) -> None:
    """A question without evidence does not end the others; the code says that there was one."""
    Path("q.jsonl").write_text(
        '{"query": "a", "chunks": ["iron"]}\n{"query": "b", "chunks": ["gold"]}\n'
    )
    options = ("--evidence-threshold", "0.05", "--on-no-evidence", "raise", "-f", "jsonl")
    result = cli("rank", "--queries", "q.jsonl", *options)
    assert result.exit_code == 1
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["chunks"], first["no_evidence"]) == ([], True)
    assert len(second["chunks"]) == 1
    assert result.stderr.startswith("warning: a: no evidence")


def test_notes_name_the_chunk_as_the_user_does(cli: Cli, texts: Path) -> None:
    """A blank chunk comes last and is told of by its name, not by its index."""
    lines = '{"text": " ", "id": "empty one"}\n{"text": "gold", "id": "full"}\n'
    result = cli("rank", "gold", stdin=lines)
    assert result.stdout.splitlines()[1].startswith("0.0000\tempty one\t")
    assert result.stderr == "note: empty one was not scored: blank\n"


def test_duplicates(cli: Cli, texts: Path) -> None:
    """Equal ids and equal texts are candidates of their own, told apart by their index."""
    found = cli.json("rank", "gold", stdin='{"text": "gold", "id": 1}\n' * 3)
    assert [(chunk["index"], chunk["id"]) for chunk in found["chunks"]] == [(0, 1), (1, 1), (2, 1)]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(chunks=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=3), query=ANY_TEXT)
def test_json_for_any_text(cli: Cli, chunks: list[tuple[str, str]], query: str) -> None:
    """Whatever characters a text has, the JSON is valid and gives exactly that text back."""
    query = f"q{query}"
    lines = "\n".join(json.dumps({"text": text, "id": name}) for text, name in chunks)
    for command in ("rank", "trim"):
        found = cli.json(command, query, "--quiet", stdin=lines)
        assert found["query"] == query
        all_chunks = found["chunks"] + found["dropped"]
        for chunk in all_chunks:
            assert chunk["id"] == chunks[chunk["index"]][1]
        if command == "rank":
            assert [c["text"] for c in sorted(found["chunks"], key=lambda c: c["index"])] == [
                text for text, _ in chunks
            ]


@given(text=ANY_TEXT)
def test_json_in_any_encoding(text: str) -> None:
    """Where the output has no UTF-8, JSON escapes what it cannot hold."""
    before = sys.stdout
    try:
        sys.stdout = open(sys.stdout.fileno(), "w", encoding="ascii", closefd=False)  # noqa: SIM115
        found = to_json([text])
    finally:
        sys.stdout = before
    assert found.isascii()
    assert json.loads(found) == [text]


def test_lone_surrogates(cli: Cli, texts: Path) -> None:
    """Half a character comes out as U+FFFD in text and as itself in JSON."""
    lines = '{"text": "gold \\ud800 dust", "id": "\\udfff"}'
    assert cli("rank", "gold \udc80?", stdin=lines).stdout == "0.1100\t\ufffd\tgold \ufffd dust\n"
    found = cli.json("rank", "gold \udc80?", stdin=lines)
    assert found["query"] == "gold \udc80?"
    assert found["chunks"][0]["text"] == "gold \ud800 dust"


def test_huge_line(cli: Cli, texts: Path) -> None:
    """A line of megabytes is a chunk as any other."""
    line = json.dumps({"text": "gold " * 400_000})
    assert len(line) > 2_000_000
    result = cli("rank", "gold", stdin=line)
    assert result.exit_code == 0
    assert len(result.stdout) < 400


def test_a_dry_run_and_what_must_stay_reach_the_api(cli: Cli, texts: Path) -> None:
    """`--must-keep` is said as often as there are patterns, `--dry-run` by itself."""
    cli.json("trim", "gold", "docs", "-t", "9", "--must-keep", "numbers", "--must-keep", r"E\d+")
    trim = cli.stub.calls[-1].options["trim"]
    assert (trim.max_tokens, trim.must_keep, trim.dry_run) == (9, ("numbers", r"E\d+"), False)
    cli.json("trim", "gold", "docs", "-t", "9", "--dry-run")
    assert cli.stub.calls[-1].options["trim"].dry_run
    assert "must" in cli.fails(2, "trim", "gold", "docs", "-t", "9", "--must-keep", "(")
