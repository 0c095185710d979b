"""The pointwise layout over tiny encoders, against plain passes over transformers' own pairs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, RobertaConfig

from attnmass import AttentionRanker, Chunk
from attnmass.layouts import LayoutOptions
from attnmass.layouts.pointwise import DEFAULT_DIRECTION
from attnmass.options.declared import PointwiseReading
from attnmass.text.tokens import PlainTokenizer
from tests.readings import grouped
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import SIZES, byte_level_tokenizer, tiny_encoder, wordpiece_tokenizer

HEADS = ((0, 1), (1, 2), (1, 0))
QUERY = "Who invented relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river.",
    "Trains, books and music are made of words.",
    "It was warm all summer long.",
]
LONG = " ".join(CHUNKS * 4)
KINDS = {
    "wordpiece": (wordpiece_tokenizer, lambda: BertConfig(**SIZES, pad_token_id=0)),
    "byte level": (
        byte_level_tokenizer,
        lambda: RobertaConfig(**SIZES, pad_token_id=1, type_vocab_size=1),
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def build(kind: str = "wordpiece", **options: Any) -> AttentionRanker:
    """A ranker over a tiny encoder."""
    tokenizer, config = KINDS[kind]
    return AttentionRanker(
        tiny_encoder(config()), tokenizer(), **grouped({"heads": HEADS, **options})
    )


def slowly(kind: str, query: str, chunk: str) -> tuple[Tensor, Tensor]:
    """Both ways of attention, `[head, chunk token]` each, from one plain pass over a pair."""
    tokenizer, config = KINDS[kind]
    model = tiny_encoder(config())
    model.set_attn_implementation("eager")
    encoded = tokenizer()(query, chunk, return_tensors="pt")
    with torch.inference_mode():
        layers = model(**encoded, output_attentions=True).attentions
    attention = torch.stack([layers[layer][0, head] for layer, head in HEADS])
    which = torch.tensor([-1 if s is None else s for s in encoded.sequence_ids(0)])
    queries, chunks = (which == 0).nonzero()[:, 0], (which == 1).nonzero()[:, 0]
    there = attention[:, queries].mean(dim=1)[:, chunks]
    back = attention[:, chunks][:, :, queries].sum(dim=2) / len(chunks)
    return there, back


@each_kind
@pytest.mark.parametrize("direction", ["query_to_chunk", "chunk_to_query", "both"])
def test_equals_plain_passes(kind: str, direction: str) -> None:
    """Every way equals what a plain eager pass over transformers' own pair gives."""
    found = build(kind, direction=direction).attention(QUERY, CHUNKS)
    for chunk, attention in zip(CHUNKS, found.chunks, strict=True):
        there, back = slowly(kind, QUERY, chunk)
        expected = {"query_to_chunk": there, "chunk_to_query": back, "both": (there + back) / 2}[
            direction
        ]
        assert torch.allclose(attention, expected, atol=1e-5)
        assert 0 < float(attention.sum(dim=1).max()) < 1


@each_kind
def test_pairs_are_the_tokenizers_own(kind: str) -> None:
    """Ids and types of a framed pair, and of a single text, are those that transformers makes."""
    tokenizer = KINDS[kind][0]()
    plain = PlainTokenizer(tokenizer)
    first, second = plain.content([QUERY, CHUNKS[0]])
    ids, types, _ = plain.frame(2).fill(first.ids, second.ids)
    expected = tokenizer(QUERY, CHUNKS[0])
    nothing = [0] * len(ids)  # what models read where they are told no types
    assert list(ids) == expected["input_ids"]
    assert list(types) == expected.get("token_type_ids", nothing)
    assert ("token_type_ids" in expected) == (kind == "wordpiece")
    ids, types, (start,) = plain.frame(1).fill(first.ids)
    expected = tokenizer(QUERY)
    assert list(ids) == expected["input_ids"]
    assert list(types) == expected.get("token_type_ids", [0] * len(ids))
    assert ids[start : start + len(first)] == first.ids


