"""What LlamaIndex asks of trimmed nodes, beyond the contract that all adapters share."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core import PromptTemplate, VectorStoreIndex
from llama_index.core.bridge.pydantic import ConfigDict, Field
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import MockLLM
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)

from attnmass import Chunk
from llama_index_attn import AttentionRerank, AttentionTrimEvent, cite, details, restore
from tests.contract.stub import StubRanker
from tests.llama_index.conftest import QUERY, Callbacks, Recorder, WordEmbedding

TEXT = "Einstein was born in Ulm. He developed the theory in 1905. He played the violin."
KEPT = "He developed the theory in 1905."
AT = TEXT.index(KEPT)


def like(number: int) -> str:
    """The same with other facts in every sentence, none of which repeats one of another text."""
    facts = {"Ulm": f"Ulm{number}", "1905": str(1905 + number), "violin": f"violin{number}"}
    return " ".join(facts.get(word.strip("."), word.strip(".")) + "." * word.endswith(".")
                    for word in TEXT.split(" "))  # fmt: skip


def make(**fields: Any) -> AttentionRerank:
    """A reranker that keeps the sentences about theories."""
    if not {"max_tokens", "keep_ratio", "top_p"} & set(fields):
        fields["top_p"] = 0.5
    told = {"add_scores": True, "keep_original": True}
    ranker = StubRanker(by_theories, hot="theory")
    return AttentionRerank.from_ranker(ranker, **{**told, **fields})


def trim(node: BaseNode, **fields: Any) -> BaseNode:
    """One node, trimmed."""
    (result,) = make(**fields).postprocess_nodes([NodeWithScore(node=node)], query_str=QUERY)
    return result.node


def by_theories(chunk: Chunk) -> float:
    """Where there is a theory there is more."""
    return 0.01 + 0.1 * chunk.text.count("theory")


def words(text: str) -> int:
    """A tokenizer that tests can foretell."""
    return len(text.split())


class TrimRecorder(Recorder):
    """Remembers all events of reranking, ours among them."""

    def handle(self, event: Any, **kwargs: Any) -> None:
        """Remember."""
        super().handle(event)
        if isinstance(event, AttentionTrimEvent):
            self.events.append(event)


@pytest.fixture
def trims() -> Iterator[TrimRecorder]:
    """Listens at the root of the instrumentation."""
    root, handler = get_dispatcher(), TrimRecorder(events=[])
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


def test_everything_about_a_node_survives() -> None:
    """Only text, offsets, embedding and our own key are others than before."""
    node = TextNode(
        text=TEXT,
        id_="id",
        metadata={"title": "T", "secret": "s", "nested": {"a": [1]}},
        excluded_llm_metadata_keys=["secret"],
        excluded_embed_metadata_keys=["secret", "attnmass"],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")},
        metadata_template="{key}={value}",
        metadata_separator=" | ",
        text_template="[{metadata_str}] {content}",
        start_char_idx=1000,
        end_char_idx=1000 + len(TEXT),
        embedding=[0.1, 0.2],
    )
    before = node.to_dict()
    result = trim(node)
    after = result.to_dict()
    assert {key for key in before if before[key] != after[key]} == {
        "text", "metadata", "excluded_llm_metadata_keys", "embedding", "start_char_idx",
        "end_char_idx",
    }  # fmt: skip
    assert after["text"] == KEPT
    assert after["embedding"] is None
    assert (after["start_char_idx"], after["end_char_idx"]) == (1000 + AT, 1000 + AT + len(KEPT))
    assert node.to_dict() == before
    again = restore(result).to_dict()
    assert {key for key in before if before[key] != again[key]} == {"embedding"}


def test_a_whole_node_keeps_its_embedding_and_offsets() -> None:
    """Where nothing was cut, nothing is cleared."""
    node = TextNode(text=TEXT, start_char_idx=3, end_char_idx=9, embedding=[0.1])
    result = trim(node, keep_ratio=1.0)
    assert result.get_content() == TEXT
    assert (result.start_char_idx, result.end_char_idx) == (3, 9)
    assert result.embedding == [0.1]
    assert restore(result) == node


@pytest.mark.parametrize(("start", "end"), [(5, 9), (None, 9), (5, None), (0, len(TEXT) + 1)])
def test_offsets_that_do_not_fit_the_text_are_not_trusted(start: Any, end: Any) -> None:
    """Then the parent's place is unknown, and `restore` gives back what was there."""
    node = TextNode(text=TEXT, start_char_idx=start, end_char_idx=end)
    result = trim(node)
    assert (result.start_char_idx, result.end_char_idx) == (None, None)
    assert "doc_start" not in details(result)["spans"][0]
    assert restore(result) == node


