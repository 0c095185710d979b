"""Which profile a model gets, and what does not fit it."""

from __future__ import annotations

from importlib import resources

import pytest
from transformers import Gemma3TextConfig, LlamaConfig, Qwen2Config

from attnmass import AttentionRanker, HeadProfile, load_profile
from attnmass.models.sizes import fingerprint
from attnmass.profiles import EvidenceRule, choosing, default_profile, packaged_profile
from attnmass.profiles.choosing import choose_profile, packaged_profiles
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

SHIPPED = sorted(
    entry.name
    for entry in (resources.files("attnmass.profiles") / "data").iterdir()
    if entry.name.endswith(".json")
)


def test_unknown_model_warns_and_takes_the_middle() -> None:
    """A model without a profile is read at mid-depth, with a warning that names the command."""
    with pytest.warns(UserWarning, match=r"attnmass fit --model MODEL --layout parallel --out"):
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
        AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile, layout="parallel")


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
    with resources.as_file(resources.files("attnmass.profiles") / "data" / name) as path:
        profile = load_profile(path)
    assert profile.fingerprint
    assert profile.fitted_on
    assert profile.measured


def test_gemma_is_known_by_its_shape() -> None:
    """A config with the numbers of Gemma 3 270M gets its profile, another size does not."""
    config = Gemma3TextConfig(
        vocab_size=262144, hidden_size=640, intermediate_size=2048, num_hidden_layers=18,
        num_attention_heads=4, num_key_value_heads=1, head_dim=256, max_position_embeddings=32768,
    )  # fmt: skip
    found = packaged_profile(config, "parallel")
    assert found is not None
    assert found.model == "gemma-3-270m"
    assert found.last_layer == 5
    config.num_hidden_layers = 26
    assert packaged_profile(config, "parallel") is None


def test_no_profile_for_a_tiny_model() -> None:
    """Only the model that a profile was made for gets it."""
    config = tiny_model().config
    assert packaged_profile(config, "parallel") is None
    assert default_profile(config, "parallel").layout == "parallel"


def test_default_heads_and_how_far_others_may_be() -> None:
    """Heads of the middle layers are read, and those up to three quarters of the depth chosen."""
    found = default_profile(LlamaConfig(num_hidden_layers=26, num_attention_heads=2), "late")
    assert found.heads == tuple((layer, head) for layer in range(13, 17) for head in range(2))
    assert found.last_layer == 19
    settled = found.as_it_is()
    assert type(settled) is HeadProfile
    assert (settled.heads, settled.weights, settled.last_layer) == (found.heads, found.weights, 16)
    assert found.to_json() == settled.to_json()


def test_default_heads_of_the_joint_layout() -> None:
    """An unknown model is read at its middle layers in the joint layout too, with a warning."""
    with pytest.warns(UserWarning, match="no head profile ships"):
        ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), layout="joint")
    assert {layer for layer, _ in ranker.profile.heads} == {1}
    assert ranker.profile.null_query


def test_late_borrows_the_heads_of_parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the parallel layout has a profile, late reads its heads, and says so."""
    lender = packaged_profiles()["qwen2.5-coder-1.5b.parallel"]
    monkeypatch.setattr(choosing, "packaged_profiles", lambda: {"parallel": lender})
    config = Qwen2Config(
        vocab_size=151936, hidden_size=1536, intermediate_size=8960, num_hidden_layers=28,
        num_attention_heads=12, num_key_value_heads=2, max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )  # fmt: skip
    found = packaged_profile(config, "parallel")
    with pytest.warns(
        UserWarning, match=r"in layout 'late'.*layout 'parallel' are read.*attnmass fit"
    ):
        found = choose_profile(config, "late")
    assert (found.layout, found.heads, found.ranking) == ("late", lender.heads, lender.ranking)
    assert found.evidence == EvidenceRule()
    assert found.measured == {}
