"""The fields of both adapters that say how results are trimmed."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from attnmass import Trim
from attnmass.options.fields import SELECTION_FIELDS, TRIM_DETAILS, TRIM_FIELDS
from attnmass.options.selection import Selection
from tests.contract.adapters import Adapter
from tests.contract.candidates import QUERY
from tests.contract.theories import CANDIDATES, make, stub
from tests.tiny import tiny_tokenizer
from tests.trimming.build import words
from tests.trimming.embedders import OfLangChain

HOW = {
    "min_keep": 2,
    "keep_titles": False,
    "neighbors": 1,
    "resolve_context": True,
    "separator": "~",
    "on_empty": "cut",
    "must_keep": ("amounts",),
    "dry_run": True,
    "tokenizer": words,
    "language": "en",
    "embed_model": OfLangChain(),
}
OBJECTS = ("tokenizer", "embed_model")


def test_fields_are_those_of_the_core(adapter: Adapter) -> None:
    """Names and defaults are `Trim`'s and `Selection`'s, none is missing; `top_n` alone differs."""
    trim = {field.name: field.default for field in fields(Trim) if field.init}
    assert set(trim) == {*TRIM_FIELDS, *TRIM_DETAILS}
    selection = {name: info.default for name, info in Selection.model_fields.items()}
    assert set(SELECTION_FIELDS) == set(selection) - {"retrieval_scores"}
    own = adapter.Rerank.model_fields
    for name in (*TRIM_FIELDS, *TRIM_DETAILS):
        assert own[name].default == trim[name], name
    for name in SELECTION_FIELDS:
        assert own[name].default == ("auto" if name == "top_n" else selection[name]), name


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"max_tokens": 2.5},
        {"keep_ratio": 0.0},
        {"keep_ratio": 1.5},
        {"keep_ratio": float("nan")},
        {"top_p": 0.0},
        {"top_p": float("inf")},
        {"min_keep": -1, "top_p": 0.5},
        {"neighbors": -1, "top_p": 0.5},
        {"on_empty": "ignore", "top_p": 0.5},
        {"order": "random"},
        {"evidence_threshold": 1.5},
        {"evidence_threshold": float("nan")},
        {"on_no_evidence": "panic"},
        {"separator": 3, "top_p": 0.5},
    ],
    ids=str,
)
def test_bad_values_fail_at_construction(adapter: Adapter, wrong: dict[str, Any]) -> None:
    """A value that cannot be is an error that names it, before any query."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        adapter.Rerank(on_error="passthrough", **wrong)


def test_what_is_no_tokenizer_fails_at_construction(adapter: Adapter) -> None:
    """An object that cannot count is a `TypeError` that says what can."""
    with pytest.raises(TypeError, match="int is not a tokenizer"):
        adapter.Rerank(max_tokens=5, tokenizer=3)


@pytest.mark.parametrize("name", HOW)
def test_details_without_trimming_contradict(adapter: Adapter, name: str) -> None:
    """Options that only say how to trim need one that asks for it, and the error says which."""
    with pytest.raises(
        ValueError, match=rf"no use for {name}: set max_tokens, keep_ratio or top_p"
    ):
        adapter.Rerank(**{name: HOW[name]})
    assert adapter.Rerank(**{name: HOW[name]}, top_p=0.5)
    assert adapter.Rerank(**{name: adapter.Rerank.model_fields[name].default})


def test_assignments_are_checked(adapter: Adapter) -> None:
    """What the constructor refuses cannot be set later either."""
    with pytest.raises(ValueError, match="keep_ratio"):
        adapter.Rerank().keep_ratio = 2
    with pytest.raises(ValueError, match="no use for neighbors"):
        adapter.Rerank().neighbors = 1