@each_kind
def test_order_and_batches_do_not_matter(kind: str) -> None:
    """Scores are the same in any order, in batches of any size, and alone."""
    ranker = build(kind)
    scores = ranker.rank(QUERY, CHUNKS).scores
    assert ranker.rank(QUERY, CHUNKS[::-1]).scores[::-1] == pytest.approx(scores, abs=1e-6)
    assert ranker.rank(QUERY, CHUNKS, batch_size=1).scores == pytest.approx(scores, abs=1e-6)
    assert build(kind, max_batch_tokens=1).rank(QUERY, CHUNKS).scores == pytest.approx(
        scores, abs=1e-6
    )
    alone = [ranker.rank(QUERY, [chunk]).scores[0] for chunk in CHUNKS]
    assert alone == pytest.approx(scores, abs=1e-6)
    together = ranker.rank_batch([QUERY, "music?"], CHUNKS)
    assert together[0].scores == pytest.approx(scores, abs=1e-6)
    assert together[1].scores == pytest.approx(ranker.rank("music?", CHUNKS).scores, abs=1e-6)


def test_text_cannot_become_a_control_token() -> None:
    """What reads like a control token is plain text, and its offsets are exact."""
    ranker = build()
    text = "Words [SEP] and [CLS] music."
    (tokens,) = ranker._plain.content([text])
    frame = ranker._plain.frame(2)
    control = {token for piece in frame.control for token in piece}
    assert not control & set(tokens.ids)
    assert ranker.attention("who [SEP] x", [text]).chunks[0].shape == (3, len(tokens))
    assert all(text[start:end].strip() for start, end in tokens.offsets)


@pytest.mark.parametrize("direction", ["query_to_chunk", "chunk_to_query", "both"])
def test_windows_are_merged_as_the_mean(direction: str) -> None:
    """A chunk too long for the model gets per token the mean of its windows, worked out slowly."""
    ranker = build(direction=direction)
    (tokens,) = ranker._plain.content([LONG])
    (asked,) = ranker._plain.content([QUERY])
    layout: Any = ranker._layout
    size = 96 - 3 - len(asked)
    step = size - size // 2
    starts = [*range(0, len(tokens) - size, step), len(tokens) - size]
    assert len(starts) > 2
    sums, times = torch.zeros(len(HEADS), len(tokens)), torch.zeros(len(tokens))
    for start in starts:
        piece = type(tokens)(tokens.ids[start : start + size], tokens.offsets[start : start + size])
        found = layout.attend([asked], [piece], LayoutOptions(), lambda n: None)
        share = found.queries[0].chunks[0]
        there = {"query_to_chunk": 1 / len(starts), "chunk_to_query": size / len(tokens)}
        if direction != "both":
            sums[:, start : start + size] += share * there[direction]
        else:
            for one, factor in there.items():
                part = build(direction=one)._layout.attend(
                    [asked], [piece], LayoutOptions(), lambda n: None
                )
                sums[:, start : start + size] += part.queries[0].chunks[0] * factor / 2
        times[start : start + size] += 1
    ranking = ranker.rank(QUERY, [LONG, *CHUNKS])
    assert torch.allclose(ranker.attention(QUERY, [LONG]).chunks[0], sums / times, atol=1e-6)
    assert ranking.split == (0,)
    assert next(c for c in ranking.chunks if c.index == 0).n_windows == len(starts)
    assert max(ranking.scores) <= 1
    assert any("chunks[0] was longer" in note for note in ranking.notes)


def test_long_query_does_not_shorten_others_windows() -> None:
    """A chunk that fits beside one query is whole for it, however long another query is."""
    ranker = build()
    long = " ".join([QUERY] * 3)
    chunk = " ".join(CHUNKS[:2])
    both = ranker.rank_batch([QUERY, long], [chunk])
    assert both[0].scores == pytest.approx(ranker.rank(QUERY, [chunk]).scores, abs=1e-6)


def test_query_is_never_truncated() -> None:
    """A query that leaves no room for a chunk is an error that says how long it may be."""
    with pytest.raises(ValueError, match=r"room for \d+ .*shorten the query"):
        build().rank(" ".join([QUERY] * 20), CHUNKS)


def test_roberta_has_the_positions_behind_the_padding() -> None:
    """A pair of exactly as many tokens as RoBERTa has usable positions is read whole."""
    ranker = build("byte level")
    (asked,), (tokens,) = (ranker._plain.content([text]) for text in (QUERY, LONG))
    room = 96 - 2 - 4 - len(asked)
    text = LONG[: tokens.offsets[room - 1][1]]
    assert ranker.rank(QUERY, [text]).chunks[0].n_windows == 1
    assert ranker.rank(QUERY, [LONG[: tokens.offsets[room][1]]]).chunks[0].n_windows == 2


