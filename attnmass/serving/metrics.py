"""Numbers for Prometheus, in a registry of the server's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker
    from attnmass.serving.worker import ModelWorker

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_COUNTS = (1, 2, 4, 8, 16, 32, 64)
_DOCUMENTS = (1, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000)


class Metrics:
    """What is counted, and what is looked up when somebody asks."""

    def __init__(self, worker: ModelWorker) -> None:
        """Count from zero.

        Args:
            worker: Whose queue and store are looked at.
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
        self._registry.register(_Looked(worker))
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
    """What the worker and its ranker know anyway."""

    def __init__(self, worker: ModelWorker) -> None:
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        """One metric after the other, as they are now."""
        worker = self._worker
        yield _gauge("attnmass_queue_depth", "Requests that wait for the model", worker.depth)
        yield _gauge("attnmass_ready", "Whether requests are taken", float(worker.is_ready))
        ranker = worker.ranker
        if ranker is not None:
            yield from _stats(ranker)


def _stats(ranker: AttentionRanker) -> Iterator[Metric]:
    stats = ranker.stats
    counted: tuple[tuple[str, str, float], ...] = (
        ("attnmass_cache_hits", "Chunks or windows that were read before", stats.hits),
        ("attnmass_cache_misses", "Chunks or windows that had to be read", stats.misses),
        ("attnmass_cache_evictions", "Entries that left memory to make room", stats.evictions),
        ("attnmass_tokens_read", "Tokens of chunks that the model read", stats.tokens_encoded),
        ("attnmass_shared_hits", "Entries that the shared store had", stats.shared_hits),
        ("attnmass_shared_misses", "Entries that it had not, or not in time", stats.shared_misses),
        (
            "attnmass_shared_failures",
            "Times that the shared store could not be asked, or did not keep what it was given",
            stats.shared_failures,
        ),
        ("attnmass_shared_read_bytes", "Bytes that it gave", stats.shared_bytes_read),
        ("attnmass_shared_written_bytes", "Bytes that it took", stats.shared_bytes_written),
    )
    for name, said, value in counted:
        yield CounterMetricFamily(name, said, value=value)
    yield _gauge("attnmass_memory_bytes", "Bytes of the store in memory", stats.memory_bytes)
    yield _gauge("attnmass_store_bytes", "Bytes of the store in its folder", stats.folder_bytes)


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)
