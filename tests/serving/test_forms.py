"""What clients of other servers send, and what they read in the answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from attnmass import AttentionRanker
from attnmass.serving.app import make_app
from attnmass.serving.examples import EXAMPLES
from attnmass.serving.options import ServingOptions
from attnmass.serving.service import Service
from tests.serving.conftest import QUERY, TEXTS, Watched, serving, until

ASKED = {"query": QUERY, "documents": TEXTS}


def post(client: TestClient, path: str, **body: Any) -> Any:
    """The answer to a request that has to succeed."""
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def order(ranker: AttentionRanker) -> list[int]:
    """Indices of the texts, best first, as the ranker has them in this process."""
    return [chunk.index for chunk in ranker.rank(QUERY, TEXTS).chunks]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_cohere_and_its_kin(client: TestClient, ranker: AttentionRanker, path: str) -> None:
    """One envelope has what Cohere's, Jina's, Voyage's and Infinity's clients each look for."""
    found = post(client, path, **ASKED, top_n=2, return_documents=True)
    first, second = order(ranker)[:2]
    assert [each["index"] for each in found["results"]] == [first, second]
    assert found["results"][0] == {
        "index": first,
        "relevance_score": 1.0,
        "document": {"text": TEXTS[first]},
    }
    assert found["data"][0] == {"index": first, "relevance_score": 1.0}
    assert found["id"].startswith("rerank-")
    assert found["object"] == "rerank"
    assert found["model"] == ranker.profile.model
    n_tokens = found["usage"]["total_tokens"]
    assert n_tokens > 10
    assert found["usage"]["prompt_tokens"] == n_tokens
    assert found["meta"]["tokens"] == found["tokens"]
    assert found["tokens"] == {"input_tokens": n_tokens, "output_tokens": 0}
    assert found["meta"]["billed_units"] == {"search_units": 1}
    assert found["meta"]["api_version"] == {"version": "2"}


def test_scores_are_the_rankers(watched: Watched, ranker: AttentionRanker) -> None:
    """With shares, numbers over the wire are those of a call in the process, bit by bit."""
    ranking = ranker.rank(QUERY, TEXTS)
    with serving(watched, scores="share") as client:
        found = post(client, "/rerank", **ASKED)["results"]
    assert [(each["index"], each["relevance_score"]) for each in found] == [
        (chunk.index, chunk.score) for chunk in ranking.chunks
    ]


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ({"top_n": 0}, 3),
        ({"top_n": None}, 3),
        ({"top_n": 99}, 3),
        ({"top_k": 2}, 2),
        ({"top_n": 1, "max_tokens_per_doc": 4, "truncation": True, "priority": 3}, 1),
        ({"model": "default/not-specified", "raw_scores": "yes"}, 3),
    ],
)
def test_what_is_kept_and_what_is_ignored(
    client: TestClient, more: dict[str, Any], count: int
) -> None:
    """0 is all, top_k is top_n, and fields of other servers are no error."""
    assert len(post(client, "/rerank", **ASKED, **more)["results"]) == count


def test_no_documents_unless_they_are_asked_for(client: TestClient) -> None:
    """Texts come back only where a client asks for them, be it by the string that some send."""
    assert "document" not in post(client, "/rerank", **ASKED)["results"][0]
    assert "document" in post(client, "/rerank", **ASKED, return_documents="true")["results"][0]


def test_voyage_reads_documents_as_texts(client: TestClient, ranker: AttentionRanker) -> None:
    """Voyage's client, known by what else it sends, finds texts in `data`."""
    found = post(client, "/v1/rerank", **ASKED, top_k=1, truncation=True, return_documents=True)
    assert found["data"][0]["document"] == TEXTS[order(ranker)[0]]


def test_documents_that_are_objects(client: TestClient, watched: Watched) -> None:
    """Of an object its text is read, else its content, else all of it; or the fields named."""
    documents = [{"text": "a b", "n": 1}, {"content": "c d"}, {"n": 2}]
    body = {"query": QUERY, "documents": documents, "return_documents": True}
    found = post(client, "/v1/rerank", **body)["results"]
    told = {each["index"]: each["document"] for each in found}
    assert told == {
        0: {"text": "a b", "n": 1},
        1: {"content": "c d", "text": "c d"},
        2: {"n": 2, "text": '{"n": 2}'},
    }
    found = post(client, "/v1/rerank", **body, rank_fields=["n", "content"])["results"]
    assert sorted(each["document"]["text"] for each in found) == ["1", "2", "c d"]
    found = post(client, "/v1/rerank", **body, rank_fields=["title"])["results"]
    assert sorted(each["document"]["text"] for each in found) == ["a b", "c d", '{"n": 2}']


