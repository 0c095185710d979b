"""Nodes without text beside those that are trimmed."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode

from llama_index_attn import AttentionTrimEvent, cite
from tests.contract.one_text import KEPT, TEXT
from tests.llama_index.conftest import QUERY, TrimRecorder
from tests.llama_index.trimmed import image, like, make
from tests.trimming.build import words


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
