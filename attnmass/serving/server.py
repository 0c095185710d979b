"""The process: it listens, answers until it is told to end, and then ends cleanly."""

from __future__ import annotations

import ipaddress
import logging
import logging.config
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from attnmass.serving import logs
from attnmass.serving.answers import error_answer
from attnmass.serving.app import make_app
from attnmass.serving.errors import BadRequest
from attnmass.serving.options import ServingOptions
from attnmass.serving.service import Service

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker

_logger = logging.getLogger(__name__)

# Longer than clients keep idle connections, so that no request races with a closing connection.
_KEEP_ALIVE = 75

# Connections that wait to be taken.
_BACKLOG = 2048

# On top of the time that requests have to finish, for their answers to be sent.
_FLUSH = 5


class Server(uvicorn.Server):
    """uvicorn's, which also tells the service when it is to end."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Accept nothing new; what was accepted is answered before the process ends."""
        self._service.drain()
        super().handle_exit(sig, frame)


class Protocol(H11Protocol):
    """uvicorn's, which answers even what is not HTTP with the one body of errors."""

    def send_400_response(self, msg: str) -> None:
        """Answer what never reaches an application, and end the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # else an answer is on its way
            answer = error_answer(BadRequest("what was sent is not valid HTTP"))
            headers = [*answer.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=answer.status_code, headers=headers),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def listen(options: ServingOptions) -> socket.socket:
    """Take the port, so that no model is loaded in vain.

    Raises:
        OSError: If it is taken, or the address is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # The protocol is named since asyncio sends at once (TCP_NODELAY) only then: without it, each
    # answer waits some 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def configured(app: FastAPI, options: ServingOptions) -> uvicorn.Config:
    """How uvicorn runs an app."""
    return uvicorn.Config(
        app,
        # Faults were tested on these. Otherwise it would take what is installed, as by Ray's extra.
        loop="asyncio",
        http=Protocol,
        ws="none",  # whoever asks for that gets what the path gives
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=options.drain_timeout + _FLUSH,
        lifespan="on",
    )


def run(
    load: Callable[[], AttentionRanker],
    options: ServingOptions,
    listener: socket.socket,
    *,
    asked: str,
    quiet: bool = False,
) -> None:
    """Serve until the process is told to end.

    Args:
        load: Gives the ranker; until then, requests are told to come back.
        options: How the server is set up.
        listener: From `listen`.
        asked: The name that the model is loaded by.
        quiet: Whether only warnings and errors are logged.

    Raises:
        Exception: The reason why no model was loaded, or what ended the model's thread.
    """
    logging.config.dictConfig(logs.config(quiet=quiet))
    servers: list[Server] = []

    def on_death() -> None:
        for server in servers:
            server.should_exit = True

    service = Service(load, options, asked=asked, on_death=on_death)
    servers.append(Server(configured(make_app(service), options), service))
    host, port = listener.getsockname()[:2]
    _logger.info("listening at %s port %s", host, port)
    if not options.keys() and not is_loopback(host):
        _logger.warning(
            "anyone who can reach %s may ask: set ATTNMASS_API_KEYS or --api-key-file", host
        )
    # uvicorn raises the signal again once it is done, but ending cleanly is all that it asks for.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        servers[0].run(sockets=[listener])
    except KeyboardInterrupt:
        _end_if_busy(service, 128 + signal.SIGINT)
        raise
    _end_if_busy(service, 0)
    failure = service.worker.failure
    if isinstance(failure, Exception):
        raise failure
    if failure is not None:
        raise RuntimeError("the model's thread has ended") from failure


def _end_if_busy(service: Service, code: int) -> None:
    """End the process here where the model is still computing for nobody.

    Python would shut down around that thread, and torch would abort once the thread comes back from
    what it computes. What is in the store is intact at any moment.
    """
    if service.worker.is_running:
        logging.shutdown()
        os._exit(code)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    return ipaddress.ip_address(host).is_loopback
