"""The one handler behind all routes: read, check, wait for the model, answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from attnmass.results.ranking import Ranking
from attnmass.serving.answers import Json, page_answer
from attnmass.serving.asked import About, Question, parsed
from attnmass.serving.body import Gone, Room, read_body, read_json
from attnmass.serving.errors import TooLarge, TryLater
from attnmass.serving.forms import Form
from attnmass.serving.options import ServingOptions
from attnmass.serving.own import ExplainForm, OwnForm
from attnmass.serving.scores import scored
from attnmass.serving.spans import Identity, SpansForm
from attnmass.serving.work import Rank, Several, Work
from attnmass.serving.worker import ModelWorker
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker


class Service:
    """Answers requests with one worker.

    Attributes:
        worker: The model's thread.
        options: How the server is set up.
    """

    def __init__(
        self,
        load: Callable[[], AttentionRanker],
        options: ServingOptions,
        *,
        asked: str = "attnmass",
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        """Load nothing yet; `worker.start()` does.

        Args:
            load: Gives the ranker; called in the worker's thread.
            options: How the server is set up.
            asked: What the model is called until it is loaded and gives its own name.
            on_death: Called if the worker ends by itself.
        """
        self.options = options
        self._asked = asked
        self.worker = ModelWorker(
            load,
            queue_size=options.queue_size,
            batch_requests=options.batch_requests,
            on_death=on_death,
        )
        self._room = Room(options.max_pending_bytes)

    def drain(self) -> None:
        """Accept nothing new, and after a while give up what is not answered by then."""
        self.worker.drain()
        # In a thread: the caller may be a signal handler, between any two steps of the loop.
        timer = threading.Timer(self.options.drain_timeout, self.worker.give_up)
        timer.daemon = True
        timer.start()

    @property
    def model(self) -> str:
        """The model's name, as in answers."""
        ranker = self.worker.ranker
        known = self._asked if ranker is None else ranker.profile.model
        return self.options.served_name or known

    @cached_property
    def identity(self) -> Identity:
        """Which ranker is served.

        Raises:
            TryLater: If it is not loaded yet.
        """
        return Identity.of(self.ranker)

    @property
    def ranker(self) -> AttentionRanker:
        """The ranker.

        Raises:
            TryLater: If it is not loaded yet.
        """
        if self.worker.ranker is None:
            raise TryLater("not_ready", "the model is being loaded", seconds=5)
        return self.worker.ranker

    async def rerank(
        self, request: Request, form_of: Callable[[Mapping[str, Any]], Form]
    ) -> Response:
        """Rank texts for clients of other servers.

        Raises:
            HttpError: If something is wrong.
            Gone: If nobody waits for the answer.
        """
        with self._room.place() as place:
            self.worker.check_ready()
            form = form_of(await self._read(request, place))
            questions = form.questions()
            self._count(request, sum(len(question.texts) for question in questions))
            rankings = await self._rank(request, questions)
        about = About(
            id=f"rerank-{request.scope['attnmass']['id']}",
            created=int(time.time()),
            model=self.model,
            n_tokens=sum(map(tokens_of, rankings)),
        )
        return Json(form.answer([scored(each, self.options.scores) for each in rankings], about))

    async def own(self, request: Request, form: type[OwnForm]) -> Response:
        """Answer one of our own requests.

        Raises:
            HttpError, Gone: As `rerank`.
        """
        with self._room.place() as place:
            self.worker.check_ready()
            asked = parsed(form, await self._read(request, place))
            self._count(request, len(asked.documents))
            found = await self._ask(request, asked.work())
        if isinstance(asked, SpansForm):
            found = {"ranker": self.identity.digest, **found}
        if isinstance(asked, ExplainForm):
            is_page = asked.format == "html"
            return page_answer(found) if is_page else Response(found, media_type="application/json")
        return Json({"id": request.scope["attnmass"]["id"], "model": self.model, **found})

    async def _rank(self, request: Request, questions: Sequence[Question]) -> list[Ranking]:
        """A ranking for each question."""
        ranks = [Rank(each.query, tuple(map(Chunk, each.texts))) for each in questions]
        if len(ranks) == 1:
            return [await self._ask(request, ranks[0])]
        rankings: list[Ranking] = await self._ask(request, Several(tuple(ranks)))
        return rankings

    async def _read(self, request: Request, place: Any) -> dict[str, Any]:
        body = await read_body(
            request,
            place,
            max_bytes=self.options.max_body_bytes,
            seconds=self.options.body_timeout,
        )
        return read_json(body)

    def _count(self, request: Request, documents: int) -> None:
        request.scope["attnmass"]["documents"] = documents
        most = self.options.max_documents
        if documents > most:
            raise TooLarge(
                f"the request has {documents:,} documents, and at most {most:,} are read"
            )

    async def _ask(self, request: Request, work: Work) -> Any:
        """Have work done, unless whoever asked leaves first."""
        asked = asyncio.ensure_future(self.worker.run(work, self.options.request_timeout))
        left = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait({asked, left}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
            raise Gone
        finally:
            asked.cancel()
            left.cancel()


async def _left(request: Request) -> None:
    """Return once whoever asked has left; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def tokens_of(ranking: Ranking) -> int:
    """Tokens of the query and of all chunks."""
    chunks = (*ranking.chunks, *ranking.dropped)
    query = 0 if ranking.trace is None else len(ranking.trace.query_offsets)
    return query + sum(chunk.n_tokens for chunk in chunks)
