"""The ranker of a server: the same verbs, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from typing_extensions import Self, Unpack

from attnmass.client.choosing import chosen
from attnmass.client.sent import check_here, documents, not_served
from attnmass.client.server import Server
from attnmass.engine.asking import Answered, Asked, RankOptions
from attnmass.engine.choosing import Call
from attnmass.engine.telemetry import spanned
from attnmass.engine.thresholds import check_evidence, least_relevance
from attnmass.engine.verbs import Verbs
from attnmass.engine.worker import Worker
from attnmass.options.checks import check_type
from attnmass.options.keywords import names_nearest
from attnmass.options.remote import RemoteOptions
from attnmass.results.ranking import Ranking
from attnmass.results.scored import ScoredRanking
from attnmass.results.stats import RankerStats, WarmResult
from attnmass.text.chunk import Chunk
from attnmass.text.inputs import as_chunks, as_queries

if TYPE_CHECKING:
    import httpx

    from attnmass.profiles import HeadProfile
    from attnmass.results.attribution import Attribution

_THREADS = 16  # calls that an event loop may have under way


@names_nearest
class RemoteRanker(Verbs):
    """Ranks chunks by a model behind `attnmass serve`, as `AttentionRanker` does by its own.

    Queries and chunks go to the server, which sends back scores of chunks and of all their spans;
    what is kept of them is chosen here, with the reader's tokenizer and templates, so that results
    are the same. One instance may be called from many threads.

    Example:
        >>> ranker = RemoteRanker("http://127.0.0.1:8080")
        >>> ranking = ranker.trim("Who wrote Hamlet?", chunks, max_tokens=800)
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 120.0,
        retries: int = 3,
        traces: bool = False,
        http_client: httpx.Client | None = None,
    ) -> None:
        """Name a server; nothing is asked before the first call.

        Args:
            url: Its address, with the path that its routes are under, if any.
            api_key: Sent as `Authorization: Bearer`; default: `ATTNMASS_API_KEY` of the
                environment. It is never pickled.
            timeout: Seconds that a call may take in all.
            retries: How many times a request is sent again within that time, where there is no
                connection or the server says that it is busy (429, 503), after the seconds that it
                names.
            traces: Whether rankings bring along the attention that `Ranking.explain` draws.
            http_client: Sends the requests, with its own certificates, proxies and headers, and
                stays the caller's to close; default: one that takes these from the environment, as
                httpx does. It is never pickled.

        Raises:
            ValueError: If `url` is not a URL, or an option is out of range.
            TypeError: If an option is of the wrong type.
            ImportError: If httpx is missing.
        """
        self._settings = RemoteOptions(api_key=api_key, timeout=timeout, retries=retries)
        check_type("traces", traces, bool)
        self._traces = traces
        self._server = Server(url, self._settings, http_client)
        self._worker = Worker(_THREADS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """The key, connections and what was told stay behind."""
        settings = {"timeout": self._settings.timeout, "retries": self._settings.retries}
        return _again, (type(self), self.url, {**settings, "traces": self._traces})

    @property
    def url(self) -> str:
        """The server's address."""
        return self._server.url

    @property
    def settings(self) -> dict[str, Any]:
        """How it is asked, without the key: `timeout` and `retries`."""
        return {"timeout": self._settings.timeout, "retries": self._settings.retries}

    @property
    def profile(self) -> HeadProfile:
        """The heads that the server reads; asked for once."""
        return self._server.known().profile

    @property
    def options(self) -> dict[str, Any]:
        """How else it reads, as `AttentionRanker.options`."""
        return dict(self._server.known().options)

    @property
    def stats(self) -> RankerStats:
        """What the server's ranker has done since it was loaded, for whoever asked."""
        return self._server.plain(RankerStats, "/v1/stats")

    @spanned
    def rank_batch(
        self,
        queries: Sequence[str],
        chunks: Sequence[str | Chunk],
        **options: Unpack[RankOptions],
    ) -> list[Ranking]:
        """As `AttentionRanker.rank_batch`; `batch_size` and `progress` are the server's own.

        Raises:
            ServerError: If the server cannot be asked.
        """
        started = time.perf_counter()
        asked = Asked(**options)
        trim = asked.trim
        check_here(asked.batch_size, asked.progress, None if trim is None else trim.embed_model)
        queries = as_queries(queries)
        known, not_text = as_chunks(chunks)
        if not queries:
            return []
        asked.check(len(known))
        least = least_relevance(asked, self.profile)
        scored = self._server.scored(queries, known, not_text, asked, traces=self._traces)
        answered = time.perf_counter()
        call = self._call(known, scored[0], asked, least)
        rankings = [chosen(each, asked, least, call) for each in scored]
        ended = time.perf_counter()
        rankings = [
            replace(
                each,
                timings=replace(
                    each.timings,
                    total=ended - started,
                    trim=each.timings.trim + ended - answered if call else 0.0,
                ),
            )
            for each in rankings
        ]
        check_evidence(rankings, asked, self.profile)
        return rankings

    def warm(
        self,
        chunks: Sequence[str | Chunk],
        *,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> WarmResult:
        """Have the server read chunks ahead: `AttentionRanker.warm`; errors as in `rank_batch`."""
        check_here(batch_size, progress)
        known, not_text = as_chunks(chunks)
        body = {"documents": documents(known, not_text)}
        return self._server.plain(WarmResult, "/v1/warm", body)

    def _attribute(
        self, asked: Answered, chunks: Sequence[str | Chunk], progress: bool | None
    ) -> Attribution:
        """See `Verbs.attribute`; nothing that `explain` draws comes with it."""
        check_here(None, progress)
        known, not_text = as_chunks(chunks)
        return self._server.attribution(asked, known, not_text)

    def attention(self, query: str, chunks: Sequence[str | Chunk]) -> NoReturn:
        """Not available from a server.

        Raises:
            UnsupportedModelError: Always.
        """
        not_served("attention")

    def inside(self, chunks: Sequence[str | Chunk], *, language: str | None = None) -> NoReturn:
        """Not available from a server.

        Raises:
            UnsupportedModelError: Always.
        """
        not_served("inside")

    def close(self) -> None:
        """Close connections; a later call opens them again."""
        self._server.close()

    def _call(
        self, chunks: list[Chunk], scored: ScoredRanking, asked: Asked, least: float | None
    ) -> Call | None:
        if asked.trim is None:
            return None
        return Call(
            chunks=chunks,
            read=tuple(scored.texts),
            segments=lambda index: scored.texts[index].segments,
            asked=asked,
            trim=asked.trim,
            count=asked.trim.counter or self._server.count(),
            least=least,
        )


def _again(kind: type[RemoteRanker], url: str, settings: dict[str, Any]) -> RemoteRanker:
    return kind(url, **settings)
