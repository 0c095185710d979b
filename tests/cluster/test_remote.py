"""Shards in other processes, without these: every message is copied, and holders die."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from threading import Lock
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnmass import AttentionRanker, Trim
from attnmass.cluster.errors import ShardError
from attnmass.cluster.holder import ShardHolder
from attnmass.cluster.remote import RemoteShard
from attnmass.cluster.wire import Seen
from attnmass.masses import Queries
from tests.conftest import HEADS
from tests.engine.relevance import QUERY
from tests.layouts.test_shards import NAMES, PROPERTY, TEXTS, build, told, untimed
from tests.tiny import tiny_model, tiny_tokenizer

_ONE_BY_ONE = Lock()  # tiny models are seeded by what threads share


class Elsewhere:
    """A holder that is reached by copies of messages, and forgets all at some of its calls.

    Attributes:
        calls: The methods that were called.
        largest: Bytes of the largest message to it.
    """

    def __init__(
        self,
        make: Callable[[], AttentionRanker],
        dies_at: frozenset[int] = frozenset(),
    ) -> None:
        self._make = make
        self._dies_at = dies_at
        self._holder = ShardHolder(make())
        self.calls: list[str] = []
        self.largest = 0

    def __call__(self, method: str, *args: Any) -> Any:
        """As `Ask` has it."""
        if len(self.calls) in self._dies_at:
            with _ONE_BY_ONE:
                self._holder = ShardHolder(self._make())
        self.calls.append(method)
        message = pickle.dumps(args)
        self.largest = max(self.largest, len(message))
        answer = getattr(self._holder, method)(*pickle.loads(message))
        return pickle.loads(pickle.dumps(answer))


@pytest.fixture(scope="module")
def ranker() -> AttentionRanker:
    """One that has read all texts, each by itself."""
    made = build()
    made.warm(TEXTS)
    return made


def over(ranker: AttentionRanker, *asks: Elsewhere) -> AttentionRanker:
    """The ranker over holders elsewhere."""
    scope = ranker.shard.scope
    shards = {name: RemoteShard(ask, scope) for name, ask in zip(NAMES, asks, strict=False)}
    return ranker.sharded(shards, at_once=True)


@PROPERTY
@given(
    deaths=st.lists(st.frozensets(st.integers(0, 12)), min_size=1, max_size=3),
    memory_bytes=st.sampled_from([0, 3000, 1 << 30]),
)
def test_holders_that_die_change_no_bit(
    ranker: AttentionRanker, deaths: list[frozenset[int]], memory_bytes: int
) -> None:
    """Whenever holders lose all they had, and however little they keep, results are the same."""
    asks = [Elsewhere(lambda: build(memory_bytes=memory_bytes), dies) for dies in deaths]
    sharded = over(ranker, *asks)
    for options in ({}, {"trim": Trim(max_tokens=150, on_empty="cut")}):
        expected = ranker.rank(QUERY, TEXTS, **options)  # type: ignore[arg-type]
        assert untimed(sharded.rank(QUERY, TEXTS, **options)) == untimed(expected)  # type: ignore[arg-type]


def test_each_chunk_is_read_once_and_then_found(ranker: AttentionRanker) -> None:
    """A second query reads nothing, and sends no token of any chunk."""
    asks = [Elsewhere(build), Elsewhere(build)]
    sharded = over(ranker, *asks)
    assert sharded.warm(TEXTS).read == len(TEXTS)
    assert sharded.warm(TEXTS).read == 0
    for ask in asks:
        ask.calls.clear()
    read = sharded.stats.tokens_encoded
    sharded.rank(QUERY, TEXTS)
    assert sharded.stats.tokens_encoded == read > 0
    assert all(ask.calls == ["missing", "look"] for ask in asks)


def test_queries_are_counted_as_in_one_process() -> None:
    """Hits and misses of all shards add up to one ranker's, though a shard is asked twice."""
    one, asks = build(), [Elsewhere(build), Elsewhere(build)]
    shards = [RemoteShard(ask, one.shard.scope) for ask in asks]
    sharded = one.sharded(dict(zip(NAMES, shards, strict=False)), at_once=True)
    for ranker in (build(), sharded):
        ranker.rank(QUERY, TEXTS[:3])
        ranker.warm(TEXTS[:5])  # is neither
        ranker.rank(QUERY, [*TEXTS, *TEXTS[:2]], trim=Trim(max_tokens=150, on_empty="cut"))
        ranker.rank_batch([QUERY, "Who sailed?"], TEXTS[1:4])
        if ranker is not sharded:
            expected = ranker.stats
    counted = [shard.counted(ask("stats")) for shard, ask in zip(shards, asks, strict=True)]
    assert expected.hits > 0
    assert expected.misses > 0
    for name in ("hits", "misses", "memory_bytes"):
        found = [getattr(each, name) for each in counted]
        assert sum(found) == getattr(expected, name)
        assert all(found), "each has a part of it"


def test_explanations_and_answers_come_from_elsewhere(ranker: AttentionRanker) -> None:
    """Heat maps by word, and what an answer rests on, are those of one ranker."""
    sharded = over(ranker, Elsewhere(build), Elsewhere(build))
    found = sharded.rank(QUERY, TEXTS, query_words=True)
    assert told(found) == told(ranker.rank(QUERY, TEXTS, query_words=True))
    answer = "Albert Einstein did. He was a physicist."
    assert sharded.attribute(QUERY, TEXTS, answer) == ranker.attribute(QUERY, TEXTS, answer)


def test_another_model_is_refused(ranker: AttentionRanker) -> None:
    """A shard of other weights or heads never answers: nothing is compared across models."""

    def other() -> AttentionRanker:
        return AttentionRanker(tiny_model(seed=1), tiny_tokenizer(), heads=HEADS, layout="late")

    with pytest.raises(ShardError, match="another model"):
        over(ranker, Elsewhere(other)).rank(QUERY, TEXTS)


def test_an_answer_that_lacks_a_chunk_is_an_error(ranker: AttentionRanker) -> None:
    """A holder that leaves chunks out, though it was given them to read, is no empty result."""

    class Forgetful(Elsewhere):
        def __call__(self, method: str, *args: Any) -> Any:
            """Less than was asked for."""
            answer = super().__call__(method, *args)
            if method == "look":
                return Seen(answer.places[1:], answer.found[1:])
            return None if method == "tokens" else answer

    sharded = over(ranker, Forgetful(build))
    with pytest.raises(ShardError, match=r"no answer for 1 of \d+ chunks"):
        sharded.rank(QUERY, TEXTS)
    shard = RemoteShard(Forgetful(build), ranker.shard.scope)
    held = shard.read(ranker._plain.content(TEXTS[:1]), ranker._options, lambda _: None)
    with pytest.raises(ShardError, match="given to read"):
        held.tokens(Queries(torch.ones(2, 3, 8), (0, 1, 2), (None, None, None)), 0)
