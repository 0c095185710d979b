"""What both adapters promise of a model that a server has, beside all else in this suite."""

from __future__ import annotations

import asyncio
import copy
import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from attnmass import AttentionRanker, RemoteRanker, ServerError
from tests.contract.adapters import Adapter, Candidate
from tests.contract.stub import StubRanker
from tests.contract.wire import served
from tests.trimming.embedders import OfLangChain

QUERY = "Who wrote it?"
KEY = "open-sesame"
URL = "http://127.0.0.1:9"

pytestmark = pytest.mark.in_process


def found(adapter: Adapter, count: int = 3) -> list[Any]:
    """Candidates."""
    return adapter.build([Candidate(f"Text {n} is here.", 0.9 - n / 10) for n in range(count)])


@pytest.mark.parametrize(
    "fields",
    [
        {"heads": ((0, 0),)},
        {"dtype": "float32"},
        {"device": "cpu"},
        {"layout": "late"},
        {"store": "folder"},
        {"batch_size": 2},
        {"show_progress": True},
    ],
    ids=str,
)
def test_the_server_has_its_model(adapter: Adapter, fields: dict[str, Any]) -> None:
    """What says how a model is loaded and read is refused, by name, before anything is asked."""
    with pytest.raises(ValueError, match=f"leave out {next(iter(fields))}"):
        adapter.Rerank(model=URL, **fields)


def test_a_server_embeds_nothing(adapter: Adapter) -> None:
    """An embedding model beside a URL is refused at once, whichever is set last, and in a call."""
    model = OfLangChain()
    with pytest.raises(ValueError, match="embed_model is for a model in this process"):
        adapter.Rerank(model=URL, max_tokens=40, embed_model=model)
    rerank = adapter.Rerank(model=URL, max_tokens=40)
    with pytest.raises(ValueError, match="embed_model is for a model in this process"):
        rerank.embed_model = model
    with (
        served(StubRanker()) as url,
        RemoteRanker(url) as remote,
        pytest.raises(ValueError, match="embed_model is for a model in this process"),
    ):
        remote.trim(QUERY, ["a"], max_tokens=40, embed_model=model)


@pytest.mark.parametrize("fields", [{"api_key": KEY}, {"timeout": 5.0}, {"retries": 0}], ids=str)
def test_a_model_in_here_has_no_server(adapter: Adapter, fields: dict[str, Any]) -> None:
    """What says how a server is asked is refused without one, and a key is not repeated."""
    with pytest.raises(ValueError, match=f"{next(iter(fields))} are for a server") as caught:
        adapter.Rerank(**fields)
    assert KEY not in str(caught.value)
    rerank = adapter.Rerank(model=URL, **fields)
    with pytest.raises(ValueError, match="are for a server"):
        rerank.model = "smollm2-135m"


@pytest.mark.parametrize("model", ["http://", "http://u:p@host", "https://host?q=1"])
def test_bad_urls_fail_at_construction(adapter: Adapter, model: str) -> None:
    """An address that is none never waits for the first query."""
    with pytest.raises(ValueError, match=r"URL|host, port and path"):
        adapter.Rerank(model=model)


def test_the_key_is_seen_by_the_server_only(adapter: Adapter) -> None:
    """No dump, pickle, `repr` or error has it; a deep copy does, as it asks the same server."""
    rerank = adapter.Rerank(model=URL, api_key=KEY, timeout=5.0, add_scores=True)
    assert rerank.api_key == KEY
    dumped = rerank.to_dict() if hasattr(rerank, "to_dict") else rerank.model_dump()
    seen = [repr(rerank), str(rerank), str(dumped), rerank.model_dump_json()]
    assert KEY not in "".join(seen)
    assert KEY.encode() not in pickle.dumps(rerank)
    assert pickle.loads(pickle.dumps(rerank)).timeout == 5.0
    assert copy.deepcopy(rerank).api_key == KEY
    with pytest.raises(ValueError, match="top_n") as caught:
        adapter.Rerank(model=URL, api_key=KEY, top_n=0)
    assert KEY not in str(caught.value)
    with pytest.raises(ValueError, match="leave out dtype") as caught:
        adapter.Rerank(model=URL, api_key=KEY, dtype="float32")
    assert KEY not in str(caught.value) + repr(caught.value)


