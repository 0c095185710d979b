"""Where memory runs out: scores stay what they are, or an error says what to pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from transformers import BertConfig

from attnmass import AttentionRanker, OutOfMemoryError
from attnmass.capture import CrossReader, EncoderReader, Reader
from attnmass.capture.vectors import VectorReader
from tests.conftest import HEADS
from tests.readings import grouped
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import SIZES, tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_seq2seq

QUERY = "Who developed the theory of relativity?"
ANSWER = "Albert Einstein did. He was a physicist."
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city.",
    "Trains, books and music.",
    "words",
    "A city lies on that river.",
    "Numbers are made of numbers, and the query is made of words; " * 4,
]
LONG = "Numbers are made of numbers, and the query is made of words; " * 12


def decoder(layout: str) -> Callable[..., AttentionRanker]:
    """Builds rankers over the tiny decoder."""

    def build(**options: Any) -> AttentionRanker:
        named = grouped({"memory_bytes": 0, **options} if layout != "joint" else options)
        return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, layout=layout, **named)

    return build


def encoder(**options: Any) -> AttentionRanker:
    """A ranker over an encoder that takes long pairs."""
    config = BertConfig(**{**SIZES, "max_position_embeddings": 512}, pad_token_id=0)
    heads = ((0, 1), (1, 2), (1, 0))
    return AttentionRanker(tiny_encoder(config), wordpiece_tokenizer(), heads=heads, **options)


def seq2seq(**options: Any) -> AttentionRanker:
    """A ranker over an encoder-decoder."""
    heads = ((0, 1), (1, 3), (1, 0))
    options = {"memory_bytes": 0, **options}
    return AttentionRanker(tiny_seq2seq(), seq2seq_tokenizer("t5"), heads=heads, **options)


def ids_of(_: Any, ids: Any, *__: Any) -> tuple[int, int]:
    """Rows, which is one, and tokens of token ids `[token]`."""
    return 1, len(ids)


def lists_of(_: Any, rows: Any, *__: Any) -> tuple[int, int]:
    """The same of lists of token ids, or of passages that have them."""
    return len(rows), max(len(getattr(row, "ids", row)) for row in rows)


class Place(NamedTuple):
    """Where memory can run out.

    Attributes:
        build: Builds a ranker.
        owner: The class of the pass.
        method: Its method.
        size: From the method's arguments to rows and tokens of a pass.
        relative: By how much of itself a score may move where fewer rows share a pass.
    """

    build: Callable[..., AttentionRanker]
    owner: type
    method: str
    size: Callable[..., tuple[int, int]]
    relative: float = 1e-5


READS = {
    "parallel": Place(decoder("parallel"), Reader, "read", lists_of),
    # Vectors are rounded to 8 bits: where rounding turns one over, it moves by a 127th of itself.
    "late": Place(decoder("late"), VectorReader, "keys", lists_of, 1e-3),
    "encoder": Place(encoder, EncoderReader, "look", lists_of),
    "encoder-decoder": Place(seq2seq, CrossReader, "read", lists_of),
}


def limit(
    monkeypatch: pytest.MonkeyPatch, place: Place, *, rows: int = 1000, tokens: int = 10**6
) -> list[tuple[int, int]]:
    """Let memory hold so much in one pass of a place; returns what was tried."""
    original, tried = getattr(place.owner, place.method), []

    def tight(self: Any, *args: Any, **kwargs: Any) -> Any:
        tried.append(place.size(self, *args))
        if tried[-1][0] > rows or tried[-1][1] > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(place.owner, place.method, tight)
    return tried


@pytest.mark.parametrize("name", READS)
def test_fewer_chunks_share_a_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a batch is too much, halves of it are read, and scores move by rounding at most."""
    place = READS[name]
    ranker = place.build()
    expected = ranker.rank(QUERY, CHUNKS).scores
    tried = limit(monkeypatch, place, rows=1)
    found = ranker.rank(QUERY, CHUNKS)
    assert found.scores == pytest.approx(expected, rel=place.relative)
    assert found.split == found.notes == ()
    assert max(tried)[0] > 2


@pytest.mark.parametrize("name", READS)
def test_a_chunk_is_never_read_in_shorter_windows_unasked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk too long for memory is an error; what it says to pass fits, and is as ever."""
    place = READS[name]
    ranker = place.build()
    whole = ranker.rank(QUERY, [LONG, *CHUNKS]).scores
    with monkeypatch.context() as patch:
        tried = limit(patch, place, tokens=200)
        with pytest.raises(OutOfMemoryError, match=r"max_chunk_tokens=\d+") as caught:
            ranker.rank(QUERY, [LONG, *CHUNKS])
        assert min(tried)[0] == 1
        said = re.search(r"up to (\d+) tokens.*max_chunk_tokens=(\d+)", str(caught.value))
        assert said is not None
        assert int(said[1]) > 200
        assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
        shorter = place.build(max_chunk_tokens=150)
        tight = shorter.rank(QUERY, [LONG, *CHUNKS])
        assert tight.split == (0,)
    assert ranker.rank(QUERY, [LONG, *CHUNKS]).scores == whole
    roomy = place.build(max_chunk_tokens=150).rank(QUERY, [LONG, *CHUNKS])
    assert tight.scores == pytest.approx(roomy.scores, rel=place.relative)


@pytest.mark.parametrize("name", ["parallel", "late", "encoder-decoder"])
def test_warming_reads_what_ranking_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warming does not cut a chunk that memory does not hold, either."""
    place = READS[name]
    ranker = place.build(memory_bytes=None)
    limit(monkeypatch, place, tokens=200)
    with pytest.raises(OutOfMemoryError, match="max_chunk_tokens"):
        ranker.warm([LONG])