def kinds() -> list[BaseNode]:
    """A node of every kind that has text."""
    resource = MediaResource(text=TEXT, mimetype="text/markdown", url="https://example.com/a")
    return [
        TextNode(text=TEXT, id_="text"),
        Node(text_resource=resource, id_="node", embedding=[0.5]),
        Document(text=TEXT, id_="document"),
        IndexNode(text=TEXT, id_="index", index_id="i", obj=TextNode(text="target")),
        ImageNode(text=TEXT, id_="image", image="aGk=", text_embedding=[0.1]),
    ]


@pytest.mark.parametrize("node", kinds(), ids=lambda node: node.node_id)
def test_nodes_of_every_kind_are_trimmed(node: BaseNode) -> None:
    """Class and media stay, the text is what was kept, and `restore` undoes it."""
    before = copy.deepcopy(node)
    result = trim(node)
    assert type(result) is type(node)
    assert result.get_content(MetadataMode.NONE) == KEPT
    assert result.embedding is None
    assert node == before
    if isinstance(node, Node) and node.node_id == "node":
        assert result.text_resource.mimetype == "text/markdown"
        assert result.text_resource.url == node.text_resource.url
    if isinstance(node, IndexNode):
        assert result.obj is node.obj
    if isinstance(node, ImageNode):
        assert (result.image, result.text_embedding) == ("aGk=", None)
    restored = restore(result)
    for found in (restored, before):
        found.embedding = None
        if isinstance(found, ImageNode):
            found.text_embedding = None
    assert restored == before


def test_restore_takes_nodes_with_and_without_a_score() -> None:
    """The retriever's score comes back, unless someone else has set one since."""
    found = NodeWithScore(node=TextNode(text=TEXT, id_="id"), score=0.7)
    (result,) = make().postprocess_nodes([found], query_str=QUERY)
    assert result.score != 0.7
    assert restore(result) == found
    assert restore(result.node) == found.node
    result.score = 0.123
    assert restore(result).score == 0.123
    assert restore(result).node == found.node


def test_excluded_keys_come_back_over_several_passes() -> None:
    """What the first pass hid, the last one's `restore` shows again, and nothing else."""
    found = NodeWithScore(
        node=TextNode(text=TEXT, id_="id", excluded_embed_metadata_keys=["attnmass"]), score=0.5
    )
    nodes = [found]
    for fields in ({"top_p": 0.1}, {"keep_ratio": 1.0}, {"max_tokens": 10}):
        nodes = make(**fields).postprocess_nodes(nodes, query_str=QUERY)
    assert restore(nodes[0]) == found
    plain = AttentionRerank.from_ranker(StubRanker())
    twice = plain.postprocess_nodes(plain.postprocess_nodes([found]), query_str=QUERY)
    assert restore(twice[0]).node == found.node


@pytest.mark.parametrize("max_tokens", [14, 20, 40])
def test_templates_and_metadata_count(max_tokens: int) -> None:
    """The budget counts what synthesizers send: metadata that the LLM sees, in the templates."""
    nodes = [
        NodeWithScore(
            node=TextNode(
                text=TEXT,
                metadata={"title": "About physics", "secret": "x " * 50},
                excluded_llm_metadata_keys=["secret"],
                text_template="<doc> {metadata_str} </doc> {content}",
            )
        )
        for _ in range(3)
    ]
    rerank = make(max_tokens=max_tokens, tokenizer=words)
    result = rerank.postprocess_nodes(nodes, query_str=QUERY)
    sent = [found.node.get_content(MetadataMode.LLM) for found in result]
    assert all(text.startswith("<doc> title: About physics </doc> ") for text in sent)
    assert 0 < sum(map(words, sent)) <= max_tokens
    with pytest.raises(ValueError, match="for any span"):
        make(max_tokens=8, tokenizer=words).postprocess_nodes(nodes, query_str=QUERY)


