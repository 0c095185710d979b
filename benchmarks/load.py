"""What minutes of mixed requests from many clients do to a server: its answers, and its memory.

python -m benchmarks.load [--seconds N] [--clients N] [--model NAME] [--dtype D]

`attnmass serve` runs in its own process, with bounds on memory and store that are soon reached, so
that what grows after that is neither. Clients ask each route at random, over texts that were read
before and new ones; some send invalid requests, some hang up. Without `--model`, it is a tiny
model, which answers so many requests that anything each leaves behind would show. Results are kept
for each dtype.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.serving import told_times
from tests.serving.processes import Process, process
from tests.tiny import tiny_model, tiny_tokenizer

RESULTS = Path(__file__).parent / "results" / "load.json"
PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "serve.md"
BEGIN, END = "<!-- load -->\n", "<!-- /load -->\n"
BOUNDS = ("--memory-bytes", str(4 << 20), "--store-bytes", str(16 << 20))
KNOWN = 400  # texts that are asked about again and again
SAMPLE = 1.0  # seconds between samples of memory
SETTLED = 1 / 3  # of the time, after which memory should grow no more
BUSY = (429, 503)


@dataclass
class Seen:
    """What clients saw.

    Attributes:
        took: Seconds of requests that were answered, by kind.
        statuses: How many requests ended with which status, by kind; `left` is one that hung up.
        wrong: Answers that should not have been.
    """

    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: list[str] = field(default_factory=list)


def main() -> None:
    """Run, store, and write the table; ends with 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--model", help="instead of a tiny one")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="float32")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    told = run(
        arguments.seconds, arguments.clients, arguments.dtype, arguments.model, arguments.seed
    )
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    found = {**known, arguments.dtype: told}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{page(found)}{END}{after}", encoding="utf-8")
    if told["wrong"] or told["exit_code"]:
        sys.exit(1)


