"""`attnmass fit` and `attnmass profiles verify` over a tiny model in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from attnmass import HeadProfile, load_profile
from attnmass.cli.app import app
from attnmass.fitting import run
from attnmass.models.sizes import fingerprint
from attnmass.profiles.texts import ordinary_documents
from tests.fitting.support import planted_look, rows, written
from tests.tiny import tiny_model

QUICK = ("--method", "single", "--max-heads", "2", "--no-evidence")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labelled queries in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return written(tmp_path / "data.jsonl", rows(sentences=False))


def attnmass(*args: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


def fit(data: Path, model: Path, *args: object) -> Result:
    """Fit quickly."""
    return attnmass("fit", data, "--model", model, "--captures", "captures", *QUICK, *args)


def test_fit_and_verify(data: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is better is written with its report, listed by `show`, and tried."""
    monkeypatch.setattr(run, "look_at_heads", planted_look)
    done = fit(data, tiny_folder, "--layout", "parallel", "--out", "heads.json")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("# Heads of ")
    assert "| BM25 |" in done.stdout
    assert "note: wrote heads.json and heads.report.json" in done.stderr
    assert load_profile("heads.json").heads == ((2, 2),)
    assert json.loads(Path("heads.report.json").read_text())["better"] is True
    assert "chunks by    2-2" in attnmass("profiles", "show", "heads.json").stdout
    tried = attnmass("profiles", "verify", "heads.json", data, "-f", "json")
    told = json.loads(tried.stdout)
    assert told["data"] == {"data": 12}
    assert [score["name"] for score in told["scores"]] == ["profile", "mid-depth default", "bm25"]
    assert tried.exit_code == (0 if told["holds"] else 6)


def test_refusal(data: Path, tiny_folder: Path) -> None:
    """A profile that is no better ends with 6 and is not written, unless it is forced."""
    lines = rows(sentences=False)
    for row in lines:
        row["chunks"][0]["text"] += " Einstein"
    written(data, lines)
    done = fit(data, tiny_folder, "--out", "heads.json")
    assert done.exit_code == 6
    assert "error: heads.json is not written: " in done.stderr
    assert "not better than BM25: -0." in done.stderr
    assert "--force writes it all the same" in done.stderr
    assert not Path("heads.json").exists()
    assert fit(data, tiny_folder).exit_code == 6
    assert fit(data, tiny_folder, "--out", "heads.json", "--force").exit_code == 0
    assert "not better than BM25" in load_profile("heads.json").measured["warning"]
    assert "warning: written all the same" in attnmass("profiles", "show", "heads.json").stdout
    tried = attnmass("profiles", "verify", "heads.json", data)
    assert tried.exit_code == 6
    assert "error: heads.json does not hold: " in tried.stderr


def test_formats(data: Path, tiny_folder: Path) -> None:
    """The report is Markdown into a pipe, JSON and a table where asked for."""
    told = json.loads(fit(data, tiny_folder, "-f", "json").stdout)
    assert told["data"] == {"data": 12}
    table = fit(data, tiny_folder, "-f", "table").stdout
    assert "Number of heads, held-out nDCG@10" in table
    assert "best single heads" in table


def test_without_labels(data: Path, tiny_folder: Path) -> None:
    """Without labelled queries some are made of texts: those named, or those that ship."""
    Path("some").mkdir()
    for number, document in enumerate(ordinary_documents()[:4]):
        text = "\n\n".join(document.paragraphs)
        Path(f"some/{number}.txt").write_text(text, encoding="utf-8")
    common = ("fit", "--model", tiny_folder, "--captures", "captures", *QUICK, "-f", "json")
    three = [arg for number in range(3) for arg in ("--texts", f"some/{number}.txt")]
    for named in (three, ["--corpus", "some"]):
        done = attnmass(*common, *named, "--candidates", 3)
        assert done.exit_code in (0, 6), done.stderr  # by chance, of random weights
        told = json.loads(done.stdout)
        assert told["layout"] == "late"
        assert list(told["data"]) == ["texts"]
        assert "queries are sentences taken out of paragraphs" in done.stderr
    assert json.loads(attnmass(*common, "--limit", 8).stdout)["data"] == {"texts": 8}
    both = attnmass(*common, data, *three)
    assert list(json.loads(both.stdout)["data"]) == ["data", "texts"]


