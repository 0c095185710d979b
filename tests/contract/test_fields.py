"""The fields of both adapters are the options as they are declared, once."""

from __future__ import annotations

import inspect
import math
import pickle
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from attnmass import HeadProfile, JointReading
from attnmass.layouts import LAYOUTS
from attnmass.options.checked import check_option
from attnmass.options.declared import (
    Loading,
    Reading,
    Selecting,
    Storing,
    Trimming,
)
from attnmass.options.fields import LOADING_FIELDS
from tests.contract.adapters import Adapter, LangChainAdapter, LlamaIndexAdapter
from tests.contract.stub import StubRanker

pytestmark = pytest.mark.in_process

URL = "http://127.0.0.1:9"

DECLARED = {
    name: info
    for group in (Loading, Reading[HeadProfile], Storing, Selecting, Trimming)
    for name, info in group.model_fields.items()
}


@pytest.mark.parametrize("name", DECLARED)
def test_an_option_is_a_field_as_it_is_declared(adapter: Adapter, name: str) -> None:
    """Type, limits, default and description are the declaration's; `top_n` has its own."""
    field, declared = adapter.Rerank.model_fields[name], DECLARED[name]
    if name == "top_n":
        assert (field.default, declared.default) == ("auto", None)
    else:
        assert field.annotation == declared.annotation
        assert field.metadata == declared.metadata
        assert field.default == declared.default
        assert field.description == declared.description


def test_both_have_the_same_fields() -> None:
    """What one adapter alone has is about its framework's nodes or documents."""
    one, other = (
        set(each.Rerank.model_fields) for each in (LlamaIndexAdapter(), LangChainAdapter())
    )
    assert one - other == {"callback_manager", "metadata_mode"}
    assert other - one == {"document_template", "reader_template", "score_key"}


@pytest.mark.parametrize("value", [True, False, np.True_])
@pytest.mark.parametrize("name", ["top_n", "max_tokens", "fuse", "min_relevance", "memory_bytes"])
def test_truth_is_no_number(adapter: Adapter, name: str, value: Any) -> None:
    """True is not taken for 1, which for `fuse` would leave the order to the retriever."""
    with pytest.raises(ValidationError, match=rf"{name}\n.*must be a number, not true or false"):
        adapter.Rerank(**{name: value})
    rerank = adapter.Rerank()
    with pytest.raises(ValidationError, match="must be a number"):
        setattr(rerank, name, value)
    assert rerank == adapter.Rerank()
    assert adapter.Rerank(add_scores=value).add_scores == bool(value)


# What is passed where something else is meant; texts and truth values by users of settings in text.
VALUES = (
    *("3", "0.5", "auto", "true", "no", "", b"3", b"auto", True, False, np.True_, 0, 1, 3, -1),
    *(3.0, 3.5, 0.5, np.float32(0.5), np.int64(3), math.nan, math.inf, Decimal(3), 1j, 10**400),
    *((), ("numbers",), ["numbers"], {"numbers"}, [3], {"a": 1}, object()),
)
# `top_n` is wider in adapters; paths, profiles, heads and objects are read by each in its own way.
PLAIN = [
    name
    for name, info in DECLARED.items()
    if info.annotation is not Any and "path" not in str(info.json_schema_extra)
    if name not in ("top_n", "heads", "reading", "profile", "fit_texts", "device")
]


@pytest.mark.parametrize("name", PLAIN)
def test_the_core_takes_the_same(adapter: Adapter, name: str) -> None:
    """A value that an adapter takes for an option is one that the core takes, and the same one."""
    for value in VALUES:
        taken = True
        try:
            expected = check_option(name, DECLARED[name], value)
        except (TypeError, ValueError):
            taken = False
        options, about_it, rerank = {"max_tokens": 9} | {name: value}, False, None
        try:
            rerank = adapter.Rerank(**options)
        except ValidationError as error:
            # Without a place it is about several options, each of which may be as it is.
            about_it = error.errors()[0]["loc"] != ()
        assert taken != about_it, value
        if rerank is not None:
            assert getattr(rerank, name) == expected
            assert type(getattr(rerank, name)) is type(expected)


@pytest.mark.parametrize("wrong", [[("1", "2")], [(1.0, 2)], [(True, 2)], [(1, 2, 3)], [3], "1"])
def test_heads_are_pairs_of_whole_numbers(adapter: Adapter, wrong: Any) -> None:
    """In adapters as in the core; lists of lists, as JSON has them, are pairs as well."""
    with pytest.raises(ValidationError):
        adapter.Rerank(heads=wrong)
    with pytest.raises(TypeError):
        HeadProfile.from_heads(wrong, model="m", layout="l")
    assert adapter.Rerank(heads=[[1, 2]]).heads == ((1, 2),)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("top_k", "top_n"), ("model_name", "model"), ("similarity_cutoff", "min_rel")],
)
def test_names_that_other_rerankers_have(adapter: Adapter, name: str, meant: str) -> None:
    """They are told what it is called here, not what is spelled alike and does otherwise."""
    with pytest.raises(ValidationError, match=rf"has no field '{name}'. Did you mean '{meant}"):
        adapter.Rerank(**{name: 3})


