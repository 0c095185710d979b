"""Profiles that come with a model: next to its weights, and published by others."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from attnmass import AttentionRanker, HeadProfile
from attnmass.loading import nearby
from attnmass.loading.nearby import profile_nearby
from attnmass.loading.sources import Source
from attnmass.models.sizes import fingerprint
from attnmass.profiles import packaged_profile, packaged_profiles
from attnmass.profiles.published import is_named, published_lists
from tests.conftest import HEADS
from tests.tiny import tiny_model


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A model's folder of one's own."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def put(path: Path, layout: str = "parallel", **fields: Any) -> Path:
    """Write a profile of the tiny model."""
    profile = HeadProfile.from_heads(
        HEADS, model="mine", layout=layout, fingerprint=fingerprint(tiny_model().config), **fields
    )
    path.write_text(profile.to_json(), encoding="utf-8")
    return path


def test_profile_in_the_models_folder(folder: Path) -> None:
    """A model that is loaded by name brings the profile that lies next to it, and its layout."""
    put(folder / "attnmass.json", "joint")
    ranker = AttentionRanker.from_pretrained(folder)
    assert ranker.profile.model == "mine"
    assert ranker.profile.layout == "joint"
    put(folder / "attnmass.parallel.json", "parallel")
    assert AttentionRanker.from_pretrained(folder, layout="parallel").profile.heads == HEADS


def test_what_the_user_says_comes_first(folder: Path) -> None:
    """Heads and profiles that are passed win over the file, and so does another layout."""
    put(folder / "attnmass.json", "joint")
    assert AttentionRanker.from_pretrained(folder, heads=[(0, 0)]).profile.heads == ((0, 0),)
    with pytest.warns(UserWarning, match="attnmass fit"):
        ranker = AttentionRanker.from_pretrained(folder, layout="parallel")
    assert ranker.profile.source == "default"


def test_broken_file_is_named(folder: Path) -> None:
    """A file that is no profile, or one of another model, is an error and not passed over."""
    (folder / "attnmass.json").write_text("{}")
    with pytest.raises(ValueError, match=r"attnmass\.json is not a head profile"):
        AttentionRanker.from_pretrained(folder)
    other = HeadProfile.from_heads(HEADS, model="x", layout="parallel", fingerprint="0" * 16)
    (folder / "attnmass.json").write_text(other.to_json())
    with pytest.raises(ValueError, match="the profile is for x"):
        AttentionRanker.from_pretrained(folder)


def test_local_models_ask_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched for a model that is on this machine, with a profile or without."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked the Hub")

    monkeypatch.setattr(nearby, "hf_hub_download", refuse)
    assert profile_nearby(str(folder), None) is None
    assert profile_nearby("no/such-model", None, local_files_only=True) is None
    put(folder / "attnmass.json")
    found = profile_nearby(str(folder), "parallel")
    assert found is not None
    assert found.model == "mine"


def test_profile_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the Hub the file is fetched with the user's revision and cache, if it is there."""
    asked: list[tuple[Any, ...]] = []
    path = put(tmp_path / "fetched.json")

    def fetch(repo: str, file: str, *, revision: str | None, cache_dir: Path | None) -> str:
        asked.append((repo, file, revision, cache_dir))
        if file != "attnmass.json":
            raise LocalEntryNotFoundError("no such file")
        return str(path)

    monkeypatch.setattr(nearby, "locate", lambda *_, **__: Source("me/model", local=False))
    monkeypatch.setattr(nearby, "hf_hub_download", fetch)
    monkeypatch.setattr(nearby, "why_unreachable", lambda *_: None)
    found = profile_nearby("me/model", "parallel", revision="v2", cache_dir=tmp_path)
    assert found is not None
    assert found.model == "mine"
    assert asked == [
        ("me/model", "attnmass.parallel.json", "v2", tmp_path),
        ("me/model", "attnmass.json", "v2", tmp_path),
    ]
    assert profile_nearby("me/model", "joint") is None
    monkeypatch.setattr(nearby, "why_unreachable", lambda *_: ConnectionError())
    assert profile_nearby("me/model", "parallel") is None
    assert len(asked) == 4


def test_published_lists() -> None:
    """Each list has its citation, is of the joint layout, and promises no measurement."""
    lists = published_lists()
    assert len(lists) == 12
    assert lists["Llama-3.2-1B-Instruct.joint.qrhead-nq"]["heads"][:2] == ((8, 21), (8, 14))
    assert lists["phi-4.joint.core"]["heads"][-1] == (19, 7)
    assert [len(one["heads"]) for one in lists.values()].count(32) == 2
    for name in lists:
        profile = packaged_profiles()[name]
        assert "arXiv" in profile.source
        assert profile.layout == "joint"
        assert profile.null_query
        assert not profile.measured
        assert profile.fingerprint is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("meta-llama/Llama-3.2-1B-Instruct", True),
        ("/models/llama-3.2-1b-instruct", True),
        ("/hub/models--meta-llama--Llama-3.2-1B-Instruct/snapshots/0a1b", True),
        ("meta-llama/Llama-3.2-1B", False),
        ("someone/Llama-3.2-1B-Instruct-tuned", False),
        ("/models/llama-3.2-1b-instruct/tuned", False),
    ],
)
def test_models_are_known_by_name(path: str, expected: bool) -> None:
    """A repository, a folder and the cache's folder name a model; a fine-tune is another."""
    assert is_named(path, "meta-llama/Llama-3.2-1B-Instruct") is expected


def test_published_heads_are_used_where_they_fit() -> None:
    """A model of that name has the published heads in their layout, unless it is too small."""
    config = tiny_model().config
    config._name_or_path = "meta-llama/Llama-3.2-1B-Instruct"
    assert packaged_profile(config, "joint") is None  # three layers are not that model
    config.num_hidden_layers, config.num_attention_heads = 16, 32
    found = packaged_profile(config, "joint")
    assert found is not None
    assert found.heads[0] == (8, 21)
    assert found.fitted_on == "Natural Questions"
    assert packaged_profile(config, "parallel") is None
