"""`profile="fit"` on adapters: asked for by a field, and on a model that is in memory."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from attnmass import HeadProfile
from attnmass.fitting import first_use
from tests.contract.adapters import Adapter, Candidate
from tests.tiny import tiny_model, tiny_tokenizer

FOUND = [Candidate("Einstein was a physicist."), Candidate("The river runs through the city.")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str] | None]:
    """Stands for a fit; the texts of each."""
    texts: list[Sequence[str] | None] = []

    def fit(
        _: Any, tokenizer: Any, default: HeadProfile, given: Sequence[str] | None
    ) -> HeadProfile:
        texts.append(given)
        return HeadProfile.from_heads(
            [(1, 0)], model=default.model, layout=default.layout, source="fit"
        )

    monkeypatch.setattr(first_use, "fit_at_first_use", fit)
    return texts


def test_by_name(
    adapter: Adapter, tiny_folder: Path, tmp_path: Path, asked: list[Sequence[str] | None]
) -> None:
    """A fit is made when the model is loaded, on the texts; both fields survive serialization."""
    fields = {"model": str(tiny_folder), "dtype": "float32", "profile": "fit"}
    rerank = adapter.Rerank(**fields, fit_texts=[tmp_path, "A text."])
    assert asked == []
    assert rerank.fit_texts == (str(tmp_path), "A text.")
    for other in (
        rerank,
        adapter.Rerank.model_validate(json.loads(rerank.model_dump_json())),
        pickle.loads(pickle.dumps(rerank)),
    ):
        assert other == rerank
        assert len(adapter.run(other, adapter.build(FOUND), "Who was Einstein?")) == 2
        profile = other._load().profile
        assert (profile.heads, profile.layout) == (((1, 0),), "late")
        assert profile.model == str(tiny_folder)
    assert asked == [(str(tmp_path), "A text.")]


def test_in_memory(adapter: Adapter, asked: list[Sequence[str] | None]) -> None:
    """Of a model in memory the profile that was fitted is the field, whole."""
    rerank = adapter.Rerank.from_model(
        tiny_model(), tiny_tokenizer(), profile="fit", fit_texts="A text."
    )
    assert asked == [("A text.",)]
    assert rerank.fit_texts is None
    assert rerank._load().profile.heads == ((1, 0),)
    assert rerank.heads == ((1, 0),)
    assert len(adapter.run(rerank, adapter.build(FOUND), "Who was Einstein?")) == 2


def test_texts_without_a_fit(adapter: Adapter) -> None:
    """Texts that nothing is fitted on, none, and what is no text are refused at construction."""
    for fields, why in (
        ({"fit_texts": ["A text."]}, "set profile to that"),
        ({"profile": "fit", "fit_texts": []}, "nothing in it"),
        ({"profile": "fit", "fit_texts": 5}, "paths or texts"),
        ({"profile": "fit", "heads": ((0, 0),)}, "pass profile or heads"),
    ):
        with pytest.raises(ValueError, match=why):
            adapter.Rerank(**fields)
