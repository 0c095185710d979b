"""Ray: texts and data sets are read on several processes, and once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.ray_processes import ROOT, STARTING, TEXTS

pytest.importorskip("ray")

pytestmark = pytest.mark.slow


def test_the_command_line_reads_on_ray(
    model: Path, tmp_path: Path, ray_folder: dict[str, str]
) -> None:
    """`attnmass index --ray` fills the folders of shards, and what all share.

    A second run, into other folders, finds there what the first one read.
    """
    lines = [{"text": text} for text in TEXTS] + [{"text": " "}]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def run(store: str) -> dict[str, Any]:
        done = subprocess.run(
            [
                sys.executable, "-m", "attnmass", "index", "texts.jsonl", "--ray", "--jobs", "2",
                "--shards", "2", "--store", store, "--model", str(model), "--format", "json",
                "--shared-store", (tmp_path / "far").as_uri(),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=ray_folder,
            timeout=STARTING,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (record,) = json.loads(done.stdout)
        return dict(record)

    first, again = run("kept"), run("other")
    n_texts = len(set(TEXTS))
    assert (first["read"], first["unreadable"], first["chunks"]) == (n_texts, 1, len(lines))
    assert (again["read"], again["skipped"]) == (0, len(TEXTS))
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"shard-0", "shard-1"}


ROWS = """
import json, sys
import ray
from attnmass.cluster.indexing import index_dataset
model, store = sys.argv[1:]
ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
rows = [{"text": f"Text {i} is about relativity.", "n": i} for i in range(40)]
rows[7]["text"], rows[21]["text"] = None, "  "
def read():
    found = index_dataset(
        ray.data.from_items(rows), store=store, shards=2, actors=2, batch_size=8, model=model
    )
    return sorted(found.take_all(), key=lambda row: row["n"])
first = read()
counts = index_dataset(
    ray.data.from_items(rows), store=store, shards=2, actors=1, counts=True, model=model
).take_all()
print("FOUND", json.dumps([first, counts]))
"""


def test_a_dataset_is_read_on_a_pool_and_not_again(
    model: Path, tmp_path: Path, ray_folder: dict[str, str]
) -> None:
    """Every row comes back, one bad row with an error; a second run reads nothing."""
    done = subprocess.run(
        [sys.executable, "-c", ROWS, str(model), str(tmp_path / "store")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=ray_folder,
        timeout=STARTING,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    rows, counts = json.loads(line.removeprefix("FOUND "))
    assert [row["n"] for row in rows] == list(range(40))
    assert {row["n"]: row["error"] for row in rows if row["error"]} == {7: "not text"}
    totals = {name: sum(each[name] for each in counts) for name in ("read", "skipped", "failed")}
    assert totals == {"read": 0, "skipped": 38, "failed": 1}
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["shard-0", "shard-1"]
