"""What LlamaIndex asks of a node postprocessor, beyond the contract that all adapters share."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.callbacks import EventPayload
from llama_index.core.schema import (
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

import attnmass
from attnmass import AttentionRanker
from llama_index_attn import AttentionRerank, details
from tests.contract.stub import StubRanker
from tests.llama_index.conftest import QUERY, TEXTS, Callbacks, Recorder


def falling(chunk: attnmass.Chunk) -> float:
    """Later texts get more: ranking turns the list around."""
    return 0.1 * (1 + TEXTS.index(chunk.text))


def test_every_argument_is_a_described_field() -> None:
    """The schema tells what each argument is for."""
    fields = AttentionRerank.model_fields
    assert set(fields) >= {"model", "top_n", "min_relevance", "device", "dtype", "batch_size"}
    assert set(fields) >= {"metadata_mode", "fuse", "on_error", "profile", "local_files_only"}
    assert all(info.description for name, info in fields.items() if name != "callback_manager")


def test_dict_json_and_dump_round_trip() -> None:
    """Serialized options build an equal reranker again, class name included."""
    rerank = AttentionRerank(
        model="some/model",
        top_n=3,
        fuse=0.25,
        metadata_mode=MetadataMode.LLM,
        revision="main",
        heads=((1, 0), (2, 1)),
        show_progress=True,
    )
    data = rerank.to_dict()
    assert data["class_name"] == "AttentionRerank"
    assert "callback_manager" not in data
    for other in (
        AttentionRerank.from_dict(data),
        AttentionRerank.from_json(rerank.to_json()),
        AttentionRerank.model_validate(rerank.model_dump()),
        AttentionRerank.model_validate_json(rerank.model_dump_json()),
        pickle.loads(pickle.dumps(rerank)),
        copy.deepcopy(rerank),
    ):
        assert other.to_dict() == data
        assert other.metadata_mode is MetadataMode.LLM
        assert other.heads == ((1, 0), (2, 1))


def test_a_ranker_is_never_serialized(ranker: AttentionRanker) -> None:
    """A reranker around a loaded model serializes to its options."""
    data = AttentionRerank.from_ranker(ranker, top_n=2).to_dict()
    assert json.loads(json.dumps(data))["model"] == ranker.profile.model
    assert AttentionRerank.from_dict(data)._ranker is None


def test_pickling_logs_nothing(ranker: AttentionRanker, caplog: pytest.LogCaptureFixture) -> None:
    """The ranker is taken out, not tried and dropped."""
    pickle.dumps(AttentionRerank.from_ranker(ranker))
    assert not caplog.messages


def test_deep_copies_share_callback_handlers(ranker: AttentionRanker) -> None:
    """A copy reports to the same handlers, which may hold what cannot be copied."""
    callbacks = Callbacks()
    callbacks.lock = threading.Lock()  # type: ignore[attr-defined]
    rerank = AttentionRerank.from_ranker(ranker, callback_manager=callbacks.manager)
    assert copy.deepcopy(rerank).callback_manager is rerank.callback_manager


def test_the_model_loads_by_name_and_is_shared(
    nodes: list[NodeWithScore], tiny_folder: Path, tiny_profile: str
) -> None:
    """Rerankers that name a model alike use one, and `release` forgets it."""
    one = AttentionRerank(model=tiny_folder, profile=tiny_profile, top_n=2)
    two = AttentionRerank(model=str(tiny_folder), profile=tiny_profile)
    assert len(one.postprocess_nodes(nodes, query_str=QUERY)) == 2
    before = one._load()
    assert two._load() is before
    one.release()
    assert two._load() is not before


def test_only_what_was_set_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults are left out, so that keys of shared models stay equal."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def load(name: str, **options: Any) -> StubRanker:
        asked.append((name, options))
        return StubRanker()

    monkeypatch.setattr(AttentionRanker, "from_pretrained", load)
    assert AttentionRerank()._load() is attnmass.shared_ranker()
    AttentionRerank(model="m", dtype="float32", local_files_only=True, cache_dir="c")._load()
    assert asked == [
        ("smollm2-135m", {}),
        ("m", {"dtype": "float32", "local_files_only": True, "cache_dir": "c"}),
    ]


def test_release_forgets_a_given_ranker(ranker: AttentionRanker) -> None:
    """What was passed in is let go of, too."""
    rerank = AttentionRerank.from_ranker(ranker)
    rerank.release()
    assert rerank._ranker is None


def test_query_bundle_or_query_str(ranker: AttentionRanker, nodes: list[NodeWithScore]) -> None:
    """A query may come as a string or as a bundle, but not as both."""
    rerank = AttentionRerank.from_ranker(ranker)
    bundled = rerank.postprocess_nodes(nodes, QueryBundle(QUERY))
    assert bundled == rerank.postprocess_nodes(nodes, query_str=QUERY)
    assert rerank.postprocess_nodes([]) == []
    with pytest.raises(ValueError, match="both query_str and query_bundle"):
        rerank.postprocess_nodes(nodes, QueryBundle(QUERY), QUERY)


def test_everything_about_a_node_survives(ranker: AttentionRanker) -> None:
    """Relationships, templates, offsets, embeddings and excluded keys come back as they were."""
    node = TextNode(
        text=TEXTS[0],
        id_="id",
        metadata={"title": "T", "secret": "s", "nested": {"a": [1]}},
        excluded_llm_metadata_keys=["secret"],
        excluded_embed_metadata_keys=["secret", "attnmass"],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")},
        metadata_template="{key}={value}",
        metadata_separator=" | ",
        text_template="[{metadata_str}] {content}",
        start_char_idx=3,
        end_char_idx=35,
        embedding=[0.1, 0.2],
    )
    before = node.to_dict()
    rerank = AttentionRerank.from_ranker(ranker, add_scores=True)
    (result,) = rerank.postprocess_nodes([NodeWithScore(node=node, score=0.5)], query_str=QUERY)
    after = result.node.to_dict()
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"metadata", "excluded_llm_metadata_keys"}
    assert after["excluded_llm_metadata_keys"] == ["secret", "attnmass"]
    assert details(result)["retrieval_score"] == 0.5
    del after["metadata"]["attnmass"]
    assert after["metadata"] == before["metadata"]
    assert node.to_dict() == before


@pytest.mark.parametrize(
    ("mode", "title"),
    [
        (MetadataMode.NONE, None),
        (MetadataMode.EMBED, "title: T\nllm: b"),
        (MetadataMode.LLM, "title: T\nembed: a"),
        (MetadataMode.ALL, "title: T\nembed: a\nllm: b"),
    ],
)
def test_metadata_mode_says_what_is_read(mode: MetadataMode, title: str | None) -> None:
    """The model reads the metadata as the node renders it, without what a first pass added."""
    node = TextNode(
        text=TEXTS[0],
        metadata={"title": "T", "embed": "a", "llm": "b"},
        excluded_embed_metadata_keys=["embed"],
        excluded_llm_metadata_keys=["llm"],
    )
    stub = StubRanker()
    rerank = AttentionRerank.from_ranker(stub, metadata_mode=mode)
    once = rerank.postprocess_nodes([NodeWithScore(node=node)], query_str=QUERY)
    rerank.postprocess_nodes(once, query_str=QUERY)
    assert [call.chunks for call in stub.calls] == [[attnmass.Chunk(TEXTS[0], title)]] * 2


def media() -> list[NodeWithScore]:
    """Nodes without text, of three kinds."""
    return [
        NodeWithScore(node=ImageNode(image="aGk=", id_="image"), score=0.7),
        NodeWithScore(node=Node(audio_resource=MediaResource(data=b"x"), id_="audio")),
        NodeWithScore(node=ImageDocument(image=b"pixels", id_="document"), score=0.2),
    ]


def test_images_stay_in_place(nodes: list[NodeWithScore]) -> None:
    """Nodes without text keep position, score and metadata, and do not count in `top_n`."""
    image, audio, document = media()
    rerank = AttentionRerank.from_ranker(StubRanker(falling), top_n=3, add_scores=True)
    given = [nodes[0], image, nodes[1], nodes[2], audio, nodes[3], document, nodes[4]]
    before = copy.deepcopy(given)
    result = rerank.postprocess_nodes(given, query_str=QUERY)
    assert [found.node_id for found in result] == [
        "id-4", "image", "id-3", "id-2", "audio", "document",
    ]  # fmt: skip
    assert [result[place] for place in (1, 4, 5)] == [image, audio, document]
    assert result[1].node is not image.node
    assert [details(found)["rank_before"] for found in result[:1]] == [7]
    assert given == before


def test_only_images_need_no_model() -> None:
    """Where there is nothing to read, nothing is loaded."""
    rerank = AttentionRerank(model="/nowhere/model")
    assert rerank.postprocess_nodes(media(), query_str=QUERY) == media()


def test_image_with_a_caption_is_ranked() -> None:
    """An image node that has text is read."""
    node = NodeWithScore(node=ImageNode(text=TEXTS[1], image="aGk="))
    (result,) = AttentionRerank.from_ranker(StubRanker(falling)).postprocess_nodes(
        [node], query_str=QUERY
    )
    assert result.score == pytest.approx(0.2)


def test_what_an_index_node_refers_to_is_shared(ranker: AttentionRanker) -> None:
    """An index behind a node is neither copied nor lost; nodes of every kind keep their class."""
    target = threading.Lock()  # cannot be copied
    given = [
        NodeWithScore(node=IndexNode(text=TEXTS[0], index_id="i", obj=target)),
        NodeWithScore(node=Document(text=TEXTS[1])),
        NodeWithScore(node=Node(text_resource=MediaResource(text=TEXTS[2]))),
    ]
    rerank = AttentionRerank.from_ranker(ranker, add_scores=True)
    result = rerank.postprocess_nodes(given, query_str=QUERY)
    by_rank = {details(found)["rank_before"]: found.node for found in result}
    assert [type(by_rank[place]) for place in range(3)] == [IndexNode, Document, Node]
    assert by_rank[0].obj is target


def run_paths(nodes: list[NodeWithScore]) -> list[tuple[AttentionRerank, list[NodeWithScore], int]]:
    """Rerankers, what they get, and how many nodes they return or -1 for an error."""
    broken = StubRanker(error=RuntimeError("boom"))
    unsure = StubRanker(falling, relevance=lambda chunk: 0.1)
    return [
        (AttentionRerank.from_ranker(StubRanker(falling), top_n=2), nodes, 2),
        (AttentionRerank.from_ranker(StubRanker(falling), top_n=None), nodes, 5),
        (AttentionRerank.from_ranker(unsure, min_relevance=0.9), nodes, 0),
        (AttentionRerank(model="/nowhere/model"), [], 0),
        (AttentionRerank.from_ranker(broken), nodes, -1),
        (AttentionRerank.from_ranker(broken, on_error="passthrough"), nodes, 5),
    ]


PATHS = pytest.mark.parametrize(
    "path", range(6), ids=["ranked", "all", "none kept", "empty", "error", "passthrough"]
)


@pytest.mark.filterwarnings("ignore:candidates are not reranked")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@PATHS
async def test_events_are_balanced(
    path: int, nodes: list[NodeWithScore], recorder: Recorder, *, is_async: bool
) -> None:
    """Each call is one start event and one end event, with callbacks alike, on every path."""
    rerank, given, count = run_paths(nodes)[path]
    callbacks = Callbacks()
    rerank.callback_manager = callbacks.manager
    try:
        if is_async:
            result = await rerank.apostprocess_nodes(given, query_str=QUERY)
        else:
            result = rerank.postprocess_nodes(given, query_str=QUERY)
    except RuntimeError:
        assert count == -1
        result = []
    assert recorder.names == ["ReRankStartEvent", "ReRankEndEvent"]
    start, end = recorder.events
    assert (start.query.query_str, start.model_name) == (QUERY, rerank.model)
    assert start.top_n == {None: len(given), "auto": 5}.get(rerank.top_n, rerank.top_n)
    assert isinstance(start.top_n, int)
    assert (start.nodes, end.nodes) == (given, result)
    (said, opened, first), (then, closed, second) = callbacks.calls
    assert (said, then, first) == ("start", "end", second)
    assert opened[EventPayload.QUERY_STR] == QUERY
    assert opened[EventPayload.TOP_K] == start.top_n
    assert opened[EventPayload.MODEL_NAME] == rerank.model
    assert opened[EventPayload.NODES] == given
    if count == -1:
        assert isinstance(closed[EventPayload.EXCEPTION], RuntimeError)
    else:
        assert len(closed[EventPayload.NODES]) == len(result) == count


@pytest.mark.parametrize("on_error", ["raise", "passthrough"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_no_query_leaves_the_nodes_alone(
    on_error: str,
    nodes: list[NodeWithScore],
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    *,
    is_async: bool,
) -> None:
    """Without a query the very nodes come back, with a logged warning and balanced events."""
    callbacks = Callbacks()
    rerank = AttentionRerank(
        model="/nowhere/model",
        top_n=2,
        fuse=0.5,
        on_error=on_error,
        callback_manager=callbacks.manager,
    )
    given = [media()[0], *nodes]
    before = copy.deepcopy(given)
    if is_async:
        result = await rerank.apostprocess_nodes(given)
    else:
        result = rerank.postprocess_nodes(given)
    assert result is not given
    assert [id(found) for found in result] == [id(found) for found in given]
    assert result == before
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("llama_index_attn.rerank", "WARNING")
    assert "there is no query" in record.message
    assert recorder.names == ["ReRankStartEvent", "ReRankEndEvent"]
    start, end = recorder.events
    assert start.query is None
    assert (start.nodes, end.nodes) == (given, result)
    (said, opened, first), (then, closed, second) = callbacks.calls
    assert (said, then, first) == ("start", "end", second)
    assert opened[EventPayload.QUERY_STR] is None
    assert closed[EventPayload.NODES] == result
