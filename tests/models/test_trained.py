"""Sense, not only shapes: trained models look at the document that has the answer."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from attnmass import AttentionRanker, CrossOptions, load_profile
from attnmass.options.declared import PointwiseReading
from attnmass.text.tokens import PlainTokenizer
from tests.models.lookups import KEYS
from tests.models.select import CROSS, FOLDER, N_DOCUMENTS, cases, measure
from tests.models.train import make_model

KINDS = [kind for kind in ("t5", "bart", "fid") if (FOLDER / kind / "model.safetensors").exists()]
SEED, N = 77_000, 60  # a seed that neither trained, nor selected heads, nor is in the docs

each_kind = pytest.mark.parametrize("kind", KINDS)


@functools.cache
def ranker(kind: str) -> AttentionRanker:
    """A trained model, loaded by name, with the heads that were selected for it."""
    return AttentionRanker.from_pretrained(
        FOLDER / kind,
        profile=FOLDER / kind / "profile.json",
        reading=PointwiseReading(cross=CROSS[kind]),
        device="cpu",
        dtype="float32",
    )


@functools.cache
def found(kind: str) -> dict[str, float]:
    """What was measured on unseen look-ups."""
    return measure(ranker(kind), cases(SEED, N))


def test_there_are_models() -> None:
    """All models are in the repository."""
    assert KINDS == ["t5", "bart", "fid"]


@each_kind
def test_right_document_comes_first(kind: str) -> None:
    """Cross-attention mass ranks the document with the answer first in 95% of unseen cases.

    With the question in the encoder it does in 80%.
    """
    assert found(kind)["first"] >= (0.8 if kind == "fid" else 0.95)


@each_kind
def test_trimming_keeps_the_right_fact(kind: str) -> None:
    """Cut to one sentence, the best document is the fact that was asked for in most cases."""
    assert found(kind)["fact_kept"] >= 0.8


@each_kind
def test_untrained_is_near_chance(kind: str) -> None:
    """The same model before training, read at the same heads, knows nothing."""
    trained = ranker(kind)
    tokenizer: Any = _tokenizer(kind)
    model = make_model(kind, len(tokenizer), seed=1).eval()
    untrained = AttentionRanker(
        model, tokenizer, profile=trained.profile, reading=PointwiseReading(cross=CROSS[kind])
    )
    assert measure(untrained, cases(SEED, N))["first"] < 3 / N_DOCUMENTS


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_the_default_finds_what_all_rows_miss(kind: str) -> None:
    """Without a word of the user the step is read that finds; the mean over the query does not."""
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(FOLDER / kind), _tokenizer(kind)
    heads = ranker(kind).profile.heads
    plain = AttentionRanker(model, tokenizer, heads=heads)
    averaged = AttentionRanker(
        model, tokenizer, heads=heads, reading=PointwiseReading(cross=CrossOptions(rows="query"))
    )
    some = cases(SEED, 20)
    assert measure(plain, some)["first"] >= 0.9
    assert measure(averaged, some)["first"] < 0.7


@each_kind
def test_order_of_documents_plays_no_part(kind: str) -> None:
    """Wherever the right document comes, it gets the same mass."""
    case = cases(SEED, 1)[0]
    there = ranker(kind).rank(case.question, case.documents).scores
    back = ranker(kind).rank(case.question, case.documents[::-1]).scores
    assert there == pytest.approx(back[::-1], abs=1e-5)


@each_kind
def test_profile_says_what_was_measured(kind: str) -> None:
    """The profile next to the weights is fitted on training data and has its numbers."""
    profile = load_profile(FOLDER / kind / "profile.json")
    assert profile.source == "fitted"
    assert profile.measured["trained"]["first"] >= 0.95
    assert profile.measured["untrained"]["first"] < 3 / N_DOCUMENTS


@each_kind
def test_files_are_small_and_plain(kind: str) -> None:
    """Weights are safetensors, all files together under 3 MB, and none can hold code."""
    files = [path for path in (FOLDER / kind).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors"}
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert json.loads((FOLDER / kind / "config.json").read_text())["model_type"] in (kind, "t5")


@each_kind
def test_keys_are_single_tokens(kind: str) -> None:
    """The tokenizer in the folder has a token for each key, as training had it."""
    plain = PlainTokenizer(_tokenizer(kind))
    assert all(len(found) == 1 for found in plain.content([f" {key}" for key in KEYS]))


def _tokenizer(kind: str) -> Any:
    return AutoTokenizer.from_pretrained(Path(FOLDER) / kind)


def test_weights_are_those_of_the_config() -> None:
    """Every weight of the whole model is in the file; nothing is left random."""
    for kind in KINDS:
        _, info = AutoModelForSeq2SeqLM.from_pretrained(FOLDER / kind, output_loading_info=True)
        assert not info["missing_keys"]
