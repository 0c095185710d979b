"""Families that the attention interface does not reach work all the same, end to end."""

from __future__ import annotations

import copy

import pytest

from attnmass import AttentionRanker
from attnmass.capture import Reader, prove
from attnmass.models.view import find_layers
from tests.capture import checks
from tests.capture.encoders import READ as ENCODERS
from tests.capture.encoders import Encoder
from tests.capture.families import DECODERS, FAMILIES, Family
from tests.capture.joint_checks import CHUNKS, QUERIES, tokenizer
from tests.capture.seq2seq_families import READ as SEQ2SEQ
from tests.capture.table import PATHS, render_table
from tests.tiny import tiny_model
from tests.tiny_encoder import tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_seq2seq

EAGER_DECODERS = [family for family in DECODERS if family.path_here == "eager"]
EAGER_ENCODERS = [family for family in ENCODERS if family.path == "eager"]
EAGER_SEQ2SEQ = [family for family in SEQ2SEQ if family.path == "eager"]


def check(ranker: AttentionRanker, query: str = QUERIES[0]) -> None:
    """It ranks, trims and tells where each word of the query looked."""
    texts = [f"{chunk} . {CHUNKS[0]} ." for chunk in CHUNKS]
    ranking = ranker.rank(query, texts, query_words=True)
    assert len({chunk.mass for chunk in ranking.chunks}) > 1
    assert ranking.explain().query_words
    trimmed = ranker.trim(query, texts, keep_ratio=0.5, resolve_context=True)
    assert 0 < trimmed.n_tokens_after < trimmed.n_tokens_before  # type: ignore[operator]


@pytest.mark.parametrize("layout", ["parallel", "joint"])
@pytest.mark.parametrize("family", EAGER_DECODERS, ids=lambda family: family.name)
def test_decoders(family: Family, layout: str) -> None:
    """A decoder that is read from its own eager attention ranks in both layouts."""
    model = tiny_model(family.config)
    check(AttentionRanker(model, tokenizer(), layout=layout, heads=checks.HEADS))


@pytest.mark.parametrize("family", EAGER_ENCODERS, ids=lambda family: family.name)
def test_encoders(family: Encoder) -> None:
    """So does an encoder."""
    config = copy.deepcopy(family.config)
    config.vocab_size = len(wordpiece_tokenizer())
    check(AttentionRanker(tiny_encoder(config), wordpiece_tokenizer(), heads=[(0, 1), (1, 3)]))


@pytest.mark.parametrize("family", EAGER_SEQ2SEQ, ids=lambda family: family.name)
def test_encoder_decoders(family: Family) -> None:
    """So does an encoder-decoder."""
    model = tiny_seq2seq(family.config)
    check(AttentionRanker(model, seq2seq_tokenizer("bart"), heads=[(0, 1), (1, 3)]))


@pytest.mark.parametrize("family", EAGER_DECODERS, ids=lambda family: family.name)
def test_only_layers_that_are_needed_are_read(family: Family) -> None:
    """With heads of the first layer alone the second is not there, and the first is read right."""
    model = tiny_model(family.config)
    reader = Reader(model, [(0, 1)])
    prove(reader, model)
    assert len(find_layers(reader._view)[1]) == 1


def test_a_family_may_work_on_some_of_its_layers() -> None:
    """GPT-Neo's first layer, which has no window, is read although its second cannot be."""
    (family,) = [family for family in FAMILIES if family.name == "GPT-Neo"]
    model = tiny_model(family.config)
    prove(Reader(model, [(0, 1), (0, 3)]), model)


def test_the_table_says_so() -> None:
    """Each of them has its way of reading in its row."""
    rows = render_table().splitlines()
    for family in (*EAGER_DECODERS, *EAGER_ENCODERS):
        (row,) = [row for row in rows if row.startswith(f"| {family.name} |")]
        assert f"| {PATHS['eager']} |" in row