def run(
    seconds: float, clients: int, dtype: str, model: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """The outcome, as it is stored."""
    load = [os.getloadavg()]
    seen = Seen()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        args = ["--model", model or str(_tiny(folder)), "--dtype", dtype, *BOUNDS]
        args += ["--store", str(folder / "store")]
        if model is None:
            args += ["--heads", "1-0,1-3,2-1", "--layout", "late"]
        server = stack.enter_context(process(*args, OMP_NUM_THREADS="1"))
        samples = asyncio.run(_asked(server, seen, seconds, clients, seed))
        cpu = server.cpu
        counted = httpx.get(f"{server.url}/v1/stats", timeout=60).json()
        exit_code = server.end()
        errors = sum(record["level"] == "error" for record in server.records)
    load.append(os.getloadavg())
    return {
        "date": date.today().isoformat(),
        "model": model or "tiny",
        "dtype": dtype,
        "cores": os.cpu_count(),
        "load_before_and_after": [round(each[0], 2) for each in load],
        "seconds": seconds,
        "clients": clients,
        "cpu_seconds": round(cpu, 1),
        "kinds": {
            kind: {"statuses": dict(sorted(statuses.items()))} | _times(seen.took.get(kind, []))
            for kind, statuses in sorted(seen.statuses.items())
        },
        "wrong": seen.wrong[:20],
        "errors_logged": errors,
        "exit_code": exit_code,
        "evictions": counted["evictions"],
        "tokens_encoded": counted["tokens_encoded"],
        "memory": memory_of(samples),
    }


def memory_of(samples: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """Bytes at the beginning and the end, and how much they grow per minute once all is settled.

    Args:
        samples: Seconds since the beginning, and resident bytes.
    """
    from_then = SETTLED * samples[-1][0]
    late = [(at, size) for at, size in samples if at >= from_then]
    at, size = np.asarray(late, dtype=np.float64).T
    slope = np.polyfit(at, size, 1)[0] if len(late) > 2 else 0.0
    return {
        "first": samples[0][1],
        "settled": late[0][1],
        "last": samples[-1][1],
        "most": max(size for _, size in samples),
        "growth_a_minute": round(60 * float(slope)),
        "samples": [[round(at, 1), size] for at, size in samples[:: max(1, len(samples) // 120)]],
    }


async def _asked(
    server: Process, seen: Seen, seconds: float, clients: int, seed: int
) -> list[tuple[float, int]]:
    """Ask with that many clients at once; returns samples of memory taken meanwhile."""
    limits = httpx.Limits(max_connections=clients + 2)
    samples: list[tuple[float, int]] = []
    started = time.monotonic()
    end = started + seconds

    async def watch() -> None:
        while time.monotonic() < end:
            samples.append((time.monotonic() - started, server.memory))
            await asyncio.sleep(min(SAMPLE, seconds / 20))

    async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=120) as client:

        async def ask(number: int) -> None:
            numbers = random.Random(seed * 1000 + number)
            while time.monotonic() < end:
                await _one(client, numbers, seen)

        await asyncio.gather(watch(), *(ask(number) for number in range(clients)))
    return samples


async def _one(client: httpx.AsyncClient, numbers: random.Random, seen: Seen) -> None:
    kind, path, body, n_answers = request(numbers)
    leaves = kind == "hang up"
    started = time.perf_counter()
    try:
        asked = client.post(path, json=body) if body is not None else client.get(path)
        answer = await asyncio.wait_for(asked, numbers.uniform(0.0, 0.05) if leaves else None)
    except (TimeoutError, asyncio.TimeoutError):
        seen.statuses[kind]["left"] += 1
        return
    except httpx.HTTPError as error:
        seen.statuses[kind][type(error).__name__] += 1
        seen.wrong.append(f"{kind}: {error!r}")
        return
    seen.statuses[kind][str(answer.status_code)] += 1
    if answer.status_code in BUSY:
        if "Retry-After" not in answer.headers:
            seen.wrong.append(f"{kind}: {answer.status_code} without Retry-After")
        await asyncio.sleep(0.05)
        return
    seen.took[kind].append(time.perf_counter() - started)
    expected = 400 if kind == "wrong" else 200
    if answer.status_code != expected:
        seen.wrong.append(f"{kind}: {answer.status_code} {answer.text[:200]}")
    elif n_answers is not None and not _is_whole(answer.json(), n_answers):
        seen.wrong.append(f"{kind}: not {n_answers} finite scores, {answer.text[:200]}")


def request(numbers: random.Random) -> tuple[str, str, dict[str, Any] | None, int | None]:
    """A random request: its kind, path and body, and how many scores its answer has."""
    documents = [_text(numbers.randrange(KNOWN)) for _ in range(numbers.randint(1, 20))]
    if numbers.random() < 0.1:
        documents.append(_text(KNOWN + numbers.randrange(10**9)))  # which has not been read yet
    query = f"When does train {numbers.randrange(10**6)} to the {numbers.choice(PLACES)} leave?"
    count, asked = len(documents), {"query": query, "documents": documents}
    kinds: list[tuple[int, str, str, dict[str, Any] | None, int | None]] = [
        (8, "rerank", "/v2/rerank", {**asked, "return_documents": True}, count),
        (4, "tei", "/rerank", {"query": query, "texts": documents}, count),
        (2, "mixedbread", "/v1/reranking", {"query": query, "input": documents}, count),
        (2, "vllm", "/score", {"text_1": query, "text_2": documents}, count),
        (4, "trim", "/v1/trim", {**asked, "max_tokens": 60, "citations": True}, None),
        (1, "attribute", "/v1/attribute", {**asked, "answer": documents[0]}, None),
        (1, "explain", "/v1/explain", asked, None),
        (1, "warm", "/v1/warm", {"documents": documents}, None),
        (2, "wrong", "/v2/rerank", {"query": numbers.choice([1, None, []])}, None),
        (2, "hang up", "/v2/rerank", asked, count),
        (1, "metrics", "/metrics", None, None),
    ]
    (found,) = numbers.choices(kinds, [kind[0] for kind in kinds])
    return found[1:]


PLACES = ("Danube", "museum", "harbour", "old town", "airport")


def _text(number: int) -> str:
    """The text of that number, always the same."""
    numbers = random.Random(number)
    lines = [
        f"Train {numbers.randrange(10**6)} to the {numbers.choice(PLACES)} leaves at "
        f"{numbers.randrange(24)}:{numbers.randrange(10, 60)} from track {numbers.randrange(30)}."
        for _ in range(numbers.randint(1, 5))
    ]
    return " ".join(lines)


def _is_whole(answer: Any, count: int) -> bool:
    """Whether there is a finite score for each text, in any of the forms."""
    rows = answer if isinstance(answer, list) else answer.get("results") or answer.get("data")
    scores = [row.get("relevance_score", row.get("score")) for row in rows]
    return (
        sorted(row["index"] for row in rows) == list(range(count))
        and all(isinstance(score, float | int) for score in scores)
        and all(map(math.isfinite, scores))
    )


def _times(took: Sequence[float]) -> dict[str, Any]:
    if not took:
        return {}
    return {name: round(value, 1) for name, value in told_times(took).items()}


def _tiny(folder: Path) -> Path:
    place = folder / "model"
    tiny_model().save_pretrained(place)
    tiny_tokenizer().save_pretrained(place)
    return place


def page(found: dict[str, dict[str, Any]]) -> str:
    """What the page says about all of them."""
    return "\n".join(render(told) for _, told in sorted(found.items(), reverse=True))


def render(told: dict[str, Any]) -> str:
    """What the page says about it."""
    memory = {
        name: value / 2**20 for name, value in told["memory"].items() if isinstance(value, int)
    }
    total: Counter[str] = Counter()
    for kind in told["kinds"].values():
        total.update(kind["statuses"])
    before, after = told["load_before_and_after"]
    right = f"{total['200']:,} were answered and {total['400']:,} refused as they should be"
    lines = [
        f"On {told['date']}, a {told['model']} model in {told['dtype']}, {told['clients']} clients "
        f"for {told['seconds']:.0f} seconds, on {told['cores']} cores that others used, too (load "
        f"{before} before and {after} after): of {sum(total.values()):,} requests {right}, "
        f"{sum(total[str(code)] for code in BUSY):,} were told to come back, and {total['left']:,} "
        f"hung up. {len(told['wrong']) or 'No'} answer was wrong, "
        f"{told['errors_logged'] or 'no'} error was logged, and the process ended with "
        f"{told['exit_code']}.",
        "",
        "| resident memory, MB | |",
        "|---|---|",
        f"| when the model was loaded | {memory['first']:.1f} |",
        f"| after a third of the time | {memory['settled']:.1f} |",
        f"| at the end | {memory['last']:.1f} |",
        f"| at most | {memory['most']:.1f} |",
        f"| growth a minute in the last two thirds | {memory['growth_a_minute']:.2f} |",
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