def test_assigned_options_are_used(adapter: Adapter) -> None:
    """Options that are set later, the tokenizer among them, are those of the next call."""
    rerank, found = make(adapter, max_tokens=40), adapter.build(CANDIDATES)
    rerank.tokenizer = words
    rerank.max_tokens = 12
    assert 0 < sum(words(adapter.visible(i)[0]) for i in adapter.run(rerank, found, QUERY)) <= 12
    rerank.tokenizer = len
    rerank.max_tokens = 60
    assert 0 < sum(len(adapter.visible(i)[0]) for i in adapter.run(rerank, found, QUERY)) <= 60
    wider = rerank.model_copy(update={"max_tokens": 200})
    assert sum(len(adapter.visible(i)[0]) for i in adapter.run(wider, found, QUERY)) > 60


def test_dumps_hold_all_but_objects(adapter: Adapter) -> None:
    """Options go through JSON and come back; the caller's objects fall back to the defaults."""
    rerank = adapter.Rerank(max_tokens=50, keep_ratio=0.9, order="input", **HOW)
    data = json.loads(rerank.model_dump_json())
    assert not data.keys() & set(OBJECTS)
    other = adapter.Rerank.model_validate(data)
    assert other.model_dump() == rerank.model_dump()
    assert (other.tokenizer, other.embed_model) == (None, None)
    assert {name: getattr(other, name) for name in HOW if name not in OBJECTS} == {
        name: value for name, value in HOW.items() if name not in OBJECTS
    }


def test_pickles_hold_a_tokenizer_that_can_be_pickled(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    """A function goes along by its name, and a used reranker pickles without a word."""
    rerank = make(adapter, max_tokens=12, tokenizer=words)
    found = adapter.build(CANDIDATES)
    expected = adapter.run(rerank, found, QUERY)
    other = pickle.loads(pickle.dumps(rerank))
    assert not caplog.messages
    assert (other.tokenizer, other.max_tokens) == (words, 12)
    other._ranker = rerank._ranker
    assert [i.text for i in adapter.read(adapter.run(other, found, QUERY))] == [
        i.text for i in adapter.read(expected)
    ]


def test_pickles_leave_out_a_tokenizer_that_cannot_be(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    """A lambda stays behind with a logged warning, and its owner keeps it."""
    rerank = make(adapter, tokenizer=lambda text: len(text))
    with caplog.at_level(logging.WARNING):
        other = pickle.loads(pickle.dumps(rerank))
    assert other.tokenizer is None
    assert other.max_tokens == rerank.max_tokens
    assert rerank.tokenizer is not None
    assert "the tokenizer stays behind" in caplog.text


def test_deep_copies_share_the_tokenizer(adapter: Adapter) -> None:
    """A tokenizer may hold what cannot be copied, such as an LLM that counts."""
    tokenizer = tiny_tokenizer()
    rerank = make(adapter, tokenizer=tokenizer)
    adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert copy.deepcopy(rerank).tokenizer is tokenizer


def test_a_tokenizer_is_not_changed(adapter: Adapter) -> None:
    """Counting leaves a tokenizer's truncation and padding as they are, and they do not matter."""
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(4)
    before = tokenizer.backend_tokenizer.to_str()
    found = adapter.build(CANDIDATES)
    result = adapter.run(make(adapter, max_tokens=60, tokenizer=tokenizer), found, QUERY)
    assert tokenizer.backend_tokenizer.to_str() == before
    assert result == adapter.run(
        make(adapter, max_tokens=60, tokenizer=tiny_tokenizer()), found, QUERY
    )


@pytest.mark.parametrize("package", ["llama_index_attn", "langchain_attn"])
def test_constructing_brings_in_no_model_library(package: str) -> None:
    """A reranker that is asked to trim needs no torch before its first query."""
    code = (
        f"import sys, {package}\n"
        f"{package}.AttentionRerank(max_tokens=100, order='best_last', neighbors=1)\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_vocabulary_is_not_copied_with_every_call(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One tokenizer is prepared once, however many calls and assignments follow."""
    from attnmass.trimming import budget

    made: list[Any] = []
    build = budget._own_backend
    monkeypatch.setattr(budget, "_own_backend", lambda given: made.append(given) or build(given))
    tokenizer = tiny_tokenizer()
    rerank = make(adapter, stub(), tokenizer=tokenizer)
    for top_n in (1, 2, 3):
        rerank.top_n = top_n
        adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert sum(given is tokenizer for given in made) == 1