def test_infinity(client: TestClient) -> None:
    """Under its prefix a document is its text."""
    found = post(client, "/infinity/rerank", **ASKED, return_documents=True)
    assert {each["document"] for each in found["results"]} == set(TEXTS)


def test_tei(client: TestClient, ranker: AttentionRanker) -> None:
    """A body with texts is answered with a bare list, one entry for each."""
    found = post(client, "/rerank", query=QUERY, texts=TEXTS, truncate=True, raw_scores=False)
    assert [each["index"] for each in found] == order(ranker)
    assert all(set(each) == {"index", "score"} for each in found)
    found = post(client, "/rerank", query=QUERY, texts=TEXTS, return_text=True, top_n=1)
    assert [each["text"] for each in found] == [TEXTS[order(ranker)[0]]]


def test_documents_count_where_texts_are_there_too(client: TestClient) -> None:
    """A client that sends both reads the envelope."""
    assert "results" in post(client, "/rerank", **ASKED, texts=TEXTS)


@pytest.mark.parametrize("path", ["/v1/reranking", "/reranking"])
def test_mixedbread(client: TestClient, ranker: AttentionRanker, path: str) -> None:
    """Its list has scores and, where asked for, the input as it was sent."""
    found = post(client, path, query=QUERY, input=TEXTS, top_k=2, return_input=True)
    first = order(ranker)[0]
    assert found["data"][0] == {
        "index": first,
        "score": 1.0,
        "input": TEXTS[first],
        "object": "rank_result",
    }
    assert (found["object"], found["top_k"], found["return_input"]) == ("list", 2, True)
    assert post(client, path, query=QUERY, input=TEXTS)["data"][0]["input"] is None


@pytest.mark.parametrize("path", ["/v1/ranking", "/v1/retrieval/nvidia/some-model/reranking"])
def test_nvidia(client: TestClient, ranker: AttentionRanker, path: str) -> None:
    """Query and passages are objects, and all passages come back."""
    passages = [{"text": text} for text in TEXTS]
    found = post(client, path, query={"text": QUERY}, passages=passages, truncate="END")
    assert [each["index"] for each in found["rankings"]] == order(ranker)
    assert found["rankings"][0]["logit"] == 1.0


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
@pytest.mark.parametrize(
    "names",
    [("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")],
)
def test_vllm_score(client: TestClient, path: str, names: tuple[str, str]) -> None:
    """Scores of one query with many texts are in their order, whatever the sides are called."""
    first, second = names
    found = post(client, path, **{first: QUERY, second: TEXTS})
    assert [each["index"] for each in found["data"]] == [0, 1, 2]
    assert {each["object"] for each in found["data"]} == {"score"}
    ranked = post(client, "/rerank", **ASKED)["results"]
    by_index = {each["index"]: each["relevance_score"] for each in ranked}
    assert [each["score"] for each in found["data"]] == [by_index[i] for i in range(3)]


def test_pairs_of_one_query_compete(client: TestClient, watched: Watched) -> None:
    """Pairs with the same first text are one question, those with another are another."""
    first = [QUERY, "Does it rain?", QUERY]
    found = post(client, "/score", text_1=first, text_2=TEXTS)["data"]
    assert watched.calls == [[QUERY], ["Does it rain?"]]
    assert found[1]["score"] == 1.0
    assert max(found[0]["score"], found[2]["score"]) == 1.0


def test_no_pairs_are_an_empty_answer(client: TestClient) -> None:
    """Nothing to score is no error."""
    assert post(client, "/score", text_1=QUERY, text_2=[])["data"] == []


@pytest.mark.parametrize("texts", [[], ["", "  ", "Einstein was born in Ulm."]])
def test_blank_texts_are_last_and_none_are_no_error(client: TestClient, texts: list[str]) -> None:
    """What has nothing to read gets 0 and comes last; no texts are an empty answer."""
    found = post(client, "/rerank", query=QUERY, documents=texts)["results"]
    assert [each["index"] for each in found] == [2, 0, 1][: len(texts)]
    assert [each["relevance_score"] for each in found] == [1.0, 0.0, 0.0][: len(texts)]