LOOKS = {
    "parallel": (decoder("parallel"), Reader),
    "joint": (decoder("joint"), Reader),
    "encoder-decoder": (seq2seq, CrossReader),
}


@pytest.mark.parametrize("name", LOOKS)
def test_keys_are_looked_at_in_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a query's look at all keys is too much, it looks at blocks, with the same scores."""
    build, owner = LOOKS[name]
    ranker = build(max_batch_tokens=256)
    chunks = [f"{text} {number}" for number in range(4) for text in CHUNKS]
    expected = ranker.rank(QUERY, chunks).scores
    original, blocks = owner.look, []

    def tight(self: Any, *args: Any, **kwargs: Any) -> Any:
        blocks.append(args[4] if len(args) > 4 else kwargs.get("key_block"))
        if blocks[-1] is None or blocks[-1] > 256:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(owner, "look", tight)
    # In the joint layout what the null query gets is taken off, which leaves less than it rounds.
    assert ranker.rank(QUERY, chunks).scores == pytest.approx(expected, rel=1e-5, abs=3e-7)
    assert len(set(blocks)) > 1
    if name != "encoder-decoder":
        answers = ranker.attribute(QUERY, chunks, ANSWER)
        monkeypatch.setattr(owner, "look", original)
        for found, there in zip(
            answers.sentences, ranker.attribute(QUERY, chunks, ANSWER).sentences, strict=True
        ):
            assert found.scores == pytest.approx(there.scores, rel=1e-4)


@pytest.mark.parametrize("name", LOOKS)
def test_a_query_that_cannot_look_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even blocks fit, the error says what to pass."""
    build, owner = LOOKS[name]

    def never(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    ranker = build()
    monkeypatch.setattr(owner, "look", never)
    with pytest.raises(OutOfMemoryError, match=r"max_context_tokens=|fewer chunks"):
        ranker.rank(QUERY, CHUNKS)


def test_a_context_is_read_in_shorter_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The joint layout reads a context piece by piece, and its scores are the same."""
    ranker = decoder("joint")()
    expected = ranker.rank(QUERY, CHUNKS)
    tried = limit(monkeypatch, Place(decoder("joint"), Reader, "read", lists_of), tokens=64)
    found = ranker.rank(QUERY, CHUNKS)
    assert found.scores == pytest.approx(expected.scores, rel=1e-5)
    assert found.notes == expected.notes
    assert max(tried)[1] > 64


def test_a_context_is_never_split_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that memory does not hold is an error; what it says to pass fits."""
    original = Reader.read

    def tight(self: Reader, rows: Any, start: int = 0, past: Any = ()) -> Any:
        if start + max(map(len, rows)) > 144:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, rows, start, past)

    ranker = decoder("joint")()
    monkeypatch.setattr(Reader, "read", tight)
    with pytest.raises(OutOfMemoryError, match=r"JointReading\(max_context_tokens=\d+\)"):
        ranker.rank(QUERY, CHUNKS)
    ranking = decoder("joint")(max_context_tokens=190).rank(QUERY, CHUNKS)
    assert "overlapping contexts" in ranking.notes[0]


@pytest.mark.parametrize(
    ("name", "owner", "method", "size"),
    [
        ("parallel", Reader, "look", ids_of),
        ("late", Reader, "look", ids_of),
        ("joint", Reader, "look", ids_of),
        ("encoder", EncoderReader, "look", lists_of),
        ("encoder-decoder", CrossReader, "look_inside", lists_of),
    ],
)
def test_inside_chunks_too(
    name: str, owner: type, method: str, size: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attention inside chunks is the same in smaller passes, and an error where one is too long."""
    build = READS[name].build if name in READS else decoder("joint")
    place = Place(build, owner, method, size)
    ranker = build()
    (tokens, more) = ranker._plain.content([LONG, CHUNKS[0]])
    groups = [[[3, 4], [len(tokens) - 1]], [[2]]]
    layout, options = ranker._layout, ranker._options
    expected = layout.within([tokens, more], groups, options)
    with monkeypatch.context() as patch:
        limit(patch, place, rows=1, tokens=len(tokens) + 8)
        found = layout.within([tokens, more], groups, options)
    for there, here in zip(expected, found, strict=True):
        torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-6)
    limit(monkeypatch, place, tokens=200)
    with pytest.raises(OutOfMemoryError, match="max_chunk_tokens"):
        layout.within([tokens, more], groups, options)
