"""How a cluster is set up: which option of one set is for which part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from attnmass.options.cache import CacheOptions
from attnmass.options.checked import checked
from attnmass.options.choices import DEFAULT_MODEL
from attnmass.options.clustering import Clustering, ClusterOptions, shard_names
from attnmass.options.declared import Loading, Reading, Storing
from attnmass.options.renamed import what_then
from attnmass.options.serving import Serving

# Ray listens; a key in a file that is passed around would not be secret.
_NOT_HERE = {
    "host": "set http_options in Ray's config",
    "port": "set http_options in Ray's config",
    "drain_timeout": "set graceful_shutdown_timeout_s of the deployment in Ray's config",
    "api_keys": "set ATTNMASS_API_KEYS in the environment of Ray's nodes, or api_key_file",
}
_LAYOUT = "late"  # the one that leaves behind what shards can keep
_OF_RANKER = (Loading, Reading[Any], Storing)


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Options of a cluster, checked and separated.

    Attributes:
        cluster: How many processes there are.
        ranker: What rankers are loaded with, including their stores.
        serving: How HTTP is answered.
    """

    cluster: ClusterOptions
    ranker: Mapping[str, Any]
    serving: Mapping[str, Any]

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> ClusterSettings:
        """Options by their names, as in a config file.

        Raises:
            TypeError: If one is unknown, or of another type than is declared.
            ValueError: If a value is invalid, or not for a cluster.
        """
        groups: tuple[type[BaseModel], ...] = (Clustering, *_OF_RANKER, Serving)
        declared = {name: group for group in groups for name in group.model_fields}
        for name in args:
            if name in _NOT_HERE:
                raise ValueError(f"{name} is not for a cluster: {_NOT_HERE[name]}")
            if name not in declared:
                raise TypeError(f"unknown option {name!r}.{what_then(name, declared)}")

        def mine(*groups: type[BaseModel]) -> dict[str, Any]:
            return {name: args[name] for name in args if declared[name] in groups}

        ranker = mine(*_OF_RANKER)
        for group in (Loading, Storing):
            ranker |= checked(
                group, {name: ranker[name] for name in ranker if name in group.model_fields}
            )
        CacheOptions(**mine(Storing))
        if ranker.get("layout") not in (None, _LAYOUT):
            raise ValueError(
                f"layout {ranker['layout']!r} cannot be split into shards: leave it out, or pass "
                f"{_LAYOUT!r}"
            )
        if isinstance(ranker.get("heads"), list):  # all that YAML has for pairs
            ranker["heads"] = tuple(map(tuple, ranker["heads"]))
        return cls(ClusterOptions(**mine(Clustering)), ranker, checked(Serving, mine(Serving)))

    @property
    def names(self) -> list[str]:
        """What shards are called."""
        return shard_names(self.cluster.shards)

    def of_shard(self, name: str) -> tuple[str, dict[str, Any]]:
        """A shard's model, and what it is loaded with: its own folder in the store."""
        model, options = self._loading()
        if options.get("store") is not None:
            options["store"] = str(Path(options["store"]) / name)
        return model, options

    def of_gateway(self) -> tuple[str, dict[str, Any]]:
        """The same for the process that reads queries, and keeps nothing of chunks."""
        model, options = self._loading()
        kept = {name: value for name, value in options.items() if name not in Storing.model_fields}
        return model, {**kept, "memory_bytes": 0}

    def _loading(self) -> tuple[str, dict[str, Any]]:
        options = {**self.ranker, "layout": _LAYOUT}
        return options.pop("model", DEFAULT_MODEL), options
