"""The retriever: more candidates from any LangChain retriever, the best of them by attention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, RetrieverLike
from langchain_core.vectorstores import VectorStoreRetriever
from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from attnmass.adapters.fields import Sound
from attnmass.options.checked import of_its_kind
from attnmass.options.checks import check_count, check_items
from attnmass.options.choices import RetrievalKind
from langchain_attn.convert import retrieval_score
from langchain_attn.rerank import AttentionRerank

if TYPE_CHECKING:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from typing_extensions import Self

    from attnmass import Ranking


class AttentionRetriever(Sound, BaseRetriever):
    """Fetches `fetch_k` documents from another retriever and returns the best `k` by attention.

    The wrapped retriever is not changed: a copy of it fetches `fetch_k` where it has a field `k` or
    `search_kwargs`; what others return is cut to that many. Unless `rerank.fuse` is `None`, a
    vector store is searched with scores: its own, else its relevance scores, whose scale is each
    store's own. Unless `rerank.retrieval_kind` says what they are, scores that rise from the best
    to the last are taken as distances, and negated; a kind that contradicts the scores is an error.

    `invoke` and its like take `k` and `fetch_k` for one call, which fetches no fewer than `k`;
    other keywords go to the wrapped retriever. Where reranking fails and `rerank` passes documents
    through, the first `k` of them are returned.

    Instead of `rerank`, the fields of an `AttentionRerank` can be passed, such as `max_tokens=800`;
    alongside it, `top_n`, which is `k`, LangChain's own word.

    Attributes:
        retriever: Any LangChain retriever, or another runnable from a query to documents.
        rerank: What orders the documents.
        fetch_k: How many documents are reranked.
        k: How many are returned, at most; default: the reranker's `top_n`.

    Raises:
        ValidationError: On unknown fields, bad values, and `fetch_k` below `k`; a `ValueError`.
    """

    # LangChain's own base classes ignore what they do not know.
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    retriever: RetrieverLike
    rerank: AttentionRerank = Field(default_factory=AttentionRerank)
    fetch_k: int = Field(default=20, ge=1)
    k: int = Field(default=5, ge=1)

    if TYPE_CHECKING:  # pydantic knows nothing of fields that are another's

        def __init__(
            self,
            *,
            retriever: RetrieverLike,
            rerank: AttentionRerank = ...,
            fetch_k: int = ...,
            k: int = ...,
            **rerank_fields: Any,
        ) -> None: ...

    @field_validator("k", "fetch_k", mode="before")
    @classmethod
    def _hold_to_kind(cls, value: Any, info: ValidationInfo) -> Any:
        return of_its_kind(cls.model_fields[str(info.field_name)], value)

    @model_validator(mode="before")
    @classmethod
    def _make_rerank(cls, data: Any) -> Any:
        """The reranker of its fields, where they are passed instead."""
        if not isinstance(data, Mapping):
            return data
        known = AttentionRerank.model_fields
        fields = {name: data[name] for name in data if name in known.keys() - cls.model_fields}
        if not fields:
            return data
        own = {name: data[name] for name in data if name not in fields}
        rerank = own.get("rerank")
        if rerank is None:
            return {**own, "rerank": AttentionRerank(**fields)}
        if fields.keys() != {"top_n"} or "k" in own:
            raise ValueError(
                f"pass {'k' if 'k' in own else 'rerank'} or {', '.join(fields)}, not both"
            )
        return {**own, "k": fields["top_n"]}

    @classmethod
    def _names(cls) -> Iterable[str]:
        return cls.model_fields.keys() | AttentionRerank.model_fields

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if "k" not in self.model_fields_set:
            # Not by assignment, which would check all again.
            self.__dict__["k"] = self.rerank._n_best or self.fetch_k
            self.model_fields_set.add("k")
        if self.fetch_k < self.k:
            raise ValueError(
                f"fetch_k ({self.fetch_k}) must not be less than k ({self.k}): "
                f"pass k={self.fetch_k}, or a larger fetch_k"
            )
        return self

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        fetch_k: int | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        rerank, n_fetch = self._plan(k, fetch_k)
        source = _prepared(self.retriever, n_fetch, rerank)
        found = source.invoke(query, {"callbacks": run_manager.get_child()}, **kwargs)
        with self._noting(rerank):
            ranked = rerank.compress_documents(
                _first(found, n_fetch), query, run_manager.get_child()
            )
        return self._returned(ranked, rerank)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        fetch_k: int | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        rerank, n_fetch = self._plan(k, fetch_k)
        source = _prepared(self.retriever, n_fetch, rerank)
        found = await source.ainvoke(query, {"callbacks": run_manager.get_child()}, **kwargs)
        callbacks = run_manager.get_child()
        with self._noting(rerank):
            ranked = await rerank.acompress_documents(_first(found, n_fetch), query, callbacks)
        return self._returned(ranked, rerank)

    @staticmethod
    def _returned(ranked: Sequence[Document], rerank: AttentionRerank) -> list[Document]:
        best = ranked[: rerank._n_best]
        return list(best) if rerank.add_scores else _without_scores(best, rerank.score_key)

    @property
    def last_ranking(self) -> Ranking | None:
        """That of the reranker, see `AttentionRerank.last_ranking`."""
        return self.rerank.last_ranking

    @contextmanager
    def _noting(self, copy: AttentionRerank) -> Iterator[None]:
        """Note the ranking of one call's copy of the reranker, if it makes one, on the reranker."""
        before = copy._last_ranking
        yield
        if copy._last_ranking is not before:
            self.rerank._last_ranking = copy._last_ranking

    def _plan(self, k: int | None, fetch_k: int | None) -> tuple[AttentionRerank, int]:
        """The reranker of one call, and how many documents to fetch for it."""
        k = self.k if k is None else k
        fetch_k = self.fetch_k if fetch_k is None else fetch_k
        check_count("k", k, 1)
        check_count("fetch_k", fetch_k, 1)
        n_fetch = max(k, fetch_k)
        return self.rerank.model_copy(update={"top_n": k}), n_fetch


