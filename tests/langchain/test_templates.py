"""What is counted and read around a text that is trimmed: templates of readers and of documents."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_classic.chains.combine_documents import create_stuff_documents_chain
from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate, format_document
from langchain_core.runnables import RunnableLambda

from attnmass.text.prompt import chunk_text, text_start
from langchain_attn import AttentionRerank, details
from langchain_attn.template import Template
from tests.contract.one_text import KEPT, TEXT
from tests.contract.stub import StubRanker
from tests.langchain.support import QUERY
from tests.langchain.trimmed import make, trim
from tests.trimming.build import words


class TestDocumentTemplate:
    """What the model reads around a text that is trimmed."""

    @pytest.mark.parametrize(
        "template",
        [
            "{title}: {page_content}!",
            "{page_content}",
            "{{{page_content}}} {{title}}",
            "{page_content}\n{page_content}",
            "{title!r:>9}|{page_content}|{page_content!s}",
            "{n:03d} {page_content}",
        ],
    )
    def test_the_place_of_the_text_is_known(self, template: str) -> None:
        """The model reads what `format_document` gives, and the text is where it is said to be."""
        text = "The theory {title} holds. It rains."
        document = Document(text, metadata={"title": "{page_content}", "n": 7})
        ranker = StubRanker(hot="theory")
        rerank = AttentionRerank.from_ranker(ranker, document_template=template, top_p=0.3)
        [result] = rerank.compress_documents([document], QUERY)
        [chunk] = ranker.calls[0].chunks
        expected = format_document(document, PromptTemplate.from_template(template))
        assert chunk_text(chunk) == expected
        start = text_start(chunk)
        assert chunk_text(chunk)[start : start + len(text)] == text
        assert result.page_content == "The theory {title} holds."
        [span] = details(result)["spans"]
        assert text[span["start"] : span["end"]] == result.page_content

    @pytest.mark.parametrize("template", ["{page_content!r}", "{page_content:>99}", "{title}"])
    def test_the_text_has_to_be_there_as_it_is(self, template: str) -> None:
        """A template that changes the text leaves no place for spans."""
        with pytest.raises(ValueError, match=r"document_template must contain \{page_content\}"):
            AttentionRerank(document_template=template)


class TestReaderTemplate:
    """What the reader gets."""

    @pytest.mark.parametrize("max_tokens", [12, 22, 36])
    def test_it_counts_in_the_budget(self, max_tokens: int) -> None:
        """The ceiling holds for documents as a stuff chain formats them."""
        template = "Source: {source}\n{page_content}"
        documents = [Document(TEXT, metadata={"source": f"page {n}"}) for n in range(3)]
        rerank = make(max_tokens=max_tokens, tokenizer=words, reader_template=template)
        result = rerank.compress_documents(documents, QUERY)
        prompt = PromptTemplate.from_template(template)
        seen: list[str] = []

        def model(value: Any) -> str:
            seen.append(value.to_messages()[0].content)
            return ""

        chain = create_stuff_documents_chain(
            RunnableLambda(model),  # type: ignore[arg-type]
            ChatPromptTemplate.from_template("{context}"),
            document_prompt=prompt,
        )
        chain.invoke({"context": result})
        assert seen[0] == "\n\n".join(format_document(document, prompt) for document in result)
        assert 0 < words(seen[0]) <= max_tokens
        with pytest.raises(ValueError, match="for any span"):
            make(max_tokens=6, tokenizer=words, reader_template=template).compress_documents(
                documents, QUERY
            )

    def test_metadata_named_like_the_text(self) -> None:
        """What LangChain renders is counted, even where it prefers metadata to the text."""
        document = Document(TEXT, metadata={"page_content": "a b", "k": 1})
        found = Template("reader_template", "{k} {page_content}").format(document, KEPT)
        prompt = PromptTemplate.from_template("{k} {page_content}")
        assert found == format_document(document, prompt) == "1 a b"

    def test_missing_metadata(self) -> None:
        """A document that lacks what the template names is an error with its index and the key."""
        documents = [Document(TEXT, metadata={"source": "a"}), Document(TEXT)]
        with pytest.raises(ValueError, match="document 1 has no metadata 'source', which reader_t"):
            make(reader_template="{source} {page_content}").compress_documents(documents, QUERY)

    @pytest.mark.parametrize(
        "template",
        [
            "{source}",
            "{page_content",
            "{relevance_score} {page_content}",
            "{start_index} {page_content}",
            "{attnmass} {page_content}",
        ],
    )
    def test_bad_templates_fail_at_construction(self, template: str) -> None:
        """Without the text, or with what trimming changes, nothing can be counted before."""
        with pytest.raises(ValueError, match="reader_template"):
            AttentionRerank(max_tokens=5, reader_template=template)

    def test_it_needs_trimming(self) -> None:
        """Without trimming nothing is counted."""
        with pytest.raises(ValueError, match="no use for reader_template: set max_tokens"):
            AttentionRerank(reader_template="- {page_content}")


def test_a_language_model_can_count() -> None:
    """`get_num_tokens` of a LangChain model is a tokenizer."""
    from langchain_core.language_models import FakeListLLM

    llm = FakeListLLM(responses=["x"], custom_get_token_ids=lambda text: list(range(words(text))))
    assert trim(Document(TEXT), max_tokens=6, tokenizer=llm.get_num_tokens).page_content == KEPT
