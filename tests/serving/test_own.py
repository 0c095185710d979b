"""Our own routes: trim, attribute, warm, explain."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from attnmass import AttentionRanker, Chunk, Trim
from attnmass.results.citations import cite, ranked_passages
from tests.contract.stub import StubRanker
from tests.serving.conftest import QUERY, TEXTS, Watched, serving, until

DOCUMENTS = [
    TEXTS[0],
    {"id": "b", "title": "Einstein", "text": TEXTS[1], "score": 0.5},
    {"id": 3, "text": TEXTS[2]},
]
CHUNKS = [Chunk(TEXTS[0]), Chunk(TEXTS[1], "Einstein"), Chunk(TEXTS[2])]


def post(client: TestClient, path: str, **body: Any) -> Any:
    """The answer to a request that has to succeed."""
    asked = {"query": QUERY, "documents": DOCUMENTS} | body
    answer = client.post(path, content=json.dumps(asked))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_trim(client: TestClient, ranker: AttentionRanker) -> None:
    """What is kept, its spans and its evidence are those of a call in the process."""
    expected = ranker.rank(QUERY, CHUNKS, top_n=2, trim=Trim(max_tokens=60))
    found = post(client, "/v1/trim", max_tokens=60, top_n=2, dropped=True)
    assert found["evidence"] == expected.evidence
    assert found["no_evidence"] == expected.no_evidence
    assert (found["n_tokens_before"], found["n_tokens_after"]) == (
        expected.n_tokens_before,
        expected.n_tokens_after,
    )
    assert found["n_tokens_after"] <= 60
    assert [each["index"] for each in found["results"]] == [c.index for c in expected.chunks]
    assert [each["score"] for each in found["results"]] == [c.score for c in expected.chunks]
    for told, chunk in zip(found["results"], expected.chunks, strict=True):
        assert told["text"] == chunk.text
        assert told["id"] == [None, "b", 3][chunk.index]
        assert len(told["spans"]) == len(chunk.spans)
    assert {each["index"]: each["reason"] for each in found["dropped"]} == {
        chunk.index: chunk.dropped for chunk in expected.dropped
    }


def test_offsets_are_into_the_documents(client: TestClient) -> None:
    """Each span that is told is a place in its document's own text, and is kept."""
    found = post(client, "/v1/trim", keep_ratio=0.5)
    spans = [(each["index"], span) for each in found["results"] for span in each["spans"]]
    assert spans
    for index, span in spans:
        text = TEXTS[index][span["start"] : span["end"]]
        assert span["kept"]
        assert text.strip()
        assert text in found["text"]


def test_citations(client: TestClient, ranker: AttentionRanker) -> None:
    """The text with numbers, and what they stand for, are those of `cite`."""
    ranking = ranker.rank(QUERY, CHUNKS, trim=Trim(max_tokens=60))
    expected = cite(ranked_passages(ranking, CHUNKS))
    found = post(client, "/v1/trim", max_tokens=60, citations=True)["citations"]
    assert found["text"] == expected.text
    assert found["marker"] == expected.marker
    assert [each["id"] for each in found["sources"]] == [source.id for source in expected.sources]
    for source in found["sources"]:
        assert TEXTS[source["index"]][source["start"] : source["end"]] == source["text"]


def test_the_text_is_what_was_counted(client: TestClient) -> None:
    """The reader's text has titles over texts, and is empty where nothing is kept."""
    found = post(client, "/v1/trim")
    assert f"Einstein\n{TEXTS[1]}" in found["text"]
    found = post(client, "/v1/trim", evidence_threshold=1, on_no_evidence="empty")
    assert (found["text"], found["results"], found["no_evidence"]) == ("", [], True)


def test_retrieval_scores_are_fused(client: TestClient, ranker: AttentionRanker) -> None:
    """Scores of the retriever count where they are asked to."""
    documents = [{"text": text, "score": n} for n, text in enumerate(TEXTS)]
    found = post(client, "/v1/trim", documents=documents, fuse=1)
    assert [each["index"] for each in found["results"]] == [2, 1, 0]
    assert [each["retrieval_score"] for each in found["results"]] == [2, 1, 0]
    body = {"query": QUERY, "documents": TEXTS, "fuse": 0.5}
    answer = client.post("/v1/trim", json=body)
    assert answer.status_code == 400
    assert "fuse needs retrieval_scores" in answer.json()["message"]