def test_another_models_profile(data: Path, tiny_folder: Path) -> None:
    """A profile of another model does not hold, which is told with both fingerprints."""
    done = attnmass("profiles", "verify", "smollm2-135m.parallel", data, "-m", tiny_folder)
    assert done.exit_code == 6
    assert "does not hold: the profile is for smollm2-135m (fingerprint" in done.stderr
    assert fingerprint(tiny_model().config) in done.stderr
    deep = HeadProfile.from_heads([(9, 0)], model=str(tiny_folder), layout="parallel")
    Path("deep.json").write_text(deep.to_json())
    done = attnmass("profiles", "verify", "deep.json", data)
    assert done.exit_code == 6
    assert "head (9, 0) is not in this model" in done.stderr


def broken(index: int, **changes: Any) -> list[dict[str, Any]]:
    """Queries of which one is off."""
    found = rows(6, sentences=False)
    found[index] |= changes
    return found


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (broken(2, query=""), "data.jsonl:3: the query is blank"),
        (broken(1, chunks=rows(1)[0]["chunks"][:1]), "data.jsonl:2: one chunk"),
        (broken(4, chunks=rows(1)[0]["chunks"][1:]), "data.jsonl:5: no positives"),
        (broken(3, id="q0"), "data.jsonl:4: id 'q0' again, first at"),
        (rows(3), "3 labelled queries, and at least 6 are needed"),
    ],
)
def test_bad_data(data: Path, lines: list[dict[str, Any]], match: str) -> None:
    """Data that cannot be used ends with 3 and the line, before a model is looked for."""
    written(data, lines)
    done = attnmass("fit", data, "--model", "no/such-model")
    assert done.exit_code == 3
    assert match in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("args", "code", "match"),
    [
        (("--out", "nowhere/heads.json"), 3, "nowhere: no such folder"),
        (("--out", "."), 2, "name a file, such as"),
        (("--force",), 2, "--force is for --out"),
        (("--run", "run.txt"), 2, "--run is for BEIR folders"),
        (("--qrels", "x.tsv"), 2, "--qrels ... and --corpus ... go together"),
        (("--method", "best"), 2, "must be some of 'single'"),
        (("--max-layer", "7"), 2, "--max-layer must be between 0 and 2"),
        (("--layout", "wide"), 2, "'wide' is not one of"),
        (("--profile", "x.json"), 2, "No such option"),
    ],
)
def test_bad_options(
    data: Path, tiny_folder: Path, args: tuple[str, ...], code: int, match: str
) -> None:
    """Options that are off end with what is wrong, and nothing is captured."""
    done = fit(data, tiny_folder, *args)
    assert done.exit_code == code, done.stderr
    assert match in done.stderr
    assert not Path("captures").exists()


def test_interrupt(data: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130 and says that nothing is lost, and what was read is there."""
    count = [0]

    def look(*args: Any) -> Any:
        inner = planted_look(*args)

        def one(query: Any) -> Any:
            count[0] += 1
            if count[0] == 4:
                raise KeyboardInterrupt
            return inner(query)

        return one

    monkeypatch.setattr(run, "look_at_heads", look)
    done = fit(data, tiny_folder)
    assert done.exit_code == 130
    assert "note: what was read is kept: the same command continues from there" in done.stderr
    assert len(list(Path("captures").rglob("*.safetensors"))) == 3
    assert fit(data, tiny_folder).exit_code == 0
    assert count[0] == 4 + 9