def test_warm_says_why_not() -> None:
    """There is nothing to warm: the error says that chunks are read with the query."""
    with pytest.raises(ValueError, match="together with the query"):
        build().warm(CHUNKS)


def test_within_equals_a_plain_pass() -> None:
    """Attention inside a chunk is that of a plain pass over the chunk alone, in both directions."""
    ranker = build()
    tokens = ranker._plain.content(CHUNKS[:2])
    groups = [[[0, 1], [4, 5, 6]], [[1]]]
    found = ranker._layout.within(tokens, groups, LayoutOptions())
    model = tiny_encoder()
    model.set_attn_implementation("eager")
    for chunk, mine, seen in zip(CHUNKS, groups, found, strict=False):
        encoded = wordpiece_tokenizer()(chunk, return_tensors="pt")
        with torch.inference_mode():
            layers = model(**encoded, output_attentions=True).attentions
        attention = torch.stack([layers[layer][0, head] for layer, head in HEADS])[:, 1:-1, 1:-1]
        expected = torch.stack([attention[:, group].mean(dim=1) for group in mine])
        assert torch.allclose(seen, expected, atol=1e-5)


def test_within_reads_long_chunks_in_windows() -> None:
    """A chunk too long for the model is read in windows; what lies outside a group's is zero."""
    ranker = build()
    (tokens,) = ranker._plain.content([LONG])
    (found,) = ranker._layout.within([tokens], [[[0], [len(tokens) - 1]]], LayoutOptions())
    assert found.shape == (2, len(HEADS), len(tokens))
    assert float(found[0, :, -1].abs().max()) == 0
    assert float(found[1, :, -1].min()) > 0


def test_trims_with_context_and_titles() -> None:
    """Trimming works as for decoders: verbatim spans, titles read, earlier sentences looked up."""
    text = " ".join(CHUNKS)
    ranking = build().trim(
        QUERY, [Chunk(text, title="Words"), "The river."], keep_ratio=0.5, resolve_context=True
    )
    chunk = next(c for c in ranking.chunks if c.index == 0)
    assert chunk.text != text
    assert all(text[s.start : s.end] in text for s in chunk.kept_spans)
    assert chunk.kept_spans


def test_callers_tokenizer_is_as_before() -> None:
    """Neither padding side nor truncation of the caller's tokenizer matters or changes."""
    expected = build().rank(QUERY, CHUNKS).scores
    tokenizer = wordpiece_tokenizer()
    tokenizer.padding_side = "left"
    tokenizer(CHUNKS, padding=True, truncation=True, max_length=8)  # leaves both in the backend
    known = tokenizer.backend_tokenizer.to_str()
    ranker = AttentionRanker(tiny_encoder(), tokenizer, heads=HEADS)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-6)
    assert tokenizer.backend_tokenizer.to_str() == known
    assert tokenizer.padding_side == "left"


def test_layout_and_direction_are_checked() -> None:
    """An encoder has no parallel layout, a decoder no direction, and other words are none."""
    with pytest.raises(ValueError, match="'pointwise'"):
        build(layout="parallel")
    with pytest.raises(ValueError, match="leave it out"):
        AttentionRanker(
            tiny_model(),
            tiny_tokenizer(),
            heads=[(1, 0)],
            reading=PointwiseReading(direction="both"),
        )
    with pytest.raises(ValueError, match="direction must be one of"):
        build(direction="sideways")


def test_direction_is_part_of_the_profile() -> None:
    """A profile with a direction is read that way, unless the ranker is told another."""
    assert build().profile.direction == DEFAULT_DIRECTION
    ranker = build(direction="query_to_chunk")
    profile = copy.copy(ranker.profile)
    assert profile.direction == "query_to_chunk"
    again = build(heads=None, profile=profile)
    assert again.rank(QUERY, CHUNKS).scores == ranker.rank(QUERY, CHUNKS).scores
    other = build(heads=None, profile=profile, direction="both")
    assert other.rank(QUERY, CHUNKS).scores == build(direction="both").rank(QUERY, CHUNKS).scores
