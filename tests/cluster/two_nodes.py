"""A cluster of two simulated nodes that serves; a program of its own, which its parent tells what.

`python -m tests.cluster.two_nodes ARGS` serves `attnmass.serving.ray:app` with the options in
ARGS, in JSON. It says `{"ready": URL}` on a line of stdout, and then does what lines of stdin say:
`kill NAME` ends the process of a deployment as the kernel would; the end of stdin ends it all.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.util.state import list_actors

from attnmass.serving.ray import app


def say(**what: Any) -> None:
    """A line for the parent."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def pids(name: str) -> list[int]:
    """The processes of a deployment."""
    found = list_actors(filters=[("state", "=", "ALIVE")], detail=True)
    return [actor.pid for actor in found if f"#{name}#" in (actor.name or "")]


def main() -> None:
    """Serve until stdin ends."""
    args = json.loads(sys.argv[1])
    # As many CPUs as there are shards and gateways: Ray starts a process for each ahead.
    node = {"num_cpus": 2, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": True})
    cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=True, logging_level="warning")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(app(args), name="attnmass")
    say(ready=f"http://127.0.0.1:{port}", nodes=sum(node["Alive"] for node in ray.nodes()))
    for line in sys.stdin:
        what, name = line.split()
        if what == "kill":
            gone = pids(name)
            for pid in gone:
                os.kill(pid, signal.SIGKILL)
            say(killed=gone)
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
