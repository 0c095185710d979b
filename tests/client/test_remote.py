"""A server's ranker is as one in the process: results, errors, and what is refused."""

from __future__ import annotations

import asyncio
import pickle
import time
from datetime import date
from typing import Any

import pytest

import attnmass
from attnmass import AttentionRanker, Chunk, HeadProfile, RemoteRanker, Trim, shared_ranker
from attnmass.profiles import RelevanceRule
from tests.client.asked import CHUNKS, QUERY, SCORES, alike, same
from tests.conftest import HEADS
from tests.contract.stub import StubRanker
from tests.contract.wire import served
from tests.naming import steady
from tests.test_verbs import VERBS
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.mark.parametrize(("verb", "options"), [(name, rest[1]) for name, rest in VERBS.items()])
@pytest.mark.parametrize("twin", ["", "a"])
async def test_every_verb_is_there(
    remote: RemoteRanker, ranker: AttentionRanker, verb: str, options: Any, twin: str
) -> None:
    """Each verb of the ranker is one of its, with and without an event loop."""
    asked: Any = [QUERY, "Does it rain?"] if verb.endswith("batch") else QUERY
    found = getattr(remote, twin + verb)(asked, CHUNKS[:3], **options)
    found = await found if twin else found
    assert alike(found) == alike(getattr(ranker, verb)(asked, CHUNKS[:3], **options))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_n": 2},
        {"order": "best_last", "top_n": 3},
        {"order": "input"},
        {"retrieval_scores": SCORES},
        {"retrieval_scores": [1, 2, 3, 4, 5, 6, 7], "fuse": 0.7, "retrieval_kind": "distance"},
        {"evidence_threshold": 1.0},
        {"evidence_threshold": 1.0, "on_no_evidence": "empty"},
        {"trim": Trim(max_tokens=30)},
        {"trim": Trim(max_tokens=30), "top_n": 2, "order": "input"},
        {"trim": Trim(keep_ratio=0.3, min_keep=2, neighbors=1)},
        {"trim": Trim(top_p=0.6, keep_titles=False)},
        {"trim": Trim(max_tokens=40, must_keep=["numbers"])},
        {"trim": Trim(max_tokens=3, on_empty="cut")},
        {"trim": Trim(max_tokens=1, on_empty="empty")},
        {"trim": Trim(keep_ratio=0.5, resolve_context=True)},
        {"trim": Trim(max_tokens=9, tokenizer=str.split, language="de", separator="[...]")},
        {"trim": Trim(max_tokens=30, dry_run=True), "top_n": 1, "order": "best_last"},
        {"trim": Trim(max_tokens=1, dry_run=True)},
        {"trim": Trim(max_tokens=60), "render": lambda index, text: f"[{index}] {text}"},
    ],
    ids=lambda options: ", ".join(
        f"{name}={steady(value)}"[:60] for name, value in options.items()
    ),
)
def test_rankings_are_the_same(
    remote: RemoteRanker, ranker: AttentionRanker, options: dict[str, Any]
) -> None:
    """Order, scores, spans, offsets, counts, notes and reasons are those of a call in here."""
    same(remote.rank(QUERY, CHUNKS, **options), ranker.rank(QUERY, CHUNKS, **options))


def test_metadata_stay_here(ranker: AttentionRanker) -> None:
    """They come back, the very objects, with what is kept and what is not, and are never sent."""
    known = [{"date": date(2026, 11, n + 1), "of": object()} for n in range(4)]
    chunks = [Chunk(f"It rains on day {n}.", metadata=each) for n, each in enumerate(known)]
    with served(ranker) as url, RemoteRanker(url) as found:
        ranking = found.trim(QUERY, chunks, top_n=2, max_tokens=40)
    every = (*ranking.chunks, *ranking.dropped)
    assert {each.index for each in every} == set(range(4))
    assert all(each.metadata is known[each.index] for each in every)