def test_what_must_stay(client: TestClient, ranker: AttentionRanker) -> None:
    """`must_keep` keeps what it does in a call in the process, and a misspelled name is told."""
    trim = Trim(max_tokens=40, must_keep=["hourly"])
    expected = ranker.rank(QUERY, CHUNKS, trim=trim)
    found = post(client, "/v1/trim", max_tokens=40, must_keep=["hourly"])
    assert [each["text"] for each in found["results"]] == [c.text for c in expected.chunks]
    assert "hourly" in found["text"]
    assert "must_keep" in {span["reason"] for each in found["results"] for span in each["spans"]}
    body = {"query": QUERY, "documents": DOCUMENTS, "must_keep": ["amount"]}
    answer = client.post("/v1/trim", json=body)
    assert answer.status_code == 400
    assert "Did you mean 'amounts'" in answer.json()["message"]


@pytest.mark.parametrize("max_tokens", [40, 1])
def test_a_dry_run(client: TestClient, ranker: AttentionRanker, max_tokens: int) -> None:
    """All documents come whole, beside what trimming would save and lose, or fail by."""
    saving = ranker.trim(QUERY, CHUNKS, max_tokens=max_tokens, dry_run=True).saving
    assert saving is not None
    found = post(client, "/v1/trim", max_tokens=max_tokens, dry_run=True, dropped=True)
    assert {each["index"]: each["text"] for each in found["results"]} == dict(enumerate(TEXTS))
    told = found["saving"]
    assert told["n_tokens_saved"] == saving.n_tokens_saved
    assert (told["lost_documents"], told["lost_spans"]) == (saving.lost_chunks, saving.lost_spans)
    assert told["error"] == saving.error
    assert [each["text"] for each in told["results"]] == [c.text for c in saving.chunks]
    assert [each["reason"] for each in told["dropped"]] == [c.dropped for c in saving.dropped]
    assert "saving" not in post(client, "/v1/trim", max_tokens=40)


def test_metadata_come_back(client: TestClient) -> None:
    """What is known of a document is with its result and its sources, and reaches no model."""
    known = {"date": "2026-11-29", "tags": ["a", {"\ud800": None}], "\ud800": 1.5}
    documents = [{"text": TEXTS[0]}, {"text": TEXTS[1], "metadata": known}, TEXTS[2]]
    asked: dict[str, Any] = {"max_tokens": 60, "top_n": 2, "dropped": True, "citations": True}
    found = post(client, "/v1/trim", documents=documents, **asked)
    told = {each["index"]: each for each in (*found["results"], *found["dropped"])}
    assert told[1]["metadata"] == known
    assert "metadata" not in told[0] | told[2]
    sources = found["citations"]["sources"]
    assert {each.get("metadata") is not None for each in sources if each["index"] == 1} == {True}
    plain = post(client, "/v1/trim", documents=TEXTS, **asked)
    assert [each["score"] for each in plain["results"]] == [e["score"] for e in found["results"]]
    for path in ("/v1/attribute", "/v1/warm", "/v1/explain", "/v1/spans"):
        more = {"/v1/attribute": {"query": QUERY, "answer": "In Ulm."}, "/v1/warm": {}}
        queries = {"queries": [QUERY]} if path == "/v1/spans" else {"query": QUERY}
        body = {"documents": documents, **more.get(path, queries)}
        assert client.post(path, content=json.dumps(body)).status_code == 200


@pytest.mark.parametrize("name", ["top_n", "max_tokens", "fuse", "min_relevance", "neighbors"])
def test_truth_is_no_number(client: TestClient, name: str) -> None:
    """True is not taken for 1, which for `fuse` would leave the order to the retriever."""
    asked = {"query": QUERY, "documents": TEXTS, "max_tokens": 60, name: True}
    answer = client.post("/v1/trim", json=asked)
    assert answer.status_code == 400
    assert answer.json()["message"] == f"{name}: must be a number, not true or false"
    assert client.post("/v2/rerank", json=asked | {"top_n": True}).status_code == 400