def test_the_default_tokenizer_is_the_frameworks() -> None:
    """Without a tokenizer LlamaIndex's global one counts, as it is at the time of the call."""
    import llama_index.core
    from llama_index.core import set_global_tokenizer

    before = llama_index.core.global_tokenizer
    rerank = make(max_tokens=len(KEPT))
    found = [NodeWithScore(node=TextNode(text=TEXT))]
    try:
        set_global_tokenizer(lambda text: list(text))
        (result,) = rerank.postprocess_nodes(found, query_str=QUERY)
        assert result.text == KEPT
        set_global_tokenizer(str.split)
        (result,) = rerank.postprocess_nodes(found, query_str=QUERY)
        assert result.text == TEXT
    finally:
        llama_index.core.global_tokenizer = before


def image(metadata: str, **fields: Any) -> NodeWithScore:
    """An image without text."""
    node = ImageNode(image="aGk=", id_="image", metadata={"k": metadata} if metadata else {})
    return NodeWithScore(node=node, **fields)


class TestImages:
    """Nodes without text, which are never left out."""

    def test_what_they_render_counts(self) -> None:
        """An image's metadata takes its tokens from the budget of the texts."""
        found = [image("a b c"), NodeWithScore(node=TextNode(text=TEXT, id_="text"))]
        for max_tokens, text in [(10, KEPT), (15, None)]:
            rerank = make(max_tokens=max_tokens, tokenizer=words)
            result = rerank.postprocess_nodes(found, query_str=QUERY)
            assert result[0] == found[0]
            assert result[0].node is not found[0].node
            sent = [node.get_content(MetadataMode.LLM) for node in result]
            assert sum(map(words, sent)) <= max_tokens
            assert text is None or result[1].text == text
            assert rerank.postprocess_nodes(result, query_str=QUERY) == result

    @pytest.mark.parametrize("on_empty", ["raise", "empty", "cut"])
    def test_they_may_leave_no_room(self, on_empty: Any, trims: TrimRecorder) -> None:
        """Then `on_empty` says what happens to the texts."""
        found = [image("a b c"), NodeWithScore(node=TextNode(text=TEXT))]
        rerank = make(max_tokens=4, tokenizer=words, on_empty=on_empty)
        if on_empty == "raise":
            with pytest.raises(ValueError, match="leaves none for text"):
                rerank.postprocess_nodes(found, query_str=QUERY)
            return
        assert rerank.postprocess_nodes(found, query_str=QUERY) == found[:1]
        (event,) = [e for e in trims.events if isinstance(e, AttentionTrimEvent)]
        assert (event.n_nodes_after, event.n_tokens_after, event.n_spans_kept) == (1, 4, 0)

    @pytest.mark.parametrize("on_empty", ["raise", "empty", "cut"])
    def test_they_alone_may_be_too_much(self, on_empty: Any) -> None:
        """Then the ceiling cannot hold, which is an error in any case."""
        found = [image("a b c d e"), NodeWithScore(node=TextNode(text=TEXT))]
        with pytest.raises(ValueError, match="take 6 tokens of metadata, more than max_tokens=5"):
            make(max_tokens=5, tokenizer=words, on_empty=on_empty).postprocess_nodes(
                found, query_str=QUERY
            )

    def test_a_tokenizer_that_makes_more_of_texts_together(self) -> None:
        """The ceiling holds on the whole result, however odd the tokenizer."""

        def odd(text: str) -> int:
            return len(text.split()) * (1 + text.count("\n\n"))

        found = [image("a"), *(NodeWithScore(node=TextNode(text=like(n))) for n in range(3))]
        for max_tokens in range(3, 60):
            rerank = make(max_tokens=max_tokens, tokenizer=odd, on_empty="empty")
            result = rerank.postprocess_nodes(found, query_str=QUERY)
            sent = [node.get_content(MetadataMode.LLM) for node in result]
            assert odd("\n\n".join(sent)) <= max_tokens
        assert len(sent) > 2

    def test_no_evidence_is_about_texts(self) -> None:
        """Where the result is to be empty, images pass through as they do whatever is asked."""
        found = [NodeWithScore(node=TextNode(text=TEXT)), image("")]
        rerank = make(evidence_threshold=1.0, on_no_evidence="empty")
        assert rerank.postprocess_nodes(found, query_str=QUERY) == found[1:]

    def test_they_have_nothing_to_cite(self) -> None:
        """An image has no number, and its place is counted."""
        cited = cite([image("a"), NodeWithScore(node=TextNode(text=TEXT))])
        assert [source.chunk for source in cited.sources] == [1]