def test_keys(adapter: Adapter, ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key comes from the field, or from the environment, where one that was pickled finds it."""
    with served(ranker, api_keys=KEY) as url:
        rerank = adapter.Rerank(model=url, api_key=KEY)
        expected = [item.text for item in adapter.read(adapter.run(rerank, found(adapter), QUERY))]
        again = pickle.loads(pickle.dumps(rerank))
        with pytest.raises(ServerError, match="pass api_key, or set ATTNMASS_API_KEY"):
            adapter.run(again, found(adapter), QUERY)
        monkeypatch.setenv("ATTNMASS_API_KEY", KEY)
        result = adapter.read(adapter.run(again, found(adapter), QUERY))
        assert [item.text for item in result] == expected
        for each in (rerank, again):
            each.release()


def test_a_server_that_is_away(adapter: Adapter) -> None:
    """It is an error that says where it is not, or a warning and the candidates as they came."""
    rerank = adapter.Rerank(model=URL, retries=0)
    with pytest.raises(ServerError, match=f"{URL} cannot be asked"):
        adapter.run(rerank, found(adapter), QUERY)
    rerank.on_error = "passthrough"
    given = found(adapter)
    with pytest.warns(RuntimeWarning, match="ServerError"):
        result = adapter.run(rerank, given, QUERY)
    assert adapter.read(result) == adapter.read(given)


def test_nothing_is_asked_for_nothing(adapter: Adapter) -> None:
    """Without candidates no server is asked."""
    assert adapter.run(adapter.Rerank(model=URL, retries=0), [], QUERY) == []


def test_results_name_the_model(adapter: Adapter, ranker: AttentionRanker) -> None:
    """Not the address: the same chunk is the same behind another server."""
    with served(ranker) as url:
        rerank = adapter.Rerank(model=url, add_scores=True)
        for item in adapter.read(adapter.run(rerank, found(adapter), QUERY)):
            assert item.hidden["model"] == ranker.profile.model
            assert url not in str(item.metadata)
        rerank.release()


def test_a_ranker_that_asks(adapter: Adapter, ranker: AttentionRanker) -> None:
    """`from_ranker` takes one, whose address is then the model."""
    with served(ranker) as url, RemoteRanker(url, timeout=7.0) as remote:
        rerank = adapter.Rerank.from_ranker(remote, top_n=1)
        assert (rerank.model, rerank.timeout) == (url, 7.0)
        assert rerank._load() is remote
        assert len(adapter.run(rerank, found(adapter), QUERY)) == 1
        with pytest.raises(ValueError, match="leave out api_key"):
            adapter.Rerank.from_ranker(remote, api_key=KEY)


async def test_calls_from_one_loop_do_not_wait_for_each_other(adapter: Adapter) -> None:
    """A server answers many at once, so an adapter has many under way."""
    stub = StubRanker(seconds=0.2)
    with served(stub) as url:
        rerank = adapter.Rerank(model=url)
        rerank._load().profile  # noqa: B018 - asked for once
        started = time.monotonic()
        calls = [adapter.arun(rerank, found(adapter), f"Query {n}?") for n in range(8)]
        await asyncio.gather(*calls)
        assert time.monotonic() - started < 8 * 0.2
        rerank.release()
    assert adapter.Rerank()._worker.threads == 1


def test_heat_maps_come_on_request(adapter: Adapter, ranker: AttentionRanker) -> None:
    """With `keep_ranking` a server sends what is drawn."""
    with served(ranker) as url:
        rerank = adapter.Rerank(model=url, keep_ranking=True)
        adapter.run(rerank, found(adapter), QUERY)
        expected = ranker.rank(QUERY, [item.text for item in adapter.read(found(adapter))])
        drawn = [chunk.pieces for chunk in rerank.last_ranking.explain().chunks]
        assert drawn
        assert drawn == [chunk.pieces for chunk in expected.explain().chunks]
        rerank.release()


def test_a_generator_is_in_here(adapter: Adapter) -> None:
    """An address is no generator, and says so."""
    with pytest.raises(Exception, match="str"):
        adapter.Rerank.from_generator(URL)


def test_a_folder_of_that_name(adapter: Adapter, tmp_path: Path) -> None:
    """Only what begins with http:// or https:// is an address."""
    rerank = adapter.Rerank(model=str(tmp_path / "http:"), local_files_only=True)
    with pytest.raises(Exception, match="http:"):
        adapter.run(rerank, found(adapter), QUERY)
