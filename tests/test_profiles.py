"""Head profiles: file format, choice, and what does not fit."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from attnmass import AttentionRanker, HeadProfile, load_profile
from attnmass.profiles import default_profile, fingerprint, packaged_profile
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

SHIPPED = sorted(
    entry.name
    for entry in resources.files("attnmass.profiles").iterdir()
    if entry.name.endswith(".json")
)


def test_file_round_trip(tmp_path: Path) -> None:
    """A profile that is written and read again is the same."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="parallel", fitted_on="nothing")
    path = tmp_path / "profile.json"
    path.write_text(profile.to_json(), encoding="utf-8")
    assert load_profile(path) == profile
    assert json.loads(path.read_text(encoding="utf-8"))["stop_layer"] == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"model": "m", "heads": [1]}', '{"heads": [], "weights": []}']
)
def test_broken_file_is_named(tmp_path: Path, text: str) -> None:
    """A file that is no profile is an error with its name."""
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.json is not a head profile"):
        load_profile(path)


@pytest.mark.parametrize(
    ("heads", "weights", "match"),
    [
        ((), (), "at least one"),
        (((0, 0),), (0.5, 0.5), "1 heads need as many weights, not 2"),
        (((0, 0), (0, 1)), (0.5, 0.6), "sum to 1"),
        (((0, 0), (0, 1)), (1.5, -0.5), ">= 0"),
    ],
)
def test_impossible_profiles(
    heads: tuple[tuple[int, int], ...], weights: tuple[float, ...], match: str
) -> None:
    """Heads and weights that cannot be are an error."""
    with pytest.raises(ValueError, match=match):
        HeadProfile("m", "parallel", heads, weights)


def test_unknown_model_warns_and_takes_the_middle() -> None:
    """A model without a profile is read at mid-depth, with a warning that names the command."""
    with pytest.warns(UserWarning, match=r"python -m benchmarks\.select_heads"):
        ranker = AttentionRanker(tiny_model(), tiny_tokenizer())
    assert ranker.profile.source == "default"
    assert {layer for layer, _ in ranker.profile.heads} == {1}


def test_profile_of_another_model_is_refused() -> None:
    """A profile whose fingerprint is another model's is an error with both."""
    profile = HeadProfile.from_heads(
        HEADS, model="other", layout="parallel", fingerprint="0123456789abcdef"
    )
    with pytest.raises(ValueError, match="is for other"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)


def test_profile_of_another_prompt_warns() -> None:
    """Heads that were selected with other wording are used with a warning."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="parallel", prompt_version=0)
    with pytest.warns(UserWarning, match="version 0 of the prompt"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)


def test_profile_of_another_layout_is_refused() -> None:
    """A profile of another layout is an error."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="joint")
    with pytest.raises(ValueError, match="layout 'joint'"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)


def test_profile_and_heads_contradict() -> None:
    """Giving both is an error."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="parallel")
    with pytest.raises(ValueError, match="not both"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile, heads=HEADS)


def test_weights_of_the_profile_count(ranker: AttentionRanker) -> None:
    """A profile with all weight on one head scores as that head alone."""
    chunks = ["Albert Einstein", "the river", "trains"]
    one = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[HEADS[1]])
    profile = HeadProfile("tiny", "parallel", HEADS, (0.0, 1.0, 0.0))
    weighted = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    expected = one.rank("who?", chunks).scores
    assert weighted.rank("who?", chunks).scores == pytest.approx(expected, abs=1e-6)
    assert ranker.rank("who?", chunks).scores != pytest.approx(expected, abs=1e-6)


def test_fingerprint_tells_models_apart() -> None:
    """Another number of layers, or other rotations, are another model."""
    config = tiny_model().config
    other = type(config).from_dict({**config.to_dict(), "num_hidden_layers": 4})
    assert fingerprint(config) != fingerprint(other)
    rotary = type(config).from_dict(
        {**config.to_dict(), "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}}
    )
    assert fingerprint(config) != fingerprint(rotary)
    assert fingerprint(config) == fingerprint(type(config).from_dict(config.to_dict()))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_are_whole(name: str) -> None:
    """Every profile that ships names its model, its data, and scores on other data."""
    with resources.as_file(resources.files("attnmass.profiles") / name) as path:
        profile = load_profile(path)
    assert profile.fingerprint
    assert profile.fitted_on
    assert profile.measured


def test_no_profile_for_a_tiny_model() -> None:
    """Only the model that a profile was made for gets it."""
    config = tiny_model().config
    assert packaged_profile(config, "parallel") is None
    assert default_profile(config, "parallel").layout == "parallel"


@pytest.mark.parametrize(
    ("heads", "match"),
    [
        ((), "at least one"),
        (((0, 1), (0, 1)), "twice"),
        (((3, 0),), "layers 0 to 2"),
        (((0, 4),), "heads 0 to 3"),
        (((-1, 0),), "not in this model"),
    ],
)
def test_heads_that_are_not_there(heads: Any, match: str) -> None:
    """Heads that the model does not have are an error that says which it has."""
    with pytest.raises(ValueError, match=match):
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=heads)
