"""Options that only some layouts have."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from attnmass import AttentionRanker, CrossOptions, JointReading
from attnmass.layouts import LAYOUTS, own_options
from attnmass.options.readings import READINGS
from tests.conftest import HEADS
from tests.readings import grouped
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_seq2seq

GIVEN = {
    "direction": "both",
    "cross": CrossOptions(value_norm=True),
    "max_context_tokens": 500,
    "second_pass": True,
}
OWNERS = {
    "direction": ("encoder", "pointwise"),
    "cross": ("encoder-decoder", "pointwise"),
    "max_context_tokens": ("decoder", "joint"),
    "second_pass": ("decoder", "joint"),
}
PLACES = [(kind, name) for kind, layouts in LAYOUTS.items() for name in layouts]


def build(kind: str, layout: str, **options: Any) -> AttentionRanker:
    """A ranker over a tiny model of that kind."""
    made = {
        "decoder": lambda: (tiny_model(), tiny_tokenizer()),
        "encoder": lambda: (tiny_encoder(), wordpiece_tokenizer()),
        "encoder-decoder": lambda: (tiny_seq2seq(), seq2seq_tokenizer()),
    }
    heads = HEADS if kind == "decoder" else [(0, 1), (1, 2)]
    return AttentionRanker(*made[kind](), layout=layout, heads=heads, **grouped(options))


@pytest.mark.parametrize("option", GIVEN)
@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_an_option_is_taken_by_its_layout_alone(place: tuple[str, str], option: str) -> None:
    """A layout takes its own options; others are errors that name who takes them."""
    given = {option: GIVEN[option]}
    if OWNERS[option] == place:
        assert build(*place, **given).profile.layout == place[1]
        return
    owner, layout = OWNERS[option]
    match = rf"{option} is for {owner}s in layout='{layout}'.*in layout='{place[1]}': leave it out"
    with pytest.raises(ValueError, match=match):
        own_options(*place, given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave out one of them" if layout != place[1] else match):
        build(*place, **given)


@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_what_asks_for_nothing_is_no_option(place: tuple[str, str]) -> None:
    """`None` and `False` are no options, and a layout's defaults stand."""
    unset = {"direction": None, "cross": None, "max_context_tokens": None, "second_pass": False}
    kind, name = place
    assert own_options(kind, name, unset) == LAYOUTS[kind][name].takes  # type: ignore[index]
    assert build(*place).rank("words?", ["words", "music"]).scores
    if name in READINGS:
        assert build(*place, reading=READINGS[name]()).profile.layout == name


def test_a_reading_asks_for_its_layout() -> None:
    """Where no layout is named, it is that of the reading, which the ranker then tells."""
    ranker = AttentionRanker(
        tiny_model(), tiny_tokenizer(), heads=HEADS, reading=JointReading(second_pass=True)
    )
    assert ranker.options == {
        "layout": "joint",
        "rank_by": "attention",
        "reading": JointReading(second_pass=True),
    }
    plain = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    assert plain.options["reading"] is None
    with pytest.raises(TypeError, match="reading must be a JointReading or PointwiseReading"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), reading="joint")  # type: ignore[arg-type]


def test_readings_are_what_layouts_take() -> None:
    """What a layout takes of users is in its reading, and nothing else is."""
    for name, kind in READINGS.items():
        takes = {own for layouts in LAYOUTS.values() for own in _takes(layouts.get(name))}
        assert set(kind.model_fields) - {"layout"} == takes - {"with_logit"}
    others = {layout for layouts in LAYOUTS.values() for layout in layouts} - set(READINGS)
    of_others = {
        own for all_ in LAYOUTS.values() for name in others for own in _takes(all_.get(name))
    }
    assert of_others == {"background_texts"}  # which the head profile brings


def _takes(layout: Any) -> set[str]:
    return set() if layout is None else set(layout.takes)


@pytest.mark.parametrize("value", [0, -1])
def test_zero_is_not_nothing(value: int) -> None:
    """A bound of no tokens is an error, not the default."""
    with pytest.raises(ValueError, match="max_context_tokens must be at least 1"):
        build("decoder", "joint", max_context_tokens=value)


def test_values_are_checked() -> None:
    """What is of another type is refused by the layout that takes it."""
    with pytest.raises(TypeError, match="second_pass must be a bool"):
        build("decoder", "joint", second_pass="yes")
    with pytest.raises(TypeError, match="cross must be a CrossOptions"):
        build("encoder-decoder", "pointwise", cross="last")


def test_every_layout_says_what_it_takes() -> None:
    """Whatever a layout's `build` is told beside the common arguments is in `takes`."""
    common = {"model", "tokenizer", "plain", "heads", "cache"}
    for layouts in LAYOUTS.values():
        for layout in layouts.values():
            assert set(inspect.signature(layout.build).parameters) - common == set(layout.takes)