class TestEvents:
    """What handlers hear."""

    @pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
    async def test_trimming_is_told_once(self, trims: TrimRecorder, *, is_async: bool) -> None:
        """Our event is between the start and the end of reranking, with the numbers of the call."""
        found = [
            NodeWithScore(node=TextNode(text=TEXT)),
            NodeWithScore(node=TextNode(text="Trains run late.")),
        ]
        rerank = make(max_tokens=7, tokenizer=words, evidence_threshold=1.0)
        if is_async:
            result = await rerank.apostprocess_nodes(found, query_str=QUERY)
        else:
            result = rerank.postprocess_nodes(found, query_str=QUERY)
        assert trims.names == ["ReRankStartEvent", "AttentionTrimEvent", "ReRankEndEvent"]
        event = trims.events[1]
        assert [item.text for item in result] == [KEPT]
        assert (event.n_nodes_before, event.n_nodes_after) == (2, 1)
        assert (event.n_tokens_before, event.n_tokens_after) == (18, 6)
        assert (event.n_spans_kept, event.n_spans_dropped) == (1, 3)
        assert event.evidence == details(result[0])["evidence"]
        assert event.no_evidence is True
        assert event.model_dump()["class_name"] == "AttentionTrimEvent"

    def test_nothing_trimmed_nothing_told(self, trims: TrimRecorder) -> None:
        """Reranking alone, and a result that was trimmed before, are no trimming."""
        found = [NodeWithScore(node=TextNode(text=TEXT))]
        rerank = make()
        once = rerank.postprocess_nodes(found, query_str=QUERY)
        trims.events.clear()
        rerank.postprocess_nodes(once, query_str=QUERY)
        AttentionRerank.from_ranker(StubRanker()).postprocess_nodes(found, query_str=QUERY)
        assert trims.names == ["ReRankStartEvent", "ReRankEndEvent"] * 2

    @pytest.mark.parametrize("on_no_evidence", ["empty", "raise"])
    def test_balanced_without_evidence(self, trims: TrimRecorder, on_no_evidence: Any) -> None:
        """An empty result ends as any other, an error too, with callbacks alike."""
        callbacks = Callbacks()
        rerank = make(evidence_threshold=1.0, on_no_evidence=on_no_evidence)
        rerank.callback_manager = callbacks.manager
        found = [NodeWithScore(node=TextNode(text=TEXT))]
        if on_no_evidence == "empty":
            assert rerank.postprocess_nodes(found, query_str=QUERY) == []
            assert trims.events[1].no_evidence is True
        else:
            with pytest.raises(Exception, match="no evidence"):
                rerank.postprocess_nodes(found, query_str=QUERY)
        assert (trims.names[0], trims.names[-1]) == ("ReRankStartEvent", "ReRankEndEvent")
        assert trims.events[-1].nodes == []
        assert [said for said, *_ in callbacks.calls] == ["start", "end"]


def test_dict_round_trip() -> None:
    """All options but the tokenizer go through `to_dict` and `to_json`."""
    rerank = AttentionRerank(
        max_tokens=800, neighbors=1, order="best_last", on_no_evidence="empty", tokenizer=words
    )
    data = rerank.to_dict()
    assert "tokenizer" not in data
    for other in (AttentionRerank.from_dict(data), AttentionRerank.from_json(rerank.to_json())):
        assert other.to_dict() == data
        assert (other.max_tokens, other.neighbors, other.tokenizer) == (800, 1, None)


def test_a_query_engine_sends_what_was_counted() -> None:
    """The prompt of a synthesizer has the trimmed context, within the budget."""
    nodes = [TextNode(text=like(n), metadata={"n": n}) for n in range(4)]
    index = VectorStoreIndex(nodes, embed_model=WordEmbedding())
    rerank = make(max_tokens=30, tokenizer=words)
    engine = index.as_query_engine(
        llm=MockLLM(),
        similarity_top_k=4,
        node_postprocessors=[rerank],
        text_qa_template=PromptTemplate("<{context_str}>"),
    )
    response = engine.query(QUERY)
    context = str(response).strip("<>")
    assert KEPT in context
    assert words(context) <= 30
    assert all("original_text" in details(found) for found in response.source_nodes)
    assert "original_text" not in context


