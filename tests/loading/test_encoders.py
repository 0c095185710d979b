"""Encoders by name: no more of them is loaded than is read."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import pytest
from transformers.utils import logging as hf_logging

from attnmass import AttentionRanker, HeadProfile
from attnmass.loading.load import load
from attnmass.loading.sources import ALIASES, locate
from attnmass.options.declared import PointwiseReading
from tests.tiny_encoder import cross_encoder_folder, tiny_encoder, wordpiece_tokenizer

PROFILE = HeadProfile.from_heads([(0, 1), (1, 2)], model="tiny", layout="pointwise")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with a classification head, as a folder."""
    return cross_encoder_folder(tmp_path_factory.mktemp("encoder"))


def n_layers(model: Any) -> int:
    """How many layers of a BERT are in memory."""
    return len(model.encoder.layer)


def test_layers_above_and_heads_are_not_loaded(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two of three layers are loaded, no pooler and no head, and nothing is said about it."""
    hf_logging.enable_propagation()
    try:
        with caplog.at_level(logging.WARNING):
            loaded = load(str(folder), lambda config: PROFILE, dtype="float32")
    finally:
        hf_logging.disable_propagation()
    assert n_layers(loaded.model) == 2
    assert loaded.model.pooler is None
    assert not hasattr(loaded.model, "classifier")
    assert not [record for record in caplog.records if "classifier" in record.getMessage()]
    assert not [record for record in caplog.records if "layer" in record.getMessage()]


def test_everything_is_loaded_where_the_head_is_asked(folder: Path) -> None:
    """With its classification head the model is whole."""
    loaded = load(
        str(folder), lambda config: PROFILE, dtype="float32", needs_head=lambda config: True
    )
    assert n_layers(loaded.model.bert) == 3
    assert loaded.model.classifier.out_features == 1


def test_by_name_is_as_from_memory(folder: Path) -> None:
    """A ranker by name gives what one over the model in memory gives."""
    chunks = ["Albert Einstein developed it.", "The river runs through the city."]
    heads = [(0, 1), (1, 2)]
    named = AttentionRanker.from_pretrained(
        folder,
        heads=heads,
        dtype="float32",
        rank_by="attention",
        reading=PointwiseReading(direction="both"),
    )
    model = tiny_encoder(n_labels=1)
    at_hand = AttentionRanker(
        model,
        wordpiece_tokenizer(),
        heads=heads,
        rank_by="attention",
        reading=PointwiseReading(direction="both"),
    )
    expected = at_hand.rank("who?", chunks).scores
    assert named.rank("who?", chunks).scores == pytest.approx(expected, abs=1e-6)


def test_short_name_of_a_package_with_a_folder() -> None:
    """all-MiniLM-L6-v2 is found in the pip package that carries it."""
    alias = ALIASES["all-minilm-l6-v2"]
    if importlib.util.find_spec(alias.package) is None:
        pytest.skip("the package is not installed")
    source = locate("all-MiniLM-L6-v2", local_files_only=True)
    assert source.gguf is None
    assert (Path(source.name) / "model.safetensors").is_file()
