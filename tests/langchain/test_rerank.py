"""The document compressor by itself: what comes back."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch
from langchain_core.documents import Document
from pydantic import ValidationError

from attnmass import AttentionRanker, HeadProfile
from langchain_attn import AttentionRerank, details
from tests.conftest import HEADS
from tests.langchain.support import QUERY, fake, plain, word_ranker
from tests.tiny import tiny_model, tiny_tokenizer


class Page(Document):
    """A document of a subclass."""

    page: int = 0


class TestResults:
    """What comes back."""

    def test_equals_the_core(
        self, ranker: AttentionRanker, rerank: AttentionRerank, documents: list[Document]
    ) -> None:
        """Order and scores are those of the ranker."""
        ranked = rerank.compress_documents(documents, QUERY)
        expected = ranker.rank(QUERY, [document.page_content for document in documents], top_n=3)
        assert [document.id for document in ranked] == [f"id-{c.index}" for c in expected.chunks]
        assert [document.metadata["relevance_score"] for document in ranked] == pytest.approx(
            [chunk.score for chunk in expected.chunks]
        )

    def test_details_are_plain_data(
        self, rerank: AttentionRerank, documents: list[Document]
    ) -> None:
        """The one added key holds data that JSON can hold, with Python floats."""
        first = rerank.compress_documents(documents, QUERY)[0]
        found = details(first)
        assert json.loads(first.metadata["attnmass"]) == found
        common = {"score", "retrieval_score", "rank_before", "n_tokens", "model"}
        assert set(found) == common | {"evidence", "no_evidence"}
        assert type(first.metadata["relevance_score"]) is float
        assert found["score"] == first.metadata["relevance_score"]
        assert first.id == f"id-{found['rank_before']}"
        assert found["model"] == rerank.model
        assert found["n_tokens"] > 0

    def test_nothing_is_changed(self, rerank: AttentionRerank, documents: list[Document]) -> None:
        """List, documents and metadata stay as they were, even when results are edited."""
        before, same = plain(documents), list(documents)
        for document in rerank.compress_documents(documents, QUERY):
            document.metadata["nested"]["at"].append("edited")
            document.page_content = "edited"
        assert plain(documents) == before
        assert all(left is right for left, right in zip(documents, same, strict=True))

    def test_subclass_and_fields_survive(self) -> None:
        """A document of a subclass stays one, with its id and its own fields."""
        page = Page("developed", id="p", metadata={"a": 1}, page=7)
        [found] = fake().compress_documents([page], QUERY)
        assert type(found) is Page
        assert (found.id, found.page, found.metadata["a"]) == ("p", 7, 1)

    def test_ties_and_duplicates_keep_their_places(self) -> None:
        """Equal documents with equal ids are separate candidates in input order."""
        twins = [Document("same", id="x", metadata={"n": n}) for n in range(3)]
        ranked = fake().compress_documents(twins, QUERY)
        assert [document.metadata["n"] for document in ranked] == [0, 1, 2]

    def test_blank_documents_come_last(
        self, rerank: AttentionRerank, documents: list[Document]
    ) -> None:
        """Blank documents are kept, unscored, behind all others."""
        rerank = rerank.model_copy(update={"top_n": None})
        ranked = rerank.compress_documents([Document(" \n"), *documents], QUERY)
        assert len(ranked) == len(documents) + 1
        assert ranked[-1].metadata["relevance_score"] == 0.0
        assert details(ranked[-1])["skipped"] == "blank"

    def test_split_documents_say_so(self) -> None:
        """A document that is longer than the window names how many parts were read."""
        ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, max_chunk_tokens=32)
        rerank = AttentionRerank.from_ranker(ranker, add_scores=True)
        [found] = rerank.compress_documents([Document("A river and a city. " * 20)], QUERY)
        assert details(found)["n_windows"] > 1

    def test_options_reach_the_ranker(self, documents: list[Document]) -> None:
        """Every option of ranking is passed on as it was given."""
        ranker = word_ranker()
        rerank = fake(ranker, top_n=2, fuse=None, batch_size=4, show_progress=True)
        rerank.compress_documents(documents, QUERY)
        assert ranker.calls[0].options == {
            "top_n": 2,
            "min_relevance": "auto",
            "batch_size": 4,
            "fuse": None,
            "retrieval_kind": "auto",
            "retrieval_scores": [None] * 8,
            "progress": True,
            "order": "score",
            "evidence_threshold": None,
            "on_no_evidence": "keep",
            "trim": None,
            "render": None,
        }

    def test_tuple_of_documents(self, documents: list[Document]) -> None:
        """Any sequence of documents will do."""
        assert len(fake().compress_documents(tuple(documents), QUERY)) == 5

    def test_blank_query(self, rerank: AttentionRerank, documents: list[Document]) -> None:
        """A blank query is a ValueError that says so."""
        with pytest.raises(ValueError, match="blank"):
            rerank.compress_documents(documents, "  ")


class TestConstruction:
    """What a constructor takes."""

    @pytest.mark.parametrize(
        "fields",
        [
            {"top_k": 3},
            {"top_n": 0},
            {"top_n": -1},
            {"batch_size": 0},
            {"fuse": 1.5},
            {"fuse": float("nan")},
            {"min_relevance": float("nan")},
            {"dtype": "int3"},
            {"on_error": "ignore"},
            {"document_template": "{title}"},
            {"document_template": "{page_content"},
        ],
    )
    def test_bad_fields(self, fields: dict[str, Any]) -> None:
        """Unknown and invalid fields fail at construction with a ValueError."""
        with pytest.raises(ValueError, match=next(iter(fields))):
            AttentionRerank(**fields)

    def test_assignment_is_checked(self) -> None:
        """A field cannot be set to what the constructor refuses."""
        rerank = AttentionRerank()
        with pytest.raises(ValidationError):
            rerank.top_n = 0

    def test_from_ranker_names_its_model(self, ranker: AttentionRanker) -> None:
        """An adapter over a ranker names the ranker's model, unless told another name."""
        assert AttentionRerank.from_ranker(ranker).model == ranker.profile.model
        assert AttentionRerank.from_ranker(ranker, model="mine").model == "mine"

    def test_from_ranker_refuses_loading_fields(self, ranker: AttentionRanker) -> None:
        """What says how to load a model contradicts a ranker that is loaded."""
        with pytest.raises(ValueError, match="leave out device"):
            AttentionRerank.from_ranker(ranker, device="cpu")

    def test_from_model(self, ranker: AttentionRanker, documents: list[Document]) -> None:
        """A loaded model and its tokenizer score as a ranker over them does."""
        rerank = AttentionRerank.from_model(
            tiny_model(), tiny_tokenizer(), heads=HEADS, top_n=1, add_scores=True
        )
        [found] = rerank.compress_documents(documents, QUERY)
        expected = ranker.rank(QUERY, [document.page_content for document in documents], top_n=1)
        assert found.metadata["relevance_score"] == pytest.approx(expected.chunks[0].score)

    def test_from_model_refuses_two_profiles(self) -> None:
        """Heads and profile contradict each other."""
        profile = HeadProfile.from_heads(HEADS, model="tiny", layout="parallel")
        with pytest.raises(ValueError, match="not both"):
            AttentionRerank.from_model(tiny_model(), tiny_tokenizer(), heads=HEADS, profile=profile)


