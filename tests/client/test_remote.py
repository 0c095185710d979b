"""A server's ranker is as one in the process: results, errors, and what is refused."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

import attnmass
from attnmass import (
    AttentionRanker,
    Chunk,
    HeadProfile,
    NoEvidenceError,
    Ranking,
    RemoteRanker,
    ServerError,
    Trim,
    UnsupportedModelError,
    shared_ranker,
)
from attnmass.profiles import RelevanceRule
from tests.client.scripted import Answer, scripted
from tests.conftest import HEADS
from tests.contract.stub import StubRanker
from tests.contract.wire import served
from tests.test_verbs import VERBS
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "Where was Einstein born?"
CHUNKS = [
    "Trains to Munich leave hourly. They are late.",
    Chunk(
        "Einstein was born in Ulm. He sailed. It was in 1879.", "Einstein", "By N. N.\n", "\nEnd."
    ),
    "It rains.",
    " ",
    None,
    "It rains.",
    "A lone \ud800 surrogate. And \U0001f600 more.",
]
SCORES = [0.9, 0.5, float("nan"), None, 0.1, 0.0, 2]


@pytest.fixture(scope="module")
def remote(ranker: AttentionRanker) -> Iterator[RemoteRanker]:
    """The tiny ranker behind a server."""
    with served(ranker) as url:
        found = RemoteRanker(url, traces=True)
        yield found
        found.close()


def same(found: Any, expected: Any) -> None:
    """Whether two rankings are alike in all but times."""
    times = expected.timings
    assert replace(found, timings=times, trace=None) == replace(expected, trace=None)


def alike(found: Any) -> Any:
    """What of a result is compared: all but times and traces."""
    if isinstance(found, list):
        return [alike(each) for each in found]
    return replace(found, timings=None, trace=None) if isinstance(found, Ranking) else found


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
    ids=lambda options: ", ".join(f"{name}={value}"[:60] for name, value in options.items()),
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


def test_no_evidence_is_raised(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """The error has the ranking, as one that is raised in here."""
    options: dict[str, Any] = {"evidence_threshold": 1.0, "on_no_evidence": "raise"}
    with pytest.raises(NoEvidenceError) as expected:
        ranker.rank(QUERY, CHUNKS, **options)
    with pytest.raises(NoEvidenceError) as found:
        remote.rank(QUERY, CHUNKS, **options)
    assert str(found.value) == str(expected.value)
    same(found.value.ranking, expected.value.ranking)
    assert remote.rank(QUERY, CHUNKS, trim=Trim(dry_run=True), **options).no_evidence


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


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda r: r.rank(" ", CHUNKS), ValueError, "blank"),
        (lambda r: r.rank(5, CHUNKS), TypeError, "must be a string"),
        (lambda r: r.rank(QUERY, "text"), TypeError, "sequence of texts"),
        (lambda r: r.rank(QUERY, CHUNKS, top_k=3), TypeError, "top_k"),
        (lambda r: r.rank(QUERY, CHUNKS, fuse=0.5), ValueError, "fuse needs"),
        (lambda r: r.rank(QUERY, CHUNKS, min_relevance=0.5), ValueError, "needs relevance"),
        (lambda r: r.rank("word " * 3000, CHUNKS), ValueError, "tokens"),
        (lambda r: r.trim(QUERY, CHUNKS, max_tokens=1), ValueError, "max_tokens=1 is too few"),
        (lambda r: r.attribute(QUERY, CHUNKS, " "), ValueError, "answer is empty"),
        (lambda r: r.attribute(QUERY, CHUNKS, "a", top_spans=0), ValueError, "top_spans"),
    ],
)
def test_errors_are_the_same(
    remote: RemoteRanker, ranker: AttentionRanker, call: Any, kind: Any, message: str
) -> None:
    """What is wrong is raised as the same class in the same words."""
    with pytest.raises(kind, match=message) as expected:
        call(ranker)
    with pytest.raises(kind, match=message) as found:
        call(remote)
    assert str(found.value) == str(expected.value)
    assert type(found.value) is type(expected.value)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda r: r.attention(QUERY, CHUNKS), UnsupportedModelError, "load the model in this"),
        (lambda r: r.inside(CHUNKS), UnsupportedModelError, "load the model in this process"),
        (lambda r: r.rank(QUERY, CHUNKS, batch_size=2), ValueError, "a server has its own"),
        (lambda r: r.rank(QUERY, CHUNKS, progress=True), ValueError, "a server shows none"),
        (lambda r: r.warm(CHUNKS, batch_size=2), ValueError, "a server has its own"),
        (lambda r: r.attribute(QUERY, CHUNKS, "a", progress=True), ValueError, "shows none"),
    ],
)
def test_what_a_server_does_not_do(
    remote: RemoteRanker, call: Any, kind: Any, message: str
) -> None:
    """It is refused with what to do instead."""
    with pytest.raises(kind, match=message):
        call(remote)


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


def test_keys_are_compared(ranker: AttentionRanker) -> None:
    """A server with keys lets in who has one, and says to whom has none what to pass."""
    with served(ranker, api_keys="a-key") as url:
        with RemoteRanker(url, api_key="a-key") as remote:
            assert remote.rank(QUERY, CHUNKS).chunks
        with RemoteRanker(url) as remote, pytest.raises(ServerError, match="pass api_key"):
            remote.rank(QUERY, CHUNKS)


def test_pickles(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """What is unpickled asks the same server in the same way."""
    again = pickle.loads(pickle.dumps(remote))
    assert (again.url, again.settings) == (remote.url, remote.settings)
    assert again.rank(QUERY, CHUNKS).trace is not None
    again.close()


RANKER = {
    "ranker": "0",
    "profile": {"model": "m", "layout": "parallel", "heads": [[0, 0]], "weights": [1.0]},
    "options": {"layout": "parallel", "rank_by": "attention", "reading": None},
}
SAID: dict[str, Any] = {
    "evidence": 0.5,
    "no_evidence": False,
    "threshold": None,
    "notes": [],
    "stability": None,
    "timings": {"tokenize": 0.0, "encode": 0.0, "query": 0.0, "total": 0.0, "trim": 0.0},
    "chunks": [
        {
            **{"index": 0, "score": 0.5, "n_tokens": 2, "n_windows": 1, "mass": 0.5, "share": 0.5},
            **{"relevance": None, "logit": None, "skipped": None},
        }
    ],
    "spans": [
        {
            **{"index": 0, "segments": [[0, 5, "sentence", []]], "scores": [0.5], "masses": [0.5]},
            **{"relevances": None, "bound": None, "leans": None},
        }
    ],
    "query_offsets": None,
    "traces": None,
}
SPANS, FIRST = SAID["spans"][0], SAID["chunks"][0]


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        {},
        {"ranker": "0", "rankings": []},
        {"ranker": "0", "rankings": [SAID | {"evidence": "much"}]},
        b'{"ranker": "0", "rankings": [{"evidence": NaN}]}',
        {"ranker": "0", "rankings": [SAID | {"chunks": []}]},
        {"ranker": "0", "rankings": [SAID | {"chunks": [FIRST | {"index": 1}]}]},
        {"ranker": "0", "rankings": [SAID | {"timings": {"tokenize": 0.0}}]},
        {"ranker": "0", "rankings": [SAID | {"spans": [SPANS | {"index": 7}]}]},
        {"ranker": "0", "rankings": [SAID | {"spans": [SPANS | {"scores": []}]}]},
        {"ranker": "0", "rankings": [SAID | {"spans": [SPANS | {"relevances": []}]}]},
        {
            "ranker": "0",
            "rankings": [SAID | {"spans": [SPANS | {"segments": [[0, 99, "sentence", []]]}]}],
        },
        {
            "ranker": "0",
            "rankings": [SAID | {"spans": [SPANS | {"segments": [[0, 5, "sentence", [0]]]}]}],
        },
        {
            "ranker": "0",
            "rankings": [SAID | {"traces": [], "query_offsets": {"dtype": "<f4", "shape": [1]}}],
        },
    ],
    ids=range(14),
)
def test_answers_that_cannot_be(body: Any) -> None:
    """Whatever a server says that does not fit what was sent is its error, and no result."""
    with scripted(Answer(body=RANKER), Answer(body=body)) as server:
        remote = RemoteRanker(server.url)
        with pytest.raises(ServerError, match="cannot read"):
            remote.trim(QUERY, ["a b c"], keep_ratio=1.0)
        remote.close()


def test_an_answer_that_can_be() -> None:
    """What the others were made of is one; what a later server adds is left aside."""
    body = {"ranker": "0", "rankings": [SAID | {"more": 1}], "more": 2}
    with scripted(Answer(body=RANKER), Answer(body=body)) as server:
        remote = RemoteRanker(server.url)
        found = remote.trim(QUERY, ["a b c"], keep_ratio=1.0, tokenizer=str.split)
        assert [chunk.text for chunk in found.chunks] == ["a b c"]
        remote.close()


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
