"""Starts a server, has every client try it, and writes the raw result: `make clients`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx

from tests.clients import table
from tests.clients.tries import QUERY, TEXTS
from tests.serving.processes import process

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "clients.json"
KEY = "a-key-for-clients"

# Nothing of these asks a network that is not there, or tells anybody of its use.
QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def tried_in(environment: Path, url: str) -> list[dict[str, Any]]:
    """What the clients of one environment did."""
    done = subprocess.run(
        [
            str(environment / "bin" / "python"),
            str(ROOT / "tests" / "clients" / "tries.py"),
            url,
            KEY,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **QUIET, "PYTHONPATH": ""},
        check=True,
        timeout=600,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"client"')]


def judged(found: dict[str, Any], expected: list[tuple[int, float]]) -> dict[str, Any]:
    """With whether it is right: its order, its scores, and that a wrong key was told."""
    pairs = [tuple(pair) for pair in found.get("pairs", [])]
    wanted = expected[: max(2, len(pairs))]
    right = [index for index, _ in pairs] == [index for index, _ in wanted] and all(
        abs(score - other) < 1e-6 for (_, score), (_, other) in zip(pairs, wanted, strict=True)
    )
    return {**found, "right": right and "refused" in found}


def main(*environments: str) -> int:
    """Try all; gives the number of clients that did not get what they should."""
    with process("--model", "smollm2-135m", ATTNMASS_API_KEYS=KEY) as server:
        answer = httpx.post(
            f"{server.url}/v1/rerank",
            json={"query": QUERY, "documents": TEXTS},
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=120,
        )
        body = answer.raise_for_status().json()
        expected = [(each["index"], each["relevance_score"]) for each in body["results"]]
        found = [
            judged(each, expected)
            for environment in environments
            for each in tried_in(ROOT / environment, server.url)
        ]
    told = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "model": body["model"],
        "expected": expected,
        "clients": found,
    }
    RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    table.write()
    for each in found:
        print("ok " if each["right"] else "BAD", each["client"], each["version"])
        if not each["right"]:
            print("   ", each.get("error") or each["pairs"])
    return sum(not each["right"] for each in found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
