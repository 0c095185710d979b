"""How a model that nobody has fitted ranks, query by query, with its own profile hidden.

python -m benchmarks.unfitted DATA_FOLDER [--model NAME] [--first LAYERS] [--layout NAME]

By heads that are chosen in seconds from the texts that ship, with and without the query's words, by
all heads of the middle layers, and by BM25, over the same candidates of queries that selected
nothing. Set HF_HOME to an empty folder, or what was fitted earlier is found. What was ranked is
kept after each query, and a second run resumes from there.
"""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from attnmass.fitting.quick import SOURCE, choose_quickly
from attnmass.fitting.subject import open_model
from attnmass.models.sizes import FULL_DEPTH
from attnmass.models.view import cut_config, find_config, find_decoder, find_layers
from attnmass.options.declared import MEMORY_BYTES
from attnmass.profiles.texts import ordinary_rarity
from attnmass.text import words
from benchmarks import quality
from benchmarks.baselines import bm25
from benchmarks.data import SETS, parser, test_part
from benchmarks.metrics import ndcg_at_10

RESULTS = Path(__file__).parent / "results" / "unfitted.json"
WORDS, CHOSEN = "chosen in seconds", "chosen in seconds, attention alone"
MIDDLE, BM25 = "all heads of the middle layers", "BM25"
ALONE = "the words alone"
OF_QUERIES = {
    BM25: "BM25 on the same queries",
    ALONE: "the query's words alone, as they count here",
}


def main() -> None:
    """Choose, rank and store."""
    made = parser(__doc__, RESULTS, limit=25)
    made.add_argument("--model", default=quality.MODEL)
    made.add_argument("--first", type=int, help="of a decoder, cut after so many layers")
    made.add_argument("--layout", default="late")
    arguments = made.parse_args()
    warnings.simplefilter("ignore")
    subject = open_model(arguments.model, layout=arguments.layout, dtype=arguments.dtype)
    told = arguments.model
    if arguments.first is not None:
        cut(subject.model, arguments.first)
        subject = open_model(subject.model, subject.tokenizer, layout=arguments.layout)
        told = f"{told}, first {arguments.first} layers"
    started = time.process_time()
    chosen = choose_quickly(subject.model, subject.tokenizer, subject.default)
    seconds = time.process_time() - started
    if chosen is None or chosen.source != SOURCE:
        raise SystemExit("no heads stand out" if chosen is None else f"found {chosen.source}")
    found = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else {}
    heads = [list(head) for head in chosen.heads]
    about = found.get(told)
    if about is None or about["heads"] != heads:
        about = {"layout": chosen.layout, "heads": heads, "rows": [], "seconds": round(seconds, 1)}
    found[told] = about
    ranker = subject.ranker(profile=chosen, memory_bytes=MEMORY_BYTES)
    # By its heads: for the default profile, a ranker would also choose some.
    middle = subject.ranker(heads=subject.default.heads)
    ways: dict[str, Callable[[str, Sequence[str]], Sequence[float]]] = {
        WORDS: lambda query, texts: ranker.rank(query, texts).scores,
        CHOSEN: lambda query, texts: ranker.rank(query, texts, fuse=None).scores,
        MIDDLE: lambda query, texts: middle.rank(query, texts).scores,
        ALONE: lambda query, texts: words.bm25(query, texts, ordinary_rarity()),
        BM25: bm25,
    }
    done = {(row["set"], row["query"], row["method"]) for row in about["rows"]}
    # A few of each set, then more, so that a run that is cut off has as many of each.
    sets = {name: test_part(arguments.data, name)[: arguments.limit] for name in SETS}
    for number in tqdm(range(arguments.limit)):
        for name, queries in sets.items():
            if number >= len(queries):
                continue
            asked = queries[number]
            for way, score in ways.items():
                if (name, number, way) in done:
                    continue
                mine = score(asked.query, asked.texts)
                value = round(ndcg_at_10(asked.relevant, list(mine)), 5)
                about["rows"].append({"set": name, "query": number, "method": way, "ndcg": value})
            write(arguments.out, found)
    write(arguments.out, found)


def cut(model: Any, n_layers: int) -> None:
    """Leave a decoder its first layers, so that it is a new model, about which nothing is known."""
    config = find_config(model)
    decoder = find_decoder(model)
    name, layers = find_layers(decoder)
    setattr(decoder, name, layers[:n_layers])
    vars(config).pop(FULL_DEPTH, None)
    cut_config(config, n_layers)


def table(found: dict[str, Any]) -> str:
    """nDCG@10 by model, with the mean over sets."""
    lines = [
        f"| nDCG@10 | seconds to choose | {' | '.join(SETS)} | mean |",
        f"|---|---{'|---' * len(SETS)}|---|",
    ]
    counts = []
    for model, about in found.items():
        for way in (WORDS, CHOSEN, MIDDLE, ALONE, BM25):
            values = [
                [row["ndcg"] for row in about["rows"] if (row["set"], row["method"]) == (name, way)]
                for name in SETS
            ]
            if not all(values):
                continue
            cells = " | ".join(f"{statistics.fmean(mine):.3f}" for mine in values)
            mean = statistics.fmean(map(statistics.fmean, values))
            shown = OF_QUERIES.get(way, f"`{model}`, {way}")
            seconds = f"{about['seconds']:.0f}" if way == WORDS else ""
            lines.append(f"| {shown} | {seconds} | {cells} | {mean:.3f} |")
        few, many = min(map(len, values)), max(map(len, values))  # of BM25, as of the others
        told = f"{few}" if few == many else f"{few} to {many}"
        counts.append(f"{told} of each set for `{model}` ({about['layout']})")
    return "\n".join([*lines, "", f"Queries: {'; '.join(counts)}.", ""])


def write(path: Path, found: dict[str, Any]) -> None:
    """Store what has been measured so far."""
    text = json.dumps(found, separators=(",", ":")).replace("},{", "},\n{")
    path.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
