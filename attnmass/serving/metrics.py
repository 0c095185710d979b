"""Numbers for Prometheus, in the server's own registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from attnmass.results.stats import RankerStats
    from attnmass.serving.worker import ModelWorker

    Shards = Callable[[], Mapping[str, RankerStats]]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_COUNTS = (1, 2, 4, 8, 16, 32, 64)
_DOCUMENTS = (1, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)


class Metrics:
    """What is counted, and what is looked up on request."""

    def __init__(self, worker: ModelWorker, shards: Shards | None = None) -> None:
        """Count from zero.

        Args:
            worker: The worker whose queue and store are looked at.
            shards: What shards elsewhere keep, by their names; default: the ranker keeps it.
        """
        self._registry = CollectorRegistry()
        told = "Requests by route and HTTP status"
        labels = ("route", "status")
        self._requests = Counter("attnmass_requests", told, labels, registry=self._registry)

        def histogram(name: str, told: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(name, told, labels, buckets=buckets, registry=self._registry)

        told = "Seconds from a request to its answer"
        self._seconds = histogram("attnmass_request_seconds", told, _SECONDS, "route")
        self._documents = histogram(
            "attnmass_request_documents", "Documents of a request", _DOCUMENTS
        )
        told = "Requests that one call of the model answered"
        self._batches = histogram("attnmass_batch_requests", told, _COUNTS)
        told = "Seconds of one call of the model"
        self._model_seconds = histogram("attnmass_model_seconds", told, _SECONDS)
        self._registry.register(_Looked(worker, shards))
        worker.answered = self.batch

    def request(self, route: str, status: int, seconds: float, documents: int | None) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if documents is not None:
            self._documents.observe(documents)

    def batch(self, requests: int, seconds: float) -> None:
        """Count a call of the model."""
        self._batches.observe(requests)
        self._model_seconds.observe(seconds)

    def told(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)


class _Looked(Collector):
    """What the worker, its ranker and shards know anyway."""

    def __init__(self, worker: ModelWorker, shards: Shards | None) -> None:
        self._worker = worker
        self._shards = shards

    def collect(self) -> Iterator[Metric]:
        """One metric after the other, as they are now."""
        worker = self._worker
        yield _gauge("attnmass_queue_depth", "Requests that wait for the model", worker.depth)
        yield _gauge("attnmass_ready", "Whether requests are taken", float(worker.is_ready))
        ranker = worker.ranker
        if ranker is None:
            return
        stats = ranker.stats
        said = "Tokens of chunks that the model read"
        yield CounterMetricFamily("attnmass_tokens_read", said, value=stats.tokens_encoded)
        # Shards are named and not added up: one that is restarted counts from zero, which in a sum
        # would look as if all of them did.
        names: list[str] = []
        known: dict[tuple[str, ...], RankerStats] = {(): stats}
        if self._shards is not None:
            names, known = ["shard"], {(name,): each for name, each in self._shards().items()}
        for kind, told in ((CounterMetricFamily, _COUNTED), (GaugeMetricFamily, _HELD)):
            for name, said, field in told:
                family = kind(name, said, labels=names)
                for labels, each in known.items():
                    family.add_metric(labels, getattr(each, field))
                yield family


# By the fields of `RankerStats`.
_COUNTED = (
    ("attnmass_cache_hits", "Chunks or windows that were read before", "hits"),
    ("attnmass_cache_misses", "Chunks or windows that had to be read", "misses"),
    ("attnmass_cache_evictions", "Entries that left memory to make room", "evictions"),
    ("attnmass_shared_hits", "Entries that the shared store had", "shared_hits"),
    ("attnmass_shared_misses", "Entries that it had not, or not in time", "shared_misses"),
    (
        "attnmass_shared_failures",
        "Times that the shared store could not be asked, or did not keep what it was given",
        "shared_failures",
    ),
    ("attnmass_shared_read_bytes", "Bytes that it gave", "shared_bytes_read"),
    ("attnmass_shared_written_bytes", "Bytes that it took", "shared_bytes_written"),
)
_HELD = (
    ("attnmass_memory_bytes", "Bytes of the store in memory", "memory_bytes"),
    ("attnmass_store_bytes", "Bytes of the store in its folder", "folder_bytes"),
)


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)
