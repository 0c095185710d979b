"""What a ranker is made with, said once."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

import pytest
import torch

from attnmass import AttentionRanker
from attnmass.engine import making
from attnmass.engine.making import LOADING, MAKING, LoadingOptions, RankerOptions, settled
from attnmass.options.declared import defaults_of
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

making.torch = torch  # type: ignore[attr-defined] # there for type checkers alone


@pytest.mark.parametrize(
    ("options", "groups"), [(RankerOptions, MAKING), (LoadingOptions, LOADING)]
)
def test_type_checkers_see_what_is_declared(options: Any, groups: Any) -> None:
    """The names for type checkers are those that are declared; `model` is an argument."""
    known = defaults_of(*groups)
    known.pop("model", None)
    assert set(get_type_hints(options)) == set(known)
    assert settled(groups, {}) == known


def test_help_tells_of_every_option() -> None:
    """The constructor's docstring, and that of `from_pretrained`, have an entry for each."""
    entry = r"^ +- `(\w+)`: "
    here = re.findall(entry, AttentionRanker.__init__.__doc__ or "", re.MULTILINE)
    there = re.findall(entry, AttentionRanker.from_pretrained.__doc__ or "", re.MULTILINE)
    assert len(here) == len(set(here))
    assert set(here) == set(get_type_hints(RankerOptions))
    assert set(here) | set(there) == set(get_type_hints(LoadingOptions))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_sise": 3}, TypeError, "'batch_sise'. Did you mean 'batch_size'"),
        ({"memory_bytes": -1}, ValueError, "memory_bytes must be at least 0"),
        ({"max_batch_tokens": "many"}, TypeError, "max_batch_tokens must be"),
        ({"store": ""}, ValueError, "store is empty: name a folder"),
        ({"store_format": "int4"}, ValueError, "store_format must be one of"),
        ({"progress": 1}, TypeError, "progress must be a bool"),
        ({"device": "cpu"}, TypeError, "argument 'device'. It is an option of from_pretrained."),
        ({"top_n": 3}, TypeError, "argument 'top_n'. It is an option of rank and trim."),
        ({"max_tokens": 3}, TypeError, "argument 'max_tokens'. It is an option of trim."),
    ],
)
def test_options_are_held_to_their_declarations(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """What is off is refused by name, before the model is looked at."""
    with pytest.raises(error, match=re.escape(message)):
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, **options)


def test_the_model_has_no_name() -> None:
    """What adapters and the command line call `model` comes first, and the error says so."""
    with pytest.raises(TypeError, match=r"'model'\. Pass its value first"):
        AttentionRanker.from_pretrained(model="smollm2-135m")  # type: ignore[call-arg]