class _ScoredRetriever(VectorStoreRetriever):
    """A vector store's retriever whose documents carry the score that they were found with."""

    score_key: str
    kind: RetrievalKind

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        store, options = self.vectorstore, self.search_kwargs | kwargs
        for search in (
            store.similarity_search_with_score,
            store.similarity_search_with_relevance_scores,
        ):
            with suppress(NotImplementedError):
                return _with_scores(search(query, **options), self.score_key, self.kind)
        return super()._get_relevant_documents(query, run_manager=run_manager, **kwargs)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        store, options = self.vectorstore, self.search_kwargs | kwargs
        for search in (
            store.asimilarity_search_with_score,
            store.asimilarity_search_with_relevance_scores,
        ):
            with suppress(NotImplementedError):
                return _with_scores(await search(query, **options), self.score_key, self.kind)
        return await super()._aget_relevant_documents(query, run_manager=run_manager, **kwargs)


def _first(found: Any, count: int) -> Sequence[Document]:
    """The first of what a retriever gave, which may be any runnable.

    Raises:
        TypeError: If those are not documents.
    """
    instead = "a retriever that gives a list of documents"
    check_items("what the retriever gave", found, Document, instead=instead)
    documents: Sequence[Document] = found[:count]
    return documents


def _prepared(retriever: RetrieverLike, count: int, rerank: AttentionRerank) -> RetrieverLike:
    """The retriever, or a copy of it that is asked for `count` documents and for scores to fuse."""
    if not isinstance(retriever, BaseRetriever):
        return retriever
    names = type(retriever).model_fields
    update: dict[str, Any] = {"k": count} if "k" in names else {}
    if "search_kwargs" in names:
        update["search_kwargs"] = {**vars(retriever)["search_kwargs"], "k": count}
    copy = retriever.model_copy(update=update) if update else retriever
    scored = type(copy) is VectorStoreRetriever and copy.search_type == "similarity"
    if rerank.fuse is None or not scored:
        return copy
    return _ScoredRetriever(
        **dict(copy) | {"name": copy.get_name()},
        score_key=rerank.score_key,
        kind=rerank.retrieval_kind,
    )


class _Score(float):
    """A retriever's score that was put into metadata for one call.

    Attributes:
        before: What was there, in a tuple; empty if nothing was.
    """

    before: tuple[Any, ...] = ()


def _with_scores(
    pairs: Sequence[tuple[Document, float]], key: str, kind: RetrievalKind
) -> list[Document]:
    """Copies with the scores in their metadata, unless all documents bring one.

    Raises:
        ValueError: If the scores are not what the user says that they are.
    """
    documents = [document for document, _ in pairs]
    if all(retrieval_score(document, key) is not None for document in documents):
        return documents
    # Searches list the best first: scores that rise down the list are distances.
    rises, falls = pairs[0][1] < pairs[-1][1], pairs[0][1] > pairs[-1][1]
    if (rises and kind == "similarity") or (falls and kind in ("distance", "rank")):
        lower, instead = ("lower", "distance") if rises else ("higher", "similarity")
        raise ValueError(
            f"retrieval_kind is {kind!r}, but this vector store's better scores are the {lower} "
            f"ones: pass retrieval_kind={instead!r}, or leave it out"
        )
    sign = -1 if rises and kind == "auto" else 1
    found = []
    for document, score in pairs:
        put = _Score(sign * float(score))
        put.before = (document.metadata[key],) if key in document.metadata else ()
        found.append(document.model_copy(update={"metadata": {**document.metadata, key: put}}))
    return found


def _without_scores(documents: Sequence[Document], key: str) -> list[Document]:
    """The documents as the vector store has them: a call's own number would tell duplicates apart.

    Args:
        documents: Copies that are nobody else's.
        key: Where `_with_scores` put it.
    """
    for document in documents:
        put = document.metadata.get(key)
        if isinstance(put, _Score):
            del document.metadata[key]
            document.metadata.update(dict.fromkeys([key] if put.before else [], *put.before))
    return list(documents)
