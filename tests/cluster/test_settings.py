"""One set of options for a cluster, and which of them is for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from attnmass.cluster.settings import ClusterSettings


def test_options_go_where_they_belong() -> None:
    """Each shard has a folder of its own in the store, and the gateway keeps nothing of chunks."""
    found = ClusterSettings.of(
        {
            "model": "tiny",
            "heads": [[1, 0], [1, 3]],
            "store": "/data/chunks",
            "store_bytes": 1 << 30,
            "shards": 3,
            "replicas": 2,
            "scores": "share",
            "queue_size": 8,
        }
    )
    assert (found.cluster.shards, found.cluster.replicas) == (3, 2)
    assert found.names == ["shard-0", "shard-1", "shard-2"]
    assert found.serving == {"scores": "share", "queue_size": 8}
    loading = {"layout": "late", "heads": ((1, 0), (1, 3))}
    storing = {"store": "/data/chunks/shard-1", "store_bytes": 1 << 30}
    assert found.of_shard("shard-1") == ("tiny", loading | storing)
    assert found.of_gateway() == ("tiny", loading | {"memory_bytes": 0})


def test_a_store_behind_all_shards() -> None:
    """Every shard asks the same shared store, beside a folder of its own or without one."""
    url = "redis://cache:6379/0"
    found = ClusterSettings.of({"shared_store": url})
    assert found.of_shard("shard-0") == found.of_shard("shard-1")
    assert found.of_shard("shard-0")[1]["shared_store"] == url
    assert "shared_store" not in found.of_gateway()[1]
    found = ClusterSettings.of({"shared_store": url, "store": "/data"})
    assert found.of_shard("shard-1")[1]["store"] == "/data/shard-1"
    with pytest.raises(ValueError, match="not the URL of a Redis"):
        ClusterSettings.of({"shared_store": "http://cache"})


def test_defaults_need_no_options() -> None:
    """Nothing said is two shards and one replica of the default model, in the late layout."""
    found = ClusterSettings.of({})
    assert (found.cluster.shards, found.cluster.replicas) == (2, 1)
    assert found.of_shard("shard-0") == ("smollm2-135m", {"layout": "late"})


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ({"shard": 2}, TypeError, "unknown option 'shard'.*shards"),
        ({"shards": 0}, ValueError, "shards must be at least 1"),
        ({"shards": "two"}, TypeError, "shards"),
        ({"store_bytes": 0, "store": "x"}, ValueError, "store_bytes must be at least 1"),
        ({"store_bytes": 1 << 30}, ValueError, "name its folder"),
        ({"layout": "parallel"}, ValueError, "layout 'parallel' cannot be split into shards"),
        ({"port": 80}, ValueError, "http_options"),
        ({"api_keys": "secret"}, ValueError, "ATTNMASS_API_KEYS"),
        ({"drain_timeout": 3}, ValueError, "graceful_shutdown_timeout_s"),
        ({"scores": "best"}, ValueError, "scores"),
    ],
)
def test_options_that_are_off_are_told_before_a_process_starts(
    args: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A wrong name, type or value is an error that says what to pass, and no secret is told."""
    with pytest.raises(error, match=message) as found:
        ClusterSettings.of(args)
    assert "secret" not in str(found.value)


def test_the_config_file_of_the_examples_is_one() -> None:
    """What the guide shows names the application, and options that there are."""
    path = Path(__file__).parents[2] / "examples" / "cluster.yaml"
    (application,) = yaml.safe_load(path.read_text(encoding="utf-8"))["applications"]
    assert application["import_path"] == "attnmass.serving.ray:app"
    assert ClusterSettings.of(application["args"]).cluster.shards == 2
