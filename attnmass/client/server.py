"""One server, as a ranker sees it: which ranker it has, and what that says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter
from tokenizers import Tokenizer

from attnmass.client.http import Http
from attnmass.client.sent import documents
from attnmass.client.told import KnownRanker, WireAttribution, WireRanker, read_attribution, refused
from attnmass.client.wire import WireAnswer, read_scored
from attnmass.engine.asking import Answered, Asked
from attnmass.engine.forking import ForkLock
from attnmass.options.declared import Scoring, names_of
from attnmass.results.attribution import Attribution
from attnmass.results.scored import ScoredRanking
from attnmass.text.chunk import Chunk
from attnmass.trimming import TokenCounter

if TYPE_CHECKING:
    import httpx

    from attnmass.options.remote import RemoteOptions

Plain = TypeVar("Plain")

_AT_ONCE = 64  # queries in one request, as the server takes them


class Server:
    """Asks one server; threads may share it. Errors of all methods are those of `Http.post`."""

    def __init__(self, url: str, options: RemoteOptions, http_client: httpx.Client | None) -> None:
        """Ask nothing yet; arguments and errors as `Http` has them."""
        self._http = Http(url, options, http_client)
        self._told: KnownRanker | None = None
        self._lock = ForkLock()
        self.url = self._http.url
        self.close = self._http.close

    def plain(self, kind: type[Plain], path: str, body: Mapping[str, Any] | None = None) -> Plain:
        """A dataclass of plain numbers; whatever else is in the answer is ignored."""
        data = self._http.get(path) if body is None else self._http.post(path, body)
        with refused(self.url):
            return TypeAdapter(kind).validate_json(data)

    def known(self, digest: str | None = None) -> KnownRanker:
        """What is known of the server's ranker; asked for anew where its digest is different."""
        with self._lock:
            told = self._told
        if told is None or (digest is not None and told.digest != digest):
            data = self._http.get("/v1/ranker")
            with refused(self.url):
                told = WireRanker.model_validate_json(data).read()
            with self._lock:
                self._told = told
        return told

    def scored(
        self,
        queries: Sequence[str],
        chunks: list[Chunk],
        not_text: set[int],
        asked: Asked,
        *,
        traces: bool,
    ) -> list[ScoredRanking]:
        """What the server says of chunks, and of their spans where some are to be kept."""
        trim, given = asked.trim, asked.retrieval_scores
        body = {
            **asked.model_dump(include=set(names_of(Scoring))),
            "documents": documents(chunks, not_text, given),
            "query_words": asked.query_words,
            "traces": traces or asked.query_words,
            "spans": trim is not None,
            "language": None if trim is None else trim.language,
            "leaning": trim is not None and trim.resolve_context,
        }
        found: list[ScoredRanking] = []
        for start in range(0, len(queries), _AT_ONCE):
            part = list(queries[start : start + _AT_ONCE])
            data = self._http.post("/v1/spans", {**body, "queries": part})
            with refused(self.url):
                answer = WireAnswer.model_validate_json(data)
                if len(answer.rankings) != len(part):
                    raise ValueError(f"{len(answer.rankings)} rankings of {len(part)} queries")
            profile = self.known(answer.ranker).profile
            with refused(self.url):
                found += [
                    read_scored(told, query, chunks, given, profile)
                    for told, query in zip(answer.rankings, part, strict=True)
                ]
        return found

    def attribution(self, asked: Answered, chunks: list[Chunk], not_text: set[int]) -> Attribution:
        """What an answer rests on in chunks, some of which are `not_text`."""
        body = {**dict(asked), "documents": documents(chunks, not_text)}
        data = self._http.post("/v1/attribute", body)
        profile = self.known().profile
        with refused(self.url):
            # Texts are in there, too, which pydantic's own reader of JSON does not take all of.
            told = WireAttribution.model_validate(json.loads(data))
            return read_attribution(told, asked.query, asked.answer, chunks, profile)

    def count(self) -> TokenCounter:
        """Counts the tokens of the server's model; its tokenizer is asked for once."""
        known = self.known()
        if known.count is None:
            data = self._http.get("/v1/tokenizer")
            with refused(self.url):
                try:
                    tokenizer = Tokenizer.from_str(data.decode("utf-8"))
                except Exception as error:  # whatever tokenizers raises of its own
                    raise ValueError(f"no tokenizer: {error}") from error
            known.count = TokenCounter(tokenizer)
        return known.count