class TestTemplate:
    """What the model reads of a document."""

    def test_default_is_the_text(self, documents: list[Document]) -> None:
        """Without a template the model reads the text alone."""
        ranker = word_ranker()
        fake(ranker).compress_documents(documents[:1], QUERY)
        assert ranker.read == ["The river runs through the city."]

    def test_metadata_around_the_text(self, documents: list[Document]) -> None:
        """A template puts metadata around the text, and the text is returned without it."""
        ranker = word_ranker()
        rerank = fake(ranker, document_template="{title}: {page_content}!")
        [found] = rerank.compress_documents(documents[:1], QUERY)
        assert ranker.read == ["T0: The river runs through the city.!"]
        assert found.page_content == "The river runs through the city."

    def test_braces_are_text(self) -> None:
        """Braces in a document are not read as a template."""
        ranker = word_ranker()
        rerank = fake(ranker, document_template="{t}\n{page_content}")
        rerank.compress_documents([Document("{x} {t}", metadata={"t": "{page_content}"})], QUERY)
        assert ranker.read == ["{page_content}\n{x} {t}"]

    def test_metadata_does_not_replace_the_text(self) -> None:
        """A metadata key that is called page_content is not taken for the text."""
        ranker = word_ranker()
        rerank = fake(ranker, document_template="- {page_content}")
        rerank.compress_documents([Document("real", metadata={"page_content": "not"})], QUERY)
        assert ranker.read == ["- real"]

    def test_blank_text_stays_blank(self) -> None:
        """A title alone does not make a blank document worth reading."""
        rerank = fake(document_template="{t}\n{page_content}")
        [found] = rerank.compress_documents([Document(" ", metadata={"t": "T"})], QUERY)
        assert details(found)["skipped"] == "blank"

    def test_missing_metadata(self, documents: list[Document]) -> None:
        """A document that lacks what the template names is an error with its index and the key."""
        del documents[4].metadata["title"]
        rerank = fake(document_template="{title}\n{page_content}")
        with pytest.raises(ValueError, match="document 4 has no metadata 'title'"):
            rerank.compress_documents(documents, QUERY)


