"""What `rank` and its like are asked with, said once."""

from __future__ import annotations

import re
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from attnmass import AttentionRanker, Trim
from attnmass.engine.asking import Asked, RankOptions, TrimOptions
from attnmass.options.declared import Selecting, Trimming, names_of

NAMES = set(get_type_hints(RankOptions))


def plain(annotation: Any) -> Any:
    """A type without what pydantic was told of it, or of its members."""
    if hasattr(annotation, "__metadata__"):
        return get_args(annotation)[0]
    if get_origin(annotation) is Union:
        return Union[tuple(plain(member) for member in get_args(annotation))]  # noqa: UP007
    return annotation


def test_type_checkers_see_what_is_checked() -> None:
    """Names and types for type checkers are those that are checked."""
    hints = get_type_hints(RankOptions)
    assert hints == {name: plain(info.annotation) for name, info in Asked.model_fields.items()}
    assert set(names_of(Selecting)) < NAMES


def test_rank_tells_of_every_option() -> None:
    """The docstring of `rank`, to which the others point, has an entry for each."""
    section = (AttentionRanker.rank.__doc__ or "").partition("Options:\n")[2].partition("\n\n")[0]
    told = re.findall(r"^ +- `(\w+)`: ", section, re.MULTILINE)
    assert told == list(get_type_hints(RankOptions))


@pytest.mark.parametrize(
    ("wrong", "right"), [("topn", "top_n"), ("min_relevence", "min_relevance")]
)
@pytest.mark.parametrize("call", ["rank", "rank_batch", "order", "trim", "trim_batch"])
async def test_an_option_that_there_is_not(
    ranker: AttentionRanker, call: str, wrong: str, right: str
) -> None:
    """A wrong name is a `TypeError` with the nearest one, whichever way it is asked."""
    match = f"unexpected keyword argument {wrong!r}. Did you mean {right!r}?"
    query = ["q"] if call.endswith("batch") else "q"
    with pytest.raises(TypeError, match=match):
        getattr(ranker, call)(query, ["a"], **{wrong: 1})
    with pytest.raises(TypeError, match=match):
        await getattr(ranker, f"a{call}")(query, ["a"], **{wrong: 1})


@pytest.mark.parametrize(
    ("name", "call"),
    [("dtype", "AttentionRanker.from_pretrained"), ("store", "AttentionRanker and")],
)
@pytest.mark.parametrize("verb", ["rank", "trim"])
def test_an_option_of_the_ranker(ranker: AttentionRanker, verb: str, name: str, call: str) -> None:
    """What a ranker is made with is refused by a call of it, and the error says what takes it."""
    with pytest.raises(TypeError, match=f"{name!r}. It is an option of {call}"):
        getattr(ranker, verb)("q", ["a"], **{name: "x"})


def test_what_is_asked_cannot_be_changed() -> None:
    """One call's options are frozen, numbers of numpy among them."""
    import numpy as np

    asked = Asked(top_n=np.int64(3), fuse=np.float32(0.5))
    assert (asked.top_n, type(asked.top_n), type(asked.fuse)) == (3, int, float)
    with pytest.raises(ValueError, match="frozen"):
        asked.top_n = 4  # type: ignore[misc]


def test_uncut_keeps_all() -> None:
    """What leaves chunks out asks for nothing then, and what scores and orders stays."""
    asked = Asked(top_n=1, min_relevance=0.5, on_no_evidence="empty", fuse=0.5, order="input")
    changed = {"top_n": None, "min_relevance": None, "on_no_evidence": "keep"}
    assert asked.uncut.model_dump() == asked.model_dump() | changed


def test_type_checkers_see_the_fields_of_trim() -> None:
    """`trim` takes each field of `Trim` with its type there, and all that `rank` takes."""
    own = {
        name: kind
        for name, kind in get_type_hints(TrimOptions).items()
        if name not in get_type_hints(RankOptions)
    }
    fields = get_type_hints(Trim)
    assert own == {name: fields[name] for name in names_of(Trimming)}


@pytest.mark.parametrize("call", ["trim", "trim_batch"])
def test_trim_takes_no_trim(ranker: AttentionRanker, call: str) -> None:
    """Its options are the fields of one; the error names both ways."""
    query = ["q"] if call == "trim_batch" else "q"
    with pytest.raises(TypeError, match="leave out trim, or use rank"):
        getattr(ranker, call)(query, ["a"], trim=Trim(max_tokens=5), keep_ratio=0.5)


@pytest.mark.parametrize("name", names_of(Trimming))
def test_what_is_for_trimming_says_where_it_goes(name: str) -> None:
    """An option of `Trim` is no option of `rank`, and the error names the verb that takes it."""
    with pytest.raises(TypeError, match=rf"{name!r}. .*call trim .*trim=Trim\({name}=\.\.\.\)"):
        Asked(**{name: None})
