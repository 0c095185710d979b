"""The options of a cluster, once, as `attnmass.options.declared` has all others."""

from __future__ import annotations

from pydantic import BaseModel

from attnmass.options.checked import Checked
from attnmass.options.declared import option


class Clustering(BaseModel):
    """How it is served on a cluster of Ray."""

    shards: int = option(
        2, "Processes that each read, keep and look at a part of all chunks, chosen by hash", ge=1
    )
    replicas: int = option(1, "Processes that read queries and answer requests", ge=1)
    shard_timeout: int = option(
        60, "Seconds that a request waits for a shard, even while one is rebuilt (503)", ge=1
    )


class ClusterOptions(Clustering, Checked):
    """The same, checked.

    Raises:
        TypeError: If an option is of another type than is declared.
        ValueError: If a value is off.
    """


def shard_names(n_shards: int) -> list[str]:
    """What shards are called, and their folders in a store: by names that stay when more come."""
    return [f"shard-{number}" for number in range(n_shards)]
