"""Self-attention inside a chunk, through the ranker, against plain eager passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attnmass import AttentionRanker, Chunk, HeadProfile, UnsupportedModelError
from attnmass.results.inside import Inside
from tests.capture.seq2seq_families import READ
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import EOS, attend_eagerly, seq2seq_tokenizer, tiny_bart, tiny_seq2seq

HEADS = ((0, 1), (1, 2), (1, 0))
TEXT = "Albert was born in Ulm. The river runs through it. He wrote a theory of numbers and words."
SENTENCES = ["Albert was born in Ulm.", "The river runs through it."]


def build(kind: str, **options: Any) -> AttentionRanker:
    """A ranker of a tiny model."""
    options = {"heads": HEADS, **options}
    if kind in ("parallel", "joint"):
        return AttentionRanker(tiny_model(), tiny_tokenizer(), layout=kind, **options)
    if kind == "encoder":
        return AttentionRanker(tiny_encoder(), wordpiece_tokenizer(), **options)
    model = tiny_seq2seq() if kind == "t5" else tiny_bart()
    return AttentionRanker(model, seq2seq_tokenizer(kind), **options)


def eager(kind: str, ranker: AttentionRanker, read: str) -> Tensor:
    """Attention of the heads among the tokens of a text, `[head, token, token]`, one plain pass."""
    (tokens,) = ranker._plain.content([read])
    layout: Any = ranker._layout
    if kind in ("parallel", "joint"):
        model, lead, trail = tiny_model(), list(layout._prompt.before), []
    elif kind == "encoder":
        model, lead, trail = tiny_encoder(), [2], [3]
    elif kind == "t5":
        model, lead, trail = tiny_seq2seq(), [], [EOS]
    else:
        model, lead, trail = tiny_bart(), [1], [EOS]
    run = model
    if kind in ("t5", "bart"):
        attend_eagerly(model)
        run = model.get_encoder()
    else:
        model.set_attn_implementation("eager")
    with torch.inference_mode():
        ids = torch.tensor([[*lead, *tokens.ids, *trail]])
        found = run(ids, output_attentions=True).attentions
    own = slice(len(lead), len(lead) + len(tokens))
    return torch.stack([found[layer][0, head, own, own] for layer, head in HEADS])


each_kind = pytest.mark.parametrize("kind", ["parallel", "joint", "encoder", "t5", "bart"])


@each_kind
def test_tokens_are_as_eager(kind: str) -> None:
    """Every token's attention, head by head and in the mean, is that of a plain pass."""
    ranker = build(kind)
    (found,) = ranker.inside([TEXT])
    expected = eager(kind, ranker, TEXT).numpy()
    np.testing.assert_allclose(found.by_head, expected, atol=1e-5)
    np.testing.assert_allclose(found.tokens, expected.mean(axis=0), atol=1e-5)
    assert found.heads == HEADS
    assert (found.tokens.sum(axis=1) < 1).all()
    later = np.triu(found.tokens, 1).max()
    assert later == 0 if kind in ("parallel", "joint") else later > 0


@each_kind
def test_sentences_are_sums_of_tokens(kind: str) -> None:
    """Between sentences it is the mean over tokens of one, summed over characters of the other."""
    (found,) = build(kind).inside([TEXT])
    assert [TEXT[a:b] for a, b in found.spans][:2] == SENTENCES
    shares = np.array([_shares(found, span) for span in found.spans])  # [sentence, token]
    for row, mine in enumerate(shares):
        looking = found.tokens[mine > 0].mean(axis=0)
        for column, other in enumerate(shares):
            assert found.sentences[row, column] == pytest.approx(looking @ other, abs=1e-5)
    assert np.abs(found.sentences).max() > 0.05


def _shares(found: Inside, span: tuple[int, int]) -> list[float]:
    """How many of each token's characters lie in a span, as a share of them."""
    return [
        sum(span[0] <= place - found.start < span[1] for place in range(start, end)) / (end - start)
        for start, end in found.offsets
    ]


@each_kind
def test_titles_are_read_and_told_apart(kind: str) -> None:
    """A title's tokens are there, before the text's own, and sentences are those of the text."""
    (found,) = build(kind).inside([Chunk(TEXT, title="Numbers")])
    assert found.read.startswith("Numbers\n")
    assert found.read[found.start :] == found.text == TEXT
    assert [TEXT[a:b] for a, b in found.spans][:2] == SENTENCES
    assert found.offsets[0][0] < found.start


@each_kind
def test_long_chunks_are_read_in_windows(kind: str) -> None:
    """A token looks at its own window alone, and every token looks somewhere."""
    (found,) = build(kind, max_chunk_tokens=16).inside([TEXT])
    assert len(found.tokens) > 16
    assert (found.tokens.sum(axis=1) > 0).all()
    reach = [np.flatnonzero(row) for row in found.tokens]
    assert max(int(row.max() - row.min()) for row in reach) < 16


def test_blank_chunks_keep_their_place() -> None:
    """What is not read has no tokens and says why; others are where they were."""
    found = build("parallel").inside([" ", TEXT, ""])
    assert [one.skipped for one in found] == ["blank", None, "blank"]
    assert found[0].tokens.shape == (0, 0)
    assert found[0].sentences.shape == (0, 0)
    assert found[1].text == TEXT
    assert build("parallel").inside([]) == ()


def test_heads_are_weighed_as_for_context() -> None:
    """A profile's heads for context make the mean, and the others count for nothing in it."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="parallel", context=((2, 3),))
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    (found,) = ranker.inside([TEXT])
    assert found.heads == (*HEADS, (2, 3))
    np.testing.assert_allclose(found.tokens, found.by_head[3], atol=1e-6)


def test_what_a_sentence_leans_on() -> None:
    """It is the other sentence that it looks at most; in a decoder the first has none before it."""
    (found,) = build("parallel").inside([TEXT])
    assert found.leans_on(0) is None
    row = found.sentences[2]
    assert found.leans_on(2) == int(row[:2].argmax())
    (other,) = build("encoder").inside([TEXT])
    assert other.leans_on(0) in (1, 2)
    with pytest.raises(IndexError):
        found.leans_on(9)


def test_results_cannot_be_written_to() -> None:
    """The arrays are the result's own."""
    (found,) = build("encoder").inside([TEXT])
    for array in (found.tokens, found.by_head, found.sentences, found.offsets):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_single_text_is_an_error() -> None:
    """Chunks are a sequence."""
    with pytest.raises(TypeError, match="pass"):
        build("parallel").inside(TEXT)


def test_encoders_of_blocks_say_so() -> None:
    """Where an encoder does not show its attention, the error says so."""
    family = next(family for family in READ if not family.inside)
    ranker = AttentionRanker(tiny_seq2seq(family.config), seq2seq_tokenizer(), heads=[(0, 1)])
    with pytest.raises(UnsupportedModelError, match="attends over blocks"):
        ranker.inside([TEXT])