def test_other_verbs(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """`trim`, `rank_batch` and `arank` are those of a ranker in here, too."""
    same(remote.trim(QUERY, CHUNKS, max_tokens=30), ranker.trim(QUERY, CHUNKS, max_tokens=30))
    same(asyncio.run(remote.arank(QUERY, CHUNKS)), ranker.rank(QUERY, CHUNKS))
    assert remote.rank_batch([], CHUNKS) == []
    same(remote.rank(QUERY, []), ranker.rank(QUERY, []))
    queries = [QUERY, "Does it rain?"]
    found = remote.rank_batch(queries, CHUNKS, trim=Trim(max_tokens=20))
    for mine, theirs in zip(
        found, ranker.rank_batch(queries, CHUNKS, trim=Trim(max_tokens=20)), strict=True
    ):
        same(mine, theirs)


def test_many_queries(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """More queries than one request takes are several requests."""
    queries = [f"Question {n}?" for n in range(65)]
    found = remote.rank_batch(queries, CHUNKS[:2])
    assert [each.query for each in found] == queries
    for mine in (found[0], found[64]):
        expected = ranker.rank(mine.query, CHUNKS[:2])
        assert mine.scores == pytest.approx(expected.scores)


def test_about_the_ranker(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """Its profile, its options and its counts are the server's."""
    assert remote.profile == ranker.profile
    assert remote.options == ranker.options
    before = remote.stats
    remote.rank(QUERY, CHUNKS)
    assert remote.stats.calls == before.calls + 1
    assert remote.stats == ranker.stats


def test_warm(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """What is warmed is read by the server, titles and all."""
    chunks = [Chunk("Not seen before.", "T", "b", "a"), None, ""]
    done = remote.warm(chunks)
    assert (done.read, done.skipped, done.unreadable) == (1, 0, 2)
    misses = ranker.stats.misses
    ranker.rank(QUERY, chunks)
    assert ranker.stats.misses == misses


def test_attributions_are_the_same(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """Sentences, spans with their texts and offsets, and scores are those of a call in here."""
    answer = "He was born in Ulm. It rains."
    options = {"top_spans": 2, "threshold": 0.1, "language": "en"}
    expected = ranker.attribute(QUERY, CHUNKS, answer, **options)
    found = remote.attribute(QUERY, CHUNKS, answer, **options)
    assert found == expected
    assert found.unsupported == expected.unsupported
    with pytest.raises(ValueError, match="holds no attention to draw"):
        found.explain()


def test_heat_maps(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """With `traces` a ranking draws what one in here draws, with its words where asked for."""
    for options in ({}, {"query_words": True}, {"trim": Trim(max_tokens=30)}):
        found, expected = (each.rank(QUERY, CHUNKS, **options) for each in (remote, ranker))
        assert found.explain().to_json() == expected.explain().to_json()
        assert found.explain().to_html() == expected.explain().to_html()
    plain = RemoteRanker(remote.url)
    with pytest.raises(ValueError, match="holds no attention to draw"):
        plain.rank(QUERY, CHUNKS).explain()
    assert plain.rank(QUERY, CHUNKS, query_words=True).explain().query_words


@pytest.mark.parametrize("least", ["auto", None, 0.3])
@pytest.mark.parametrize("options", [{}, {"top_n": 2}, {"order": "input"}])
def test_relevance(least: Any, options: dict[str, Any]) -> None:
    """What is not relevant stays out of a budget as it does in here."""
    likely = {"One here.": 0.9, "Two here.": 0.1, "Three here.": 0.4, "Four here.": 0.2}
    rule = RelevanceRule(((0, 0),), (1.0,), min_relevance=0.35)
    profile = HeadProfile("stub", "late", ((0, 0),), (1.0,), relevance=rule)

    def make() -> StubRanker:
        made = StubRanker(
            lambda chunk: likely[chunk.text], relevance=lambda chunk: likely[chunk.text]
        )
        made._profile = profile
        made._trimmer._profile = profile
        return made

    trim, chunks = Trim(max_tokens=5, min_keep=2), [Chunk(text) for text in likely]
    expected = make().rank(QUERY, chunks, trim=trim, min_relevance=least, **options)
    with served(make()) as url:
        found = RemoteRanker(url)
        same(found.rank(QUERY, chunks, trim=trim, min_relevance=least, **options), expected)
        found.close()


def test_a_server_that_got_another_model() -> None:
    """Profile and tokenizer are asked for anew once the answers are another model's."""
    first = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    second = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=((0, 0),))
    with served(first) as url:
        remote = RemoteRanker(url)
        assert remote.trim(QUERY, CHUNKS, max_tokens=30).profile == first.profile
        remote.close()
        with served(second) as other:
            remote._server._http.url = other
            found = remote.trim(QUERY, CHUNKS, max_tokens=30)
            same(found, second.trim(QUERY, CHUNKS, max_tokens=30))
            assert remote.profile == second.profile
            remote.close()


def test_calls_at_once() -> None:
    """An event loop has many calls under way, which the server may answer together."""
    stub = StubRanker(seconds=0.3)
    with served(stub) as url:
        remote = RemoteRanker(url)
        assert remote.profile == stub.profile

        async def several() -> None:
            await asyncio.gather(*(remote.arank(f"Query {n}?", ["a b"]) for n in range(8)))

        started = time.monotonic()
        asyncio.run(several())
        assert time.monotonic() - started < 8 * 0.3
        remote.close()


def test_pickles(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """What is unpickled asks the same server in the same way."""
    again = pickle.loads(pickle.dumps(remote))
    assert (again.url, again.settings) == (remote.url, remote.settings)
    assert again.rank(QUERY, CHUNKS).trace is not None
    again.close()


def test_shared(remote: RemoteRanker) -> None:
    """A URL is shared like a model's name, and refuses what says how one is loaded."""
    found = shared_ranker(remote.url)
    assert isinstance(found, RemoteRanker)
    assert shared_ranker(remote.url) is found
    assert shared_ranker(remote.url, timeout=5.0) is not found
    with pytest.raises(ValueError, match="leave out dtype"):
        shared_ranker(remote.url, dtype="float32")
    assert attnmass.release(remote.url) == 2
    with pytest.raises(ValueError, match="is a server"):
        AttentionRanker.from_pretrained(remote.url)


def test_the_tokenizer_is_asked_for_once() -> None:
    """It counts where no reader's was passed, and only then."""
    stub = StubRanker()
    with served(stub) as url, RemoteRanker(url) as remote:
        remote.trim(QUERY, ["a b c"], max_tokens=9, tokenizer=str.split)
        assert remote._server.known().count is None
        assert remote.trim(QUERY, ["a b c"], max_tokens=9).n_tokens_after == 3
        assert remote._server.known().count is remote._server.count()
