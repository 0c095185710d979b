"""The retriever that reranks what another one found."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle

from attnmass.options.checks import check_count, check_type
from attnmass.options.keywords import names_nearest
from attnmass.options.renamed import check_names
from llama_index_attn.rerank import AttentionRerank

if TYPE_CHECKING:
    from attnmass import Ranking


@names_nearest
class AttentionRetriever(BaseRetriever):
    """Fetches `fetch_k` nodes from any retriever and returns the best `top_n` of them.

    Example:
        >>> retriever = AttentionRetriever(index.as_retriever(), fetch_k=20, top_n=5)
        >>> nodes = retriever.retrieve("Who wrote Hamlet?")
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        *,
        rerank: AttentionRerank | None = None,
        fetch_k: int = 20,
        top_n: int | None = None,
        callback_manager: CallbackManager | None = None,
        **rerank_fields: Any,
    ) -> None:
        """Wrap a retriever; neither it nor `rerank` is changed.

        Args:
            retriever: Where nodes come from. One with a `similarity_top_k` is asked for `fetch_k`
                nodes; what others return is cut to that many.
            rerank: What orders them; default: one built from `rerank_fields`.
            fetch_k: How many nodes are fetched.
            top_n: How many are returned; default: the reranker's own `top_n`. If reranking fails
                under `on_error="passthrough"`, all that were fetched are returned.
            callback_manager: Default: the wrapped retriever's.
            **rerank_fields: Fields of `AttentionRerank`, instead of `rerank`.

        Raises:
            TypeError: If `retriever` or `rerank` is not one, or a count is not a number.
            ValueError: If a field is unknown or invalid, if both `rerank` and fields of it are
                given, or if `fetch_k` is smaller than `top_n`.
        """
        known = {"rerank", "fetch_k", "top_n", "callback_manager", *AttentionRerank.model_fields}
        check_names(type(self), rerank_fields, known)
        check_type("retriever", retriever, BaseRetriever)
        check_type("rerank", rerank, AttentionRerank, optional="one of its fields")
        check_count("fetch_k", fetch_k, 0)  # and no less than top_n, see below
        callback_manager = callback_manager or retriever.callback_manager
        if rerank is None:
            rerank = AttentionRerank(callback_manager=callback_manager, **rerank_fields)
        elif rerank_fields:
            raise ValueError(f"pass rerank or {', '.join(rerank_fields)}, not both")
        self._given = rerank
        if top_n is not None:
            rerank = rerank.model_copy()
            rerank.top_n = top_n
        if fetch_k < (least := rerank._n_best or 1):
            raise ValueError(f"fetch_k must be at least top_n, but {fetch_k} < {least}")
        self._retriever = retriever
        self._rerank = rerank
        self._fetch_k = fetch_k
        super().__init__(callback_manager=callback_manager)

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"retriever": self._retriever}

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        nodes = self._fetcher().retrieve(query_bundle)[: self._fetch_k]
        with self._noting():
            return self._rerank.postprocess_nodes(nodes, query_bundle)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        nodes = (await self._fetcher().aretrieve(query_bundle))[: self._fetch_k]
        with self._noting():
            return await self._rerank.apostprocess_nodes(nodes, query_bundle)

    @property
    def last_ranking(self) -> Ranking | None:
        """That of the reranker, see `AttentionRerank.last_ranking`."""
        return self._rerank.last_ranking

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note the ranking of a call, if it makes one, on the reranker that was passed, too."""
        before = self._rerank._last_ranking
        yield
        if self._rerank._last_ranking is not before:
            self._given._last_ranking = self._rerank._last_ranking

    def _fetcher(self) -> BaseRetriever:
        """The wrapped retriever, or a shallow copy that fetches `fetch_k` where it can be told."""
        for name in ("similarity_top_k", "_similarity_top_k"):
            if hasattr(self._retriever, name):
                fetcher = copy.copy(self._retriever)
                with suppress(AttributeError):  # a property that cannot be set
                    setattr(fetcher, name, self._fetch_k)
                    return fetcher
        return self._retriever