@pytest.mark.parametrize("name", ["top_n", "max_tokens", "fuse", "min_relevance", "neighbors"])
def test_text_is_no_number(client: TestClient, name: str) -> None:
    """JSON has numbers: a text is not read as one, as it is not in Python; 3.0 is 3."""
    asked = {"query": QUERY, "documents": TEXTS, "max_tokens": 60, name: "1"}
    answer = client.post("/v1/trim", json=asked)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{name}: must be a number")
    assert client.post("/v2/rerank", json=asked | {"top_n": "1"}).status_code == 400
    assert len(post(client, "/v1/trim", top_n=1.0, max_tokens=60)["results"]) == 1


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{"text": "", "metadata": ' + '{"a":' * 65 + "1" + "}" * 66, "metadata: it is nested"),
        ('{"text": "", "metadata": [1]}', "metadata: "),
        ('{"text": "", "tittle": "T"}', "there is no field 'documents[0].tittle'"),
        ('{"text": "", "score": "high"}', "score: "),
        ('{"title": "T"}', "the field 'documents[0].text' is missing"),
        ('{"text": "", "score": true}', "score: must be a number, not true or false"),
        ("7", "documents[0]: must be a string or an object"),
        ('{"text": 7}', "documents[0].text: must be a string"),
        ('{"text": "", "metadata": 7}', "documents[0].metadata: must be an object"),
        ('{"text": "", "id": []}', "documents[0].id: "),
    ],
)
def test_documents_that_are_off(client: TestClient, document: str, message: str) -> None:
    """The field that is wrong is named, also where it could not be sent back for its depth."""
    answer = client.post("/v1/trim", content=f'{{"query": "Who?", "documents": [{document}]}}')
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert "documents[0]" in answer.json()["message"]


def test_metadata_of_others(client: TestClient, watched: Watched) -> None:
    """Requests over the same texts that are answered together each have their own."""
    watched.gate.clear()

    def ask(number: int) -> Any:
        documents = [{"text": text, "metadata": {"of": number}} for text in TEXTS]
        return post(client, "/v1/trim", query=f"Who is {number}?", documents=documents)

    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(post, client, "/v1/trim")
        try:
            assert watched.entered.acquire(timeout=30)
            asked = [pool.submit(ask, number // 2) for number in range(4)]
            until(lambda: client.service.worker.depth == 4, 30)  # type: ignore[attr-defined]
        finally:
            watched.gate.set()
        first.result()
        found = [each.result()["results"] for each in asked]
    for number, results in enumerate(found):
        assert [each["metadata"] for each in results] == [{"of": number // 2}] * len(TEXTS)
    assert [len(queries) for queries in watched.calls] == [1, 2, 2]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"top_n": "auto"}, 5),
        ({"top_n": "auto", "keep_ratio": 1.0}, 5),
        ({"top_n": "auto", "max_tokens": 1000}, 7),
        ({"top_n": 2}, 2),
        ({}, 7),
    ],
    ids=str,
)
def test_how_many(client: TestClient, fields: dict[str, Any], kept: int) -> None:
    """`auto` is what it is in the adapters: five, or all that a budget has room for."""
    documents = [f"Item {n} is told of." for n in range(7)]
    assert len(post(client, "/v1/trim", documents=documents, **fields)["results"]) == kept


def test_relevance() -> None:
    """What is of less relevance stays out, and without a rule for it the option is refused."""
    likely = {"One here.": 0.9, "Two here.": 0.1}
    stub = StubRanker(lambda c: likely[c.text], relevance=lambda c: likely[c.text])
    expected = stub.rank(QUERY, [Chunk(text) for text in likely], min_relevance=0.5)
    with serving(stub) as client:
        body = {"query": QUERY, "documents": list(likely), "min_relevance": 0.5}
        found = client.post("/v1/trim", json={**body, "dropped": True}).json()
    assert [each["index"] for each in found["results"]] == [c.index for c in expected.chunks]
    assert [each["relevance"] for each in found["results"]] == [expected.chunks[0].relevance]
    assert [each["reason"] for each in found["dropped"]] == ["min_relevance"]


def test_no_rule_for_relevance(client: TestClient) -> None:
    """A model that cannot tell relevance says so, and what would."""
    body = {"query": QUERY, "documents": DOCUMENTS, "min_relevance": 0.5}
    answer = client.post("/v1/trim", json=body)
    assert answer.status_code == 400
    assert "needs relevance" in answer.json()["message"]