def test_no_evidence_gives_an_empty_response() -> None:
    """A synthesizer that gets no nodes says so without asking its LLM."""
    rerank = make(evidence_threshold=1.0, on_no_evidence="empty")
    nodes = rerank.postprocess_nodes([NodeWithScore(node=TextNode(text=TEXT))], query_str=QUERY)
    response = get_response_synthesizer(llm=MockLLM()).synthesize(QUERY, nodes)
    assert str(response) == "Empty Response"
    assert response.source_nodes == []


def test_citations_name_the_parent() -> None:
    """A source has the ids of node and document and the place in the document."""
    node = TextNode(
        text=TEXT,
        id_="id",
        start_char_idx=50,
        end_char_idx=50 + len(TEXT),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")},
        metadata={"file_name": "a.txt"},
    )
    (source,) = cite([trim(node)]).sources
    assert (source.chunk_id, source.parent_id, source.text) == ("id", "doc", KEPT)
    assert (source.doc_start, source.doc_end) == (50 + AT, 50 + AT + len(KEPT))
    assert source.metadata == {"file_name": "a.txt"}


class FrozenNode(TextNode):
    """A class whose nodes cannot be changed."""

    model_config = ConfigDict(frozen=True)
    pages: list[int] = Field(default_factory=list)


class FrozenFields(Node):
    """A class of which some fields cannot be."""

    text_resource: MediaResource | None = Field(default=None, frozen=True)
    start_char_idx: int | None = Field(default=None, frozen=True)


class FrozenFound(NodeWithScore):
    """A found node that cannot be changed."""

    model_config = ConfigDict(frozen=True)


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 30, "tokenizer": words}, {"top_p": 1.0}])
@pytest.mark.parametrize("found_class", [NodeWithScore, FrozenFound])
@pytest.mark.parametrize(
    "node",
    [
        FrozenNode(
            text=TEXT,
            pages=[1],
            embedding=[0.5],
            start_char_idx=3,
            end_char_idx=3 + len(TEXT),
        ),
        FrozenFields(text_resource=MediaResource(text=TEXT)),
    ],
    ids=["class", "fields"],
)
def test_frozen_nodes(node: BaseNode, found_class: type[NodeWithScore], fields: Any) -> None:
    """A frozen class is ranked, trimmed and restored as others are, and not changed."""
    before = node.model_copy(deep=True)
    found = found_class(node=node, score=0.5)
    (result,) = make(**fields).postprocess_nodes([found], query_str=QUERY)
    assert (type(result), type(result.node)) == (found_class, type(node))
    assert result.node.get_content() == (TEXT if fields else KEPT)
    assert result.node is not node
    assert (node, found.score) == (before, 0.5)
    restored = restore(result)
    assert (restored.node.get_content(), restored.score) == (TEXT, 0.5)
    assert restored.node.start_char_idx == node.start_char_idx  # type: ignore[attr-defined]


class TestDryRun:
    """What would be trimmed, beside nodes without text."""

    def test_it_is_told(self, trims: TrimRecorder) -> None:
        """The event has what would be left, the nodes without text counted."""
        found = [image("a b"), NodeWithScore(node=TextNode(text=TEXT))]
        trimmed = make(max_tokens=9, tokenizer=words).postprocess_nodes(found, query_str=QUERY)
        rerank = make(max_tokens=9, tokenizer=words, dry_run=True)
        result = rerank.postprocess_nodes(found, query_str=QUERY)
        assert [node.get_content() for node in result] == [node.get_content() for node in found]
        told, dry = (e for e in trims.events if isinstance(e, AttentionTrimEvent))
        assert (told.dry_run, dry.dry_run) == (False, True)
        assert dry.n_nodes_after == told.n_nodes_after == len(trimmed)
        assert (dry.n_spans_kept, dry.n_spans_dropped) == (told.n_spans_kept, told.n_spans_dropped)
        assert dry.n_tokens_after == told.n_tokens_after
        assert dry.n_tokens_before == told.n_tokens_before

    @pytest.mark.parametrize("taken", ["a b c d", "a b c d e f"])
    def test_where_there_is_no_room_for_text(self, trims: TrimRecorder, taken: str) -> None:
        """What would be an error is none: no text would be left."""
        found = [image(taken), NodeWithScore(node=TextNode(text=TEXT))]
        rerank = make(max_tokens=4, tokenizer=words, dry_run=True)
        assert len(rerank.postprocess_nodes(found, query_str=QUERY)) == 2
        (event,) = [e for e in trims.events if isinstance(e, AttentionTrimEvent)]
        assert (event.n_nodes_after, event.n_spans_kept) == (1, 0)
