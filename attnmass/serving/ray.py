"""The server on Ray Serve: `attnmass.serving.ray:app`, for a config file of `serve run`.

Replicas read queries and answer HTTP; each shard is a deployment of one replica, which reads, keeps
and looks at the chunks that a hash of their tokens assigns to it. Ray restarts whichever of them
dies, and whoever asked it asks again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.serve.exceptions import DeploymentUnavailableError, ReplicaUnavailableError

from attnmass.cluster.errors import ShardUnavailableError
from attnmass.cluster.holder import ShardHolder
from attnmass.cluster.remote import RemoteShard
from attnmass.cluster.settings import ClusterSettings
from attnmass.models.kernels import bound_kernels
from attnmass.ranker import AttentionRanker
from attnmass.results.stats import RankerStats
from attnmass.serving.app import make_app
from attnmass.serving.options import ServingOptions
from attnmass.serving.service import Service

KEYS = "ATTNMASS_API_KEYS"

_HEALTH_SECONDS = 2.0  # how often Ray asks whether a shard lives
_AT_ONCE = 4  # threads that look in a shard; its model is used by one at a time
_COUNTS_SECONDS = 2.0  # that a shard may take to say what it keeps
_SHARD_CALLS = 64  # that may wait in a shard

# Errors that say that nobody was asked, or that whoever was asked has died: the same can be asked
# again.
_DIED = (
    DeploymentUnavailableError,
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    ReplicaUnavailableError,
    WorkerCrashedError,
)


class ShardServer:
    """The process of a shard."""

    def __init__(self, name: str, settings: ClusterSettings) -> None:
        """Load the model; what was kept before is in the store.

        Args:
            name: The name of the shard and of its folder.
            settings: How it is set up.
        """
        bound_kernels()
        model, options = settings.of_shard(name)
        self._holder = ShardHolder(AttentionRanker.from_pretrained(model, **options))
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=name)

    async def ask(self, method: str, *args: Any) -> Any:
        """Call a method of `ShardHolder` in a thread, so that Ray's own calls are answered."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, getattr(self._holder, method), *args)


class Gateway:
    """The process that reads queries and answers HTTP."""

    def __init__(self, shards: Mapping[str, Any], settings: ClusterSettings) -> None:
        """Load the model, before any request comes.

        Args:
            shards: Handles of `ShardServer`s, by name.
            settings: How it is set up.
        """
        bound_kernels()
        model, options = settings.of_gateway()
        ranker = AttentionRanker.from_pretrained(model, **options)
        scope, seconds = ranker.shard.scope, settings.cluster.shard_timeout
        self._handles = dict(shards)
        self._shards = {
            name: RemoteShard(Asking(name, handle, seconds), scope)
            for name, handle in shards.items()
        }
        sharded = ranker.sharded(self._shards, at_once=True)
        serving = dict(settings.serving)
        if KEYS in os.environ:
            serving["api_keys"] = os.environ[KEYS]
        self._service = Service(
            lambda: sharded, ServingOptions(**serving), asked=ranker.profile.model
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The same routes as in `attnmass serve`."""
        return make_app(self._service, self._counts)

    def _counts(self) -> dict[str, RankerStats]:
        """What shards keep; those that do not answer at once are left out."""

        def counts(name: str) -> dict[str, RankerStats]:
            try:
                told = Asking(name, self._handles[name], _COUNTS_SECONDS)("stats")
            except ShardUnavailableError:
                return {}
            return {name: self._shards[name].counted(told)}

        with ThreadPoolExecutor(len(self._shards)) as pool:
            return {k: v for found in pool.map(counts, self._shards) for k, v in found.items()}

    def check_health(self) -> None:
        """Raise what ended the model's thread, so that Ray replaces the process."""
        failure = self._service.worker.failure
        if failure is not None:
            raise RuntimeError("the model's thread has ended") from failure


@dataclass(frozen=True, slots=True)
class Asking:
    """Calls a shard, and again if it has died; see `attnmass.cluster.remote.Ask`.

    Attributes:
        name: The shard's name.
        handle: That of its deployment.
        seconds: How long one call may take, including the time for a new process.
    """

    name: str
    handle: Any
    seconds: float

    def __call__(self, method: str, *args: Any) -> Any:
        """What the method returns.

        Raises:
            ShardUnavailableError: If there is no answer in time.
        """
        end, pause = time.monotonic() + self.seconds, 0.05
        while True:
            try:
                # Without the request's context: several calls under one Ray id would wait for each
                # other.
                response = Context().run(self.handle.ask.remote, method, *args)
                return response.result(timeout_s=max(0.0, end - time.monotonic()))
            except _DIED as error:
                if time.monotonic() + pause > end:
                    raise self._unavailable() from error
            except TimeoutError as error:
                raise self._unavailable() from error
            except RayTaskError as error:
                # As it was raised there: Ray's error has a trace of the other process in its
                # message.
                raise error.cause if isinstance(error.cause, Exception) else error from None
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _unavailable(self) -> ShardUnavailableError:
        return ShardUnavailableError(f"{self.name} did not answer within {self.seconds:g} seconds")


def app(args: Mapping[str, Any]) -> Any:
    """The application, as named in a config file of Ray Serve.

    Args:
        args: `model` and the options of `AttentionRanker.from_pretrained`, those of `attnmass
            serve` except its address, which Ray sets, and `shards`, `replicas` and `shard_timeout`.

    Raises:
        TypeError, ValueError: If an option is invalid.
    """
    settings = ClusterSettings.of(args)
    cluster = settings.cluster
    shards = {
        name: serve.deployment(ShardServer)
        .options(
            name=name,
            num_replicas=1,
            max_ongoing_requests=_SHARD_CALLS,
            health_check_period_s=_HEALTH_SECONDS,
        )
        .bind(name, settings)
        for name in settings.names
    }
    serving = ServingOptions(**settings.serving)
    gateway = serve.deployment(serve.ingress()(Gateway)).options(
        name="gateway",
        num_replicas=cluster.replicas,
        # More than may wait here, so that requests beyond that hear so from us rather than from
        # nobody.
        max_ongoing_requests=2 * (serving.queue_size + serving.batch_requests),
    )
    return gateway.bind(shards, settings)