@pytest.mark.parametrize("wrong", [3, object(), StubRanker()])
def test_a_model_in_memory_is_no_name(adapter: Adapter, wrong: Any) -> None:
    """The error says which constructor takes it."""
    with pytest.raises(ValidationError, match=r"must be a name or a path: .*from_model"):
        adapter.Rerank(model=wrong)


def test_help_tells_of_every_field(adapter: Adapter) -> None:
    """`help` has one sentence for each field, what most users set first."""
    shown = adapter.Rerank.__doc__ or ""
    parts = re.findall(r"^Attributes:\n((?:    .+\n?)+)", shown, re.MULTILINE)
    common, names = (
        re.findall(r"^    (\w+): \S", text, re.M) for text in (parts[0], "".join(parts))
    )
    assert shown.index("Attributes:") < 100
    assert 18 <= len(common) <= 22
    assert common[:6] == ["model", "top_n", "max_tokens", "keep_ratio", "device", "store"]
    assert len(names) == len(set(names))
    assert set(names) == set(adapter.Rerank.model_fields) - {"callback_manager"}
    assert names[:3] == ["model", "top_n", "max_tokens"]
    assert max(map(len, shown.splitlines())) <= 100
    assert set(inspect.signature(adapter.Rerank).parameters) >= set(names)


def test_a_subclass_need_not_say_more(adapter: Adapter) -> None:
    """A subclass without a docstring stays without, and one with tells of its own fields, too."""

    class Plain(adapter.Rerank):  # type: ignore[name-defined, misc]
        pass

    class Told(adapter.Rerank):  # type: ignore[name-defined, misc]
        """Of its own."""

        mine: int = 3

    assert Plain.__doc__ is None
    assert Told.__doc__.startswith("Of its own.\n\nAttributes:\n    model: ")
    assert Told(mine=4).mine == 4


def test_pickles_come_back_equal(adapter: Adapter) -> None:
    """What is pickled comes back equal, and other options are not."""
    rerank = adapter.Rerank.from_ranker(StubRanker(), max_tokens=50)
    again = pickle.loads(pickle.dumps(rerank))
    assert again == rerank
    again.top_n = 2
    assert again != rerank
    assert rerank != "something else"


def test_a_refused_assignment_changes_nothing(adapter: Adapter) -> None:
    """Neither a value out of range nor one that contradicts others is kept."""
    rerank = adapter.Rerank(top_n=3)
    before = rerank.model_copy()
    refused: dict[str, Any] = {"top_n": 0, "neighbors": 2, "fuse": 7, "store_bytes": 5}
    for name, value in refused.items():
        with pytest.raises(ValidationError, match=name):
            setattr(rerank, name, value)
        assert rerank == before
        assert rerank.model_fields_set == before.model_fields_set


def test_a_refused_model_leaves_the_threads(adapter: Adapter) -> None:
    """One thread runs a model here and many ask a server, also where the other was refused."""
    here, there = adapter.Rerank(device="cpu"), adapter.Rerank(model=URL, api_key="key")
    for rerank, refused, threads in ((here, URL, 1), (there, "name", 16)):
        with pytest.raises(ValidationError, match="leave out"):
            rerank.model = refused
        assert rerank._worker.threads == threads
    copied = here.model_copy(update={"device": None})
    copied.model = URL
    assert (copied._worker.threads, here._worker.threads) == (16, 1)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("top_N", "top_n"), ("max_token", "max_tokens"), ("cache_dirs", "cache_dir")],
)
def test_a_wrong_name_is_met_with_the_nearest(adapter: Adapter, wrong: str, right: str) -> None:
    """The error for a field that there is not names the one that was meant."""
    with pytest.raises(ValueError, match=f"no field {wrong!r}. Did you mean {right!r}?"):
        adapter.Rerank(**{wrong: 3})


def test_loading_options_are_passed_on(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option about loading reaches the loader under its own name."""
    options: dict[str, Any] = {
        "device": "cpu",
        "dtype": "float32",
        "profile": None,  # with heads it would contradict them
        "heads": ((1, 0), (2, 1)),
        "layout": "joint",
        "rank_by": "attention",
        "max_batch_tokens": 4096,
        "max_chunk_tokens": 300,
        "reading": JointReading(max_context_tokens=2000, second_pass=True),
        "revision": "abc",
        "cache_dir": "/cache",
        "local_files_only": True,
        "memory_bytes": 10_000,
        "store": "/chunks",
        "store_bytes": 20_000,
        "shared_store": "redis://127.0.0.1:6379/0",
        "fit_texts": None,  # is for profile="fit"
        "store_format": "int8",
    }
    assert set(options) == set(LOADING_FIELDS)
    asked: list[Any] = []
    monkeypatch.setattr(
        "attnmass.adapters.base.shared_ranker",
        lambda name, **given: asked.append((name, given)),
    )
    adapter.Rerank(model="m", **options)._load()
    assert asked == [("m", options)]


def test_every_layout_can_be_named(adapter: Adapter) -> None:
    """The names that `layout` takes are those of all layouts."""
    names = {name for layouts in LAYOUTS.values() for name in layouts}
    for name in names:
        assert adapter.Rerank(layout=name).layout == name
    with pytest.raises(ValidationError, match="layout"):
        adapter.Rerank(layout="wide")