def test_lone_surrogates_come_back(client: TestClient) -> None:
    """JSON may escape half a character, and it is a text like others."""
    body = b'{"query": "a \\ud800", "documents": ["b \\udc00 c"], "return_documents": true}'
    found = client.post("/rerank", content=body)
    assert found.status_code == 200
    assert found.json()["results"][0]["document"] == {"text": "b \udc00 c"}


def test_json_needs_no_content_type(client: TestClient) -> None:
    """`curl -d` says that its body is a form, and it is read as what it is."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    found = client.post("/rerank", content=b'{"query": "a", "documents": ["b"]}', headers=headers)
    assert found.status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/rerank", {"documents": ["a"]}, "the field 'query' is missing"),
        ("/rerank", {"query": "  ", "documents": ["a"]}, "query is empty or blank"),
        ("/rerank", {"query": 3, "documents": ["a"]}, "query must be a string"),
        ("/rerank", {"query": "a"}, "the body has none of the fields 'documents' or 'texts'"),
        ("/rerank", {"query": "a", "documents": "b"}, "documents: Input should be a valid list"),
        ("/rerank", {"query": "a", "documents": ["b", 1]}, "documents[1] must be a string or"),
        ("/rerank", {"query": "a", "documents": [None]}, "documents[0] must be a string or"),
        ("/rerank", {"query": "a", "documents": [], "top_n": -1}, "top_n: Input should be greater"),
        ("/score", {"text_1": ["a", "b"], "text_2": ["c"]}, "text_1 has 2 texts and text_2 1"),
        ("/score", {"text_1": "a"}, "the body needs the fields 'text_1' and 'text_2', or"),
        ("/rerank", [1], "the body must be a JSON object, not an array"),
    ],
)
def test_bad_input_is_400(client: TestClient, path: str, body: Any, message: str) -> None:
    """What is wrong is said in one body, under every name that clients look for, and never 422."""
    answer = client.post(path, json=body)
    assert answer.status_code == 400
    found = answer.json()
    assert found["message"].startswith(message)
    assert found["message"] == found["detail"] == found["error"]
    assert found["error_type"] == "bad_request"


@pytest.mark.parametrize(
    ("path", "body"),
    [(path, body) for path, examples in EXAMPLES.items() for body in examples.values()],
)
def test_examples_of_the_documentation_run(client: TestClient, path: str, body: Any) -> None:
    """Each request that the documentation shows is answered, and stands in the document."""
    assert client.post(path.replace("{rest:path}", "any/model"), json=body).status_code == 200
    told = client.get("/openapi.json").json()["paths"]
    shown = told[path.replace(":path", "")]["post"]["requestBody"]["content"]["application/json"]
    assert body in [example["value"] for example in shown["examples"].values()]


def test_every_route_is_documented(client: TestClient) -> None:
    """Each route that takes a body has an example, and the page of the routes shows it."""
    told = client.get("/openapi.json").json()["paths"]
    posts = {path for path, methods in told.items() if "post" in methods}
    assert posts == {path.replace(":path", "") for path in EXAMPLES}
    page = client.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "POST /v1/trim" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text


@pytest.mark.parametrize("path", ["/models", "/v1/models"])
def test_models(watched: Watched, path: str) -> None:
    """The one model is listed, under the name that it is served by."""
    with serving(watched, served_name="mine") as client:
        assert [each["id"] for each in client.get(path).json()["data"]] == ["mine"]
        assert post(client, "/rerank", **ASKED)["model"] == "mine"


def test_a_model_that_is_being_loaded(watched: Watched) -> None:
    """It is listed under the name that it was asked for by, then under its own."""
    gate = threading.Event()

    def load() -> Any:
        assert gate.wait(30)
        return watched

    for served_name, name in ((None, "tiny/one"), ("mine", "mine")):
        gate.clear()
        service = Service(load, ServingOptions(served_name=served_name), asked="tiny/one")
        with TestClient(make_app(service)) as client:
            for path in ("/models", "/v1/models"):
                assert [each["id"] for each in client.get(path).json()["data"]] == [name]
            assert client.get("/info").json()["model_id"] == name
            assert client.get("/ready").status_code == 503
            gate.set()
            until(lambda: client.get("/ready").status_code == 200)
            named = watched.profile.model if served_name is None else name
            assert client.get("/info").json()["model_id"] == named


def test_info(client: TestClient) -> None:
    """TEI's clients find a reranker, and bounds that make them cut nothing."""
    found = client.get("/info").json()
    assert found["model_type"] == {"reranker": {"id2label": {}, "label2id": {}}}
    assert found["max_client_batch_size"] == 10_000
    assert found["max_input_length"] >= 1_000_000
