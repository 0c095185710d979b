"""Fits without labels: which texts are read, and what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attnmass.fitting import DataError, run
from attnmass.fitting.fit import read_all
from attnmass.fitting.queries.texts import made_of, read_texts
from attnmass.profiles.texts import Document, ordinary_documents
from tests.fitting.support import fit_tiny, planted_look, rows

QUICK: dict[str, Any] = {"max_heads": 2, "methods": ["single"], "evidence": False}
TEXT = "\n\n".join(ordinary_documents()[0].paragraphs)


def fit(tmp_path: Path, *args: Any, **options: Any) -> Any:
    """Fit the tiny model, quickly."""
    return fit_tiny(tmp_path, *args, **{**QUICK, **options})


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One head of the tiny model is as good as can be."""

    def look(*_: Any) -> Any:
        found = planted_look()
        return lambda query: found(query.__class__(query.query, query.chunks, "q1", query.place))

    monkeypatch.setattr(run, "look_at_heads", look)


@pytest.mark.usefixtures("planted")
def test_without_labels(tmp_path: Path) -> None:
    """A model is enough: queries are made of the texts that ship, and the layout is late."""
    result = fit(tmp_path, made_of().head(12), methods=None)
    assert (2, 2) in result.profile.heads
    assert result.profile.layout == "late"
    assert result.profile.fitted_on == "12 queries of texts, by the method 'likelihood'"
    assert [one.other for one in result.report.differences] == ["mid-depth default"]
    assert result.better
    rule = result.profile.ranking
    assert rule is not None
    assert set(result.profile.heads) <= set(rule.heads)
    planted = dict(zip(rule.heads, rule.exponents, strict=True))[2, 2]
    assert planted == max(rule.exponents)
    assert any("sentences taken out of paragraphs" in note for note in result.report.notes)


@pytest.mark.usefixtures("planted")
def test_with_labels(tmp_path: Path) -> None:
    """With labels and texts both are used, in the layout that labels alone would have."""
    result = fit(tmp_path, rows(sentences=False), texts=ordinary_documents()[:3])
    assert result.profile.layout == "parallel"
    assert result.report.data == {"data": 12, "texts": 12}


def test_whole_fit_of_a_random_model(tmp_path: Path) -> None:
    """All parts are fitted; random weights give no profile that is surely better."""
    result = fit(tmp_path, made_of(ordinary_documents()[:3], candidates=6), evidence=True)
    assert result.profile.relevance is not None
    assert result.report.relevance is not None
    assert not result.better


def test_what_is_read(tmp_path: Path) -> None:
    """Files of text, JSON Lines and folders of them are read; a string is a text, a path a path."""
    (tmp_path / "below").mkdir()
    (tmp_path / "a.md").write_text(TEXT, encoding="utf-8")
    (tmp_path / "below" / "b.jsonl").write_text(json.dumps({"title": "B", "text": TEXT}) + "\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    found = read_texts(tmp_path)
    assert [one.title for one in found] == ["", "B"]
    assert found[0].paragraphs == found[1].paragraphs == read_texts([TEXT])[0].paragraphs
    assert read_texts(str(tmp_path)) == read_texts([tmp_path]) == found
    document = Document("C", ("One.",))
    assert read_texts([document]) == (document,)


def test_corpus_without_data(tmp_path: Path) -> None:
    """Without labelled queries `corpus` names the texts, as `texts` does."""
    for number in range(3):
        text = "\n\n".join(ordinary_documents()[number].paragraphs)
        (tmp_path / f"{number}.txt").write_text(text, encoding="utf-8")
    assert read_all(None, corpus=tmp_path) == made_of(tmp_path)
    paths = [str(tmp_path / f"{number}.txt") for number in range(3)]
    assert read_all(None, corpus=paths) == made_of(tmp_path)
    assert len(read_all(None, limit=7).queries) == 7


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"texts": ["Short."]}, DataError, "0 sentences could be taken out"),
        ({"texts": []}, DataError, "no text in what was passed"),
        ({"texts": "nowhere.txt"}, DataError, "nowhere.txt: No such file"),
        ({"qrels": "q.tsv"}, ValueError, "qrels is for labelled queries: pass them as data"),
        ({"corpus": "a", "texts": "b"}, ValueError, "corpus and texts are the same"),
    ],
)
def test_what_cannot_be_used(options: dict[str, Any], error: type[Exception], match: str) -> None:
    """Texts that give nothing, and options that contradict each other, are told."""
    with pytest.raises(error, match=match):
        read_all(None, **options)


def test_no_text(tmp_path: Path) -> None:
    """A file that is not text, and a line without one, are named."""
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"a\.txt: not text in UTF-8"):
        read_texts(tmp_path / "a.txt")
    (tmp_path / "b.jsonl").write_text('{"title": "x"}\n')
    with pytest.raises(DataError, match=r"b\.jsonl:1: no text"):
        read_texts(tmp_path / "b.jsonl")
