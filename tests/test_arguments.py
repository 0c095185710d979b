"""What is passed wrong is told so: an error of ours that names the argument and what to pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode

import attnmass
import langchain_attn
import llama_index_attn
from attnmass import AttentionRanker, Chunk, HeadProfile, Trim
from attnmass.explain import explain, explain_answer
from attnmass.fitting import verify_profile
from attnmass.results.citations import Passage, cite, ranked_passages
from attnmass.text.segmentation import segment
from tests.contract.stub import StubRanker
from tests.llama_index.test_retriever import ListRetriever
from tests.tiny import tiny_model, tiny_tokenizer

RANKER = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[(1, 0)])
rank = RANKER.rank
TWO = RANKER.rank("q", ["a", "b"])

CORE: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str]] = [
    (Chunk, ("a",), {"before": None}, "before must be a str, not None"),
    (Chunk, ("a",), {"title": 3}, "title must be a str, or None for no title, not 3"),
    (Chunk, ("a",), {"after": b"x"}, "after must be a str"),
    (rank, ("q", None), {}, "chunks must be a sequence, not NoneType: pass a list of texts"),
    (rank, ("q", (text for text in "ab")), {}, "chunks must be a sequence, not generator"),
    (rank, ("q", {"a": 1}), {}, "chunks must be a sequence, not dict"),
    (rank, ("q", Chunk("a")), {}, "chunks must be a sequence of texts: pass .text."),
    (rank, ("q", b"ab"), {}, "chunks must be a sequence of texts"),
    (rank, ("q", ["a", ["b"]]), {}, r"chunks\[1\] is a list, .*: pass one flat list of texts"),
    (rank, ("q", [{"text": "a"}]), {}, r"chunks\[0\] is a dict, and must be a text or a Chunk"),
    (rank, ("q", [np.array(["a"])]), {}, r"chunks\[0\] is a ndarray, and must be a text"),
    (rank, ("q", [Document("a")]), {}, "is a Document, .*: pass its text. AttentionRerank of lang"),
    (rank, ("q", [NodeWithScore(node=TextNode(text="a"))]), {}, "is a NodeWithScore, and must be"),
    (rank, ("q", [Chunk(["a"])]), {}, r"chunks\[0\].text is a list, and must be a text"),
    (RANKER.rank_batch, (["q", "r"], [["a"], ["b"]]), {}, "once for each query that has its own"),
    (RANKER.trim_batch, (["q"], [("a", "b")]), {"max_tokens": 9}, r"chunks\[0\] is a tuple"),
    (RANKER.order, ("q", [["a"], ["b"]]), {}, r"texts\[0\] is a list"),
    (RANKER.order, ("q", "a"), {}, r"texts must be a sequence of texts: pass \[text\]"),
    (RANKER.rank_batch, (["q", 3], ["a"]), {}, r"queries\[1\] must be a string, not int"),
    (RANKER.rank_batch, (["q", " "], ["a"]), {}, r"queries\[1\] is empty or blank"),
    (RANKER.attribute, ("q", ["a"], ["b"]), {}, "answer must be a string, not list"),
    (RANKER.warm, ([["a"]],), {}, r"chunks\[0\] is a list"),
    (RANKER.attribute, ("q", [["a"]], "b"), {}, r"chunks\[0\] is a list"),
    (RANKER.inside, ([["a"]],), {}, r"chunks\[0\] is a list"),
    (rank, (None, ["a"]), {}, "query must be a string, not NoneType$"),
    (rank, (["a"], "q"), {}, "query must be a string, not list: pass the query first, or several"),
    (rank, ("q", ["a"]), {"retrieval_scores": 3}, "retrieval_scores must be a sequence"),
    (rank, ("q", ["a"]), {"retrieval_scores": ["x"]}, r"retrieval_scores\[0\] must be a number"),
    (rank, ("q", ["a"]), {"retrieval_scores": [True]}, "scores.* must be a number, not True"),
    (rank, ("q", ["a"]), {"retrieval_scores": np.ones((1, 2))}, "must be a number, not array"),
    (rank, ("q", ["a"]), {"retrieval_scores": torch.ones(1, 2)}, "must be a number, not tensor"),
    (rank, ("q", ["a"]), {"retrieval_scores": [np.datetime64("2020-01-01")]}, "must be a number"),
    (rank, ("q", ["a"]), {"render": 3}, "render must be a callable"),
    (rank, ("q", ["a"]), {"batch_size": "x"}, "batch_size must be at least 1"),
    (rank, ("q", ["a"]), {"trim": 3}, "trim must be a Trim"),
    (RANKER.rank_batch, (None, ["a"]), {}, "queries must be a sequence"),
    (RANKER.inside, (None,), {}, "chunks must be a sequence"),
    (RANKER.attention, ("q", None), {}, "chunks must be a sequence"),
    (RANKER.attribute, ("q", ["a"], None), {}, "answer must be a string"),
    (RANKER.warm, (None,), {}, "chunks must be a sequence"),
    (RANKER.warm, ("abc",), {}, "chunks must be a sequence"),
    (segment, (None,), {}, "text must be a str, not NoneType"),
    (segment, ("a. b",), {"language": 3}, "language must be a code"),
    (attnmass.release, (3,), {}, "name must be a str"),
    (attnmass.shared_ranker, (None,), {}, "name must be a name or a path"),
    (attnmass.shared_ranker, ("",), {}, "name is empty"),
    (AttentionRanker.from_pretrained, (None,), {}, "name_or_path must be a name or a path"),
    (AttentionRanker.from_pretrained, ("",), {}, "name_or_path is empty"),
    (attnmass.load_profile, (None,), {}, "path must be a name or a path"),
    (verify_profile, (None, None), {}, "path must be a name or a path"),
    (HeadProfile.from_heads, (None,), {"model": "m", "layout": "l"}, "heads must be a sequence"),
    (HeadProfile.from_heads, ([3],), {"model": "m", "layout": "l"}, "a head must be a sequence"),
    (HeadProfile.from_heads, ("all",), {"model": "m", "layout": "l"}, "heads must be a sequence"),
    (cite, (None,), {}, "passages must be a sequence of Passage"),
    (cite, ("abc",), {}, "passages must be a sequence of Passage"),
    (cite, (["abc"],), {}, r"passages\[0\] must be a Passage, not str"),
    (cite, ([Passage("a")],), {"marker": 3}, "marker must be a str"),
    (Passage, (None,), {}, "text must be a str"),
    (Passage, ("abc", [("a", 0, 9)]), {}, "spans must be .* inside the 3 characters"),
    (Passage, ("abc", [("a", 2, 1)]), {}, "spans must be"),
    (Passage, ("abc", [("a", 1, 2), ("b", 0, 1)]), {}, "spans must be .* in order"),
    (Passage, ("abc", [(0, 1)]), {}, "spans must be"),
    (cite([Passage("a")]).resolve, (None,), {}, "answer must be a str"),
    (cite([Passage("a")]).resolve, (AIMessage("a"),), {}, "not AIMessage: pass its text"),
    (RANKER.trim, ("q", ["a"]), {"max_token": 9}, "'max_token'. Did you mean 'max_tokens'?"),
    (RANKER.trim, ("q", ["a"]), {"top_k": 9}, "'top_k'. Did you mean 'top_n'?"),
    (rank, ("q", ["a"]), {"scores": [1]}, "'scores'. Did you mean 'retrieval_scores'?"),
    (RANKER.trim, ("q", ["a"]), {"batchsize": 9}, "'batchsize'. Did you mean 'batch_size'?"),
    (cite([Passage("a")]).unknown, (3,), {}, "answer must be a str"),
    (ranked_passages, (None, ["a"]), {}, "ranking must be a Ranking"),
    (ranked_passages, (TWO, ["a"]), {}, "2 chunks were ranked, not 1"),
    (explain, (None,), {}, "ranking must be a Ranking"),
    (explain_answer, (None,), {}, "attribution must be an Attribution"),
    (Trim, (), {"max_tokens": 5, "tokenizer": 3}, "int is not a tokenizer"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "args", "options", "message"), CORE)
def test_the_core_names_what_is_wrong(
    call: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    """Every public entry says which argument is of the wrong kind."""
    with pytest.raises((TypeError, ValueError), match=message):
        call(*args, **options)


@pytest.mark.parametrize("layout", ["late", "parallel", "joint"])
def test_what_is_too_long_is_named(layout: Any) -> None:
    """The longer one of query and answer is what is to be shortened."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[(1, 0)], layout=layout)
    short, long = "who wrote it?", "the theory of relativity " * 300
    for query, answer, longer in ((short, long, "answer"), (long, short, "query")):
        match = rf"query and answer have \d+ tokens.* room for \d+ .*: shorten the {longer}$"
        with pytest.raises(ValueError, match=match):
            ranker.attribute(query, ["a", "b"], answer)
    with pytest.raises(ValueError, match=r"the query has \d+ tokens.*: shorten the query$"):
        ranker.rank(long, ["a", "b"])


