"""Every family that is read is loaded by name, as its models are saved, up to a layer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import transformers

from attnmass import AttentionRanker, HeadProfile, UnsupportedModelError
from attnmass.loading.load import load
from attnmass.models.state import identity
from tests.capture import encoders, seq2seq_families
from tests.capture.families import DECODERS
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_seq2seq

SAVED = [
    *((family, tiny_model, tiny_tokenizer) for family in DECODERS),
    *((family, tiny_encoder, wordpiece_tokenizer) for family in encoders.READ),
    *((family, tiny_seq2seq, seq2seq_tokenizer) for family in seq2seq_families.READ),
]


@pytest.mark.parametrize(
    ("family", "make", "tokenizer"), SAVED, ids=[family.name for family, _, _ in SAVED]
)
def test_what_was_saved_is_loaded(family: Any, make: Any, tokenizer: Any, tmp_path: Path) -> None:
    """Nothing is missing or too much, wherever the model is cut, and nothing is random."""
    made = make(copy.deepcopy(family.config))
    made.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    digests = []
    for layer in (0, 0, 1):
        profile = HeadProfile.from_heads([(layer, 0)], model="tiny", layout="parallel")
        digests.append(identity(load(str(tmp_path), lambda _, p=profile: p).model))
    assert digests[0] == digests[1] != digests[2]


def test_a_family_that_is_refused_is_refused_by_name(tmp_path: Path) -> None:
    """A config that has a number for each layer is cut with them, and the model told of."""
    config = transformers.LongformerConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        vocab_size=400, attention_window=4, max_position_embeddings=96, pad_token_id=1,
    )  # fmt: skip
    tiny_encoder(config).save_pretrained(tmp_path)
    wordpiece_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError):
        AttentionRanker.from_pretrained(tmp_path, heads=[(0, 1)])