def test_attribute(client: TestClient, ranker: AttentionRanker) -> None:
    """Sentences of an answer come with the spans that a call in the process finds."""
    answer = "He was born in Ulm. It rains."
    expected = ranker.attribute(QUERY, CHUNKS, answer, top_spans=1, threshold=0.5)
    found = post(client, "/v1/attribute", answer=answer, top_spans=1, threshold=0.5)
    assert [each["text"] for each in found["sentences"]] == [s.text for s in expected.sentences]
    for told, sentence in zip(found["sentences"], expected.sentences, strict=True):
        (span,) = told["spans"]
        assert span["score"] == sentence.spans[0].score
        assert TEXTS[span["index"]][span["start"] : span["end"]] == span["text"]
        assert told["supported"] == sentence.supported
    assert found["threshold"] == 0.5


def test_warm(client: TestClient, watched: Watched) -> None:
    """What is warmed is found by later requests, titles included."""
    body = {"documents": [{"text": "Never read before.", "title": "New"}, " "]}
    found = client.post("/v1/warm", json=body).json()
    assert (found["read"], found["skipped"], found["unreadable"]) == (1, 0, 1)
    misses = watched.stats.misses
    post(client, "/v1/trim", documents=body["documents"])
    assert watched.stats.misses == misses


def test_explain_is_the_page(client: TestClient, ranker: AttentionRanker) -> None:
    """The heat map comes as the page that the package draws, under the page's own policy."""
    body = {"query": QUERY, "documents": [*TEXTS, "<script>alert(1)</script> & more"]}
    answer = client.post("/v1/explain", json=body)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert policy.endswith("form-action 'none'; frame-ancestors 'none'")
    assert (
        f'content="{policy.removesuffix("; frame-ancestors " + chr(39) + "none" + chr(39))}"'
        in (answer.text)
    )
    assert "<script>alert" not in answer.text
    assert "alert" in answer.text
    assert answer.text == ranker.rank(QUERY, body["documents"]).explain().to_html()


def test_explain_as_numbers(client: TestClient) -> None:
    """Its numbers come as JSON, of a trimmed ranking where trimming is asked for."""
    found = post(client, "/v1/explain", format="json", query_words=True, max_tokens=60)
    assert found["query"] == QUERY
    assert found["query_words"]
    assert found["n_tokens_after"] <= 60


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/trim", {"max_token": 5}, "there is no field 'max_token'. Did you mean 'max_tokens'?"),
        ("/v1/trim", {"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ("/v1/trim", {"max token": 5}, "there is no field 'max token'. Did you mean 'max_tokens'?"),
        ("/v1/trim", {"top_n": 0}, "top_n: Input should be greater than or equal to 1"),
        ("/v1/trim", {"fuse": 2}, "fuse: Input should be less than or equal to 1"),
        ("/v1/trim", {"query": 7}, "query: must be a string"),
        ("/v1/trim", {"on_no_evidence": "raise"}, "on_no_evidence must be keep or empty"),
        ("/v1/trim", {"tokenizer": "gpt2"}, "tokenizer: Input should be None"),
        ("/v1/trim", {"embed_model": "minilm"}, "embed_model: Input should be None"),
        ("/v1/trim", {"marker": "{n}{n}", "citations": True}, "marker"),
        ("/v1/trim", {"documents": [{"txt": "a"}]}, "documents[0]"),
        ("/v1/trim", {"query": ""}, "query is empty or blank"),
        ("/v1/trim", {"max_tokens": 1}, "max_tokens=1 is too few"),
        ("/v1/attribute", {}, "the field 'answer' is missing"),
        ("/v1/attribute", {"answer": " "}, "answer is empty or blank"),
        ("/v1/explain", {"format": "pdf"}, "format: Input should be 'html' or 'json'"),
    ],
)
def test_bad_input(client: TestClient, path: str, body: Any, message: str) -> None:
    """What is off is said with its name, an unknown name with the nearest one."""
    answer = client.post(path, json={"query": QUERY, "documents": DOCUMENTS} | body)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_a_long_query_is_the_callers_matter(client: TestClient) -> None:
    """A query that has no room in the model is refused with both numbers."""
    answer = client.post("/rerank", json={"query": "word " * 3000, "documents": ["a"]})
    assert answer.status_code == 400
    assert "tokens" in answer.json()["message"]