class TestFuse:
    """The retriever's score."""

    def test_order_is_blended(self, documents: list[Document]) -> None:
        """With all the share, the retriever's score decides, and both scores are kept."""
        for place, document in enumerate(documents):
            document.metadata["bm25"] = float(place)
        ranked = fake(fuse=1.0, score_key="bm25", top_n=2).compress_documents(documents, QUERY)
        assert [document.id for document in ranked] == ["id-7", "id-6"]
        told = details(ranked[0])
        assert told["retrieval_score"] == 7.0
        assert told["score"] > told["mass"]
        assert ranked[0].metadata["relevance_score"] == told["score"]
        assert ranked[0].metadata["bm25"] == 7.0

    def test_second_reranker_takes_the_score_of_the_first(self, documents: list[Document]) -> None:
        """The default key is where another reranker leaves its score."""
        first = fake(top_n=None).compress_documents(documents, QUERY)
        [best] = fake(fuse=0.5, top_n=1).compress_documents(first, QUERY)
        assert details(best)["retrieval_score"] == first[0].metadata["relevance_score"]

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (np.float32(0.5), 0.5),
            (np.int64(2), 2.0),
            (3, 3.0),
            (Decimal("0.5"), 0.5),
            (torch.tensor(0.5), 0.5),
            (10**400, None),
            ("0.5", None),
            (True, None),
            (float("nan"), None),
            (None, None),
        ],
    )
    def test_numbers_only(self, value: Any, expected: float | None) -> None:
        """Any finite number counts as a score, and becomes a Python float."""
        document = Document("text", metadata={"relevance_score": value})
        [found] = fake().compress_documents([document], QUERY)
        score = details(found)["retrieval_score"]
        assert score == expected
        assert expected is None or type(score) is float

    def test_missing_score(self, documents: list[Document]) -> None:
        """A document without a score is an error that names it and the key, before any loading."""
        documents[0].metadata["bm25"] = 1.0
        with pytest.raises(ValueError, match=r"document 1 .*'bm25'"):
            AttentionRerank(fuse=0.5, score_key="bm25").compress_documents(documents, QUERY)