def test_what_has_length_and_order_will_do() -> None:
    """Tuples and arrays of texts and scores are taken as lists are."""
    import numpy as np

    for chunks in (("a", "b"), np.array(["a", "b"])):
        assert len(rank("q", chunks, retrieval_scores=np.array([0.5, 1])).chunks) == 2


def test_langchain_names_what_is_wrong() -> None:
    """So does every entry of the adapter of LangChain."""
    adapter = pytest.importorskip("langchain_attn")

    rerank = adapter.AttentionRerank.from_ranker(StubRanker(), on_error="passthrough")
    answered = {"input": "q", "context": [], "answer": "a"}
    one = Document("a")
    hint = r"pass \[Document\(page_content=text\)\]"
    for call, args, message in (
        (rerank.compress_documents, (["text"], "q"), rf"documents\[0\] must be a Document.*{hint}"),
        (rerank.compress_documents, ("text", "q"), "documents must be a sequence of Document"),
        (rerank.compress_documents, (None, "q"), "documents must be a sequence of Document"),
        (rerank.compress_documents, (one, "q"), "documents must be a sequence of Document"),
        (rerank.as_runnable().invoke, ({"document": []},), "AttentionRerank takes {'documents'"),
        (rerank.as_runnable().invoke, ("q",), "AttentionRerank takes {'documents'"),
        (rerank.warm, (["a"],), r"documents\[0\] must be a Document"),
        (rerank.warm, (one,), "documents must be a sequence"),
        (adapter.AttentionWarmer, ("a",), "rerank must be an AttentionRerank"),
        (adapter.AttentionWarmer(rerank).transform_documents, (["a"],), r"documents\[0\] must"),
        (adapter.restore, ([one],), "list is not a Document: pass one"),
        (adapter.restore, (None,), "NoneType is not a Document"),
        (adapter.cite, (one,), "documents must be a sequence"),
        (adapter.cite, (["a"],), r"documents\[0\] must be a Document"),
        (adapter.cite, (None,), "documents must be a sequence"),
        (adapter.attribute, (None,), "the result must be what a chain returned"),
        (adapter.attribute, ({**answered, "context": None},), "documents must be a sequence"),
        (adapter.attribute, ({**answered, "context": [3]},), r"documents\[0\] must be"),
        (partial(adapter.attribute, rerank=3), (answered,), "rerank must be an AttentionRerank"),
        (adapter.AttentionRerank.from_ranker, (None,), "ranker must be an AttentionRanker"),
        (adapter.AttentionRetriever, (), "retriever"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            call(*args)


def test_llama_index_names_what_is_wrong() -> None:
    """And every entry of that of LlamaIndex, before any event is told."""
    adapter = pytest.importorskip("llama_index_attn")
    from llama_index.core.schema import NodeWithScore, TextNode

    from tests.llama_index.test_retriever import ListRetriever

    rerank = adapter.AttentionRerank.from_ranker(StubRanker(), on_error="passthrough")
    process = partial(rerank.postprocess_nodes, query_str="q")
    node = TextNode(text="a")
    found = NodeWithScore(node=node)
    source = ListRetriever([])
    hint = r"pass \[NodeWithScore\(node=node\)\]"
    for call, args, message in (
        (process, (["a"],), rf"nodes\[0\] must be a NodeWithScore, not str: {hint}"),
        (process, ([node],), rf"nodes\[0\] must be a NodeWithScore, not TextNode: {hint}"),
        (process, (found,), "nodes must be a sequence of NodeWithScore"),
        (process, (None,), "nodes must be a sequence of NodeWithScore"),
        (rerank.postprocess_nodes, ([found], "q"), "QueryBundle: pass a text as query_str"),
        (rerank.warm, (["a"],), r"nodes\[0\] must be a BaseNode"),
        (rerank.warm, ([found],), r"nodes\[0\] must be a BaseNode, not NodeWithScore"),
        (rerank.warm, (node,), "nodes must be a sequence of BaseNode"),
        (adapter.AttentionWarmer(rerank=rerank), (["a"],), r"nodes\[0\] must be a BaseNode"),
        (adapter.restore, ([node],), "list is not a node: pass one"),
        (adapter.restore, (None,), "NoneType is not a node"),
        (adapter.cite, (node,), "nodes must be a sequence of NodeWithScore or BaseNode"),
        (adapter.cite, (["a"],), r"nodes\[0\] must be a NodeWithScore or BaseNode"),
        (adapter.cite, (None,), "nodes must be a sequence"),
        (adapter.attribute, (None, "q"), "NoneType has no text in .response"),
        (
            adapter.attribute,
            (SimpleNamespace(response="a", source_nodes=["x"]), "q"),
            r"nodes\[0\] must be a NodeWithScore",
        ),
        (adapter.AttentionRetriever, (None,), "retriever must be a BaseRetriever"),
        (partial(adapter.AttentionRetriever, rerank=3), (source,), "rerank must be an Attention"),
        (partial(adapter.AttentionRetriever, fetch_k="x"), (source,), "fetch_k must be at least 0"),
        (adapter.AttentionRerank.from_ranker, (None,), "ranker must be an AttentionRanker"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            call(*args)


# What nobody makes but us.
_NOT_CALLED = {
    *("AttentionTrimEvent", "RankedChunk", "Ranking", "RankerStats", "Span"),
    *("Timings", "WarmResult"),
}


def calls(package: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions of a package, and the constructors and methods of its classes."""
    for name in sorted(set(package.__all__) - _NOT_CALLED):
        found = getattr(package, name)
        if isinstance(found, type) and issubclass(found, Exception):
            continue
        yield name, found
        # Methods of adapters are as their frameworks call them.
        is_ours = package is attnmass and isinstance(found, type)
        kinds = [kind for kind in found.__mro__ if "attnmass" in kind.__module__] if is_ours else ()
        for verb, member in {k: v for kind in kinds for k, v in vars(kind).items()}.items():
            if isinstance(member, FunctionType | classmethod) and not verb.startswith("_"):
                yield f"{name}.{verb}", getattr(found, verb)


def keywords(call: Callable[..., Any]) -> list[str]:
    """Those of a call, of one that takes options beside them those that it needs."""
    parameters = inspect.signature(call).parameters
    is_open = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return [
        name
        for name, each in parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        and not (is_open and each.default is not each.empty)
        and name != "self"
        and len(name) > 1  # to which nothing is near
    ]


@pytest.mark.parametrize("package", [attnmass, langchain_attn, llama_index_attn])
def test_every_keyword_is_named_to_who_misspells_it(package: Any) -> None:
    """Whatever is called, before anything else of the call is looked at."""
    silent = []
    for name, call in calls(package):
        for keyword in keywords(call):
            args = (None,) if "self" in inspect.signature(call).parameters else ()
            try:
                found = call(*args, **{f"{keyword}s": 1})
                if inspect.iscoroutine(found):
                    found.send(None)
            except (TypeError, ValueError) as error:
                missing = f"missing 1 required positional argument: {keyword!r}"
                if f"Did you mean {keyword!r}?" in str(error) or missing in str(error):
                    continue
            silent.append(f"{name}({keyword}s=1)")
    assert silent == []


def test_options_have_a_nearest_one_too() -> None:
    """So have arguments that stand beside options, and those of retrievers."""
    # As type checkers do not see them: they would name these, too.
    kind: Any = AttentionRanker
    ranker: Any = RANKER
    core: Any = attnmass
    of_lang: Any = langchain_attn
    of_llama: Any = llama_index_attn
    model, tokenizer = tiny_model(), tiny_tokenizer()
    source = LangChainSource()
    nodes = ListRetriever([])
    lang, llama = of_lang.AttentionRetriever, of_llama.AttentionRetriever
    remote = "http://127.0.0.1:1"
    for call, right in (
        (lambda: kind(model, tokeniser=tokenizer), "tokenizer"),
        (lambda: kind.from_generator(model, tokeniser=tokenizer), "tokenizer"),
        (lambda: kind.from_pretrained(name_or_pat="x"), "name_or_path"),
        (lambda: ranker.rank_spans(["q"], ["a"], langauge="en"), "language"),
        (lambda: ranker.rank(quary="q", chunks=["a"]), "query"),
        (lambda: core.shared_ranker(remote, timout=3), "timeout"),
        (lambda: of_lang.AttentionRerank.from_model(model, tokeniser=3), "tokenizer"),
        (lambda: of_llama.AttentionRerank.from_generator(model, hed="all"), "heads"),
        (lambda: lang(retriever=source, reranker=3), "rerank"),
        (lambda: lang(retriever=source, base_compressor=3), "rerank"),
        (lambda: lang(base_retriever=source), "retriever"),
        (lambda: lang(retriever=source, similarity_top_k=9), "fetch_k"),
        (lambda: llama(nodes, reranker=3), "rerank"),
        (lambda: llama(nodes, rerank=None, fetchk=3), "fetch_k"),
        (lambda: llama(nodes, max_token=3), "max_tokens"),
        (lambda: llama(base_retriever=nodes), "retriever"),
        (lambda: of_llama.AttentionWarmer(reranker=3), "rerank"),
        (lambda: of_lang.AttentionWarmer(reranker=3), "rerank"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"Did you mean {right!r}?"):
            call()


def test_errors_of_retrievers_tell_no_key() -> None:
    """What was passed beside a misspelled field is not in the error."""
    with pytest.raises(ValueError, match="max_tokens") as raised:
        langchain_attn.AttentionRetriever(
            retriever=LangChainSource(), model="http://a", api_key="SECRET", max_token=3
        )
    assert "SECRET" not in str(raised.value)


class LangChainSource(BaseRetriever):
    """Finds nothing."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return []
