"""What trimming is for: how often a reader's answer is right, and how much it had to read for it.

python -m benchmarks.answers DATA_FOLDER [--model NAME] [--int8] [--limit N] [--store FOLDER]

A local model answers questions that selected nothing and whose candidates contain the answer. The
candidates come in the order of all-MiniLM-L6-v2's cosines, as from a retriever, and the reader gets
nothing, the first of them whole, MiniLM's best sentences of all, or what trimming leaves of all. An
answer is right if it contains a gold answer in whole words, both normalised. Seconds are processor
time, in one thread: to choose what is read (chunks are already in the store, cosines are not
counted), and to read it and answer. What was answered is kept after each question, and a second run
resumes from there. `--int8` takes less time. So does setting MALLOC_MMAP_THRESHOLD_=4294967296 and
MALLOC_TRIM_THRESHOLD_=8589934592 in the environment, which makes glibc keep memory for the next
layer: set both in all runs of one table, or in none.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.fitting.metrics import interval
from attnmass.scoring.order import order
from attnmass.text.segmentation import segment
from attnmass.trimming import TokenCounter
from benchmarks import quality
from benchmarks.baselines import MiniLM
from benchmarks.data import N_FIT, SETS, parser
from benchmarks.metrics import cell
from benchmarks.reader import Reader
from benchmarks.sentence_data import Answered, read_answers
from benchmarks.sentence_metrics import answer_survives, has_answer

RESULTS = Path(__file__).parent / "results" / "answers.json"
BUDGETS = (200, 400, 800)
FIRST = (5, 20)

Row = dict[str, Any]


def main() -> None:
    """Answer, and store one row for each question and method."""
    arguments = parser(__doc__, RESULTS, limit=100)
    arguments.add_argument("--model", default="qwen2.5-coder-1.5b", help="what answers")
    arguments.add_argument("--int8", action="store_true", help="its linear layers in int8")
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    reads = {"model": given.model, "int8": given.int8}
    about: Row = {**reads, "rows": []}
    if given.out.exists():
        about = json.loads(given.out.read_text(encoding="utf-8"))
        if any(about[name] != value for name, value in reads.items()):
            raise SystemExit(f"{given.out} is of {about['model']}: name another file by --out")
    done = {(row["set"], row["query"]) for row in about["rows"]}
    with TemporaryDirectory() as folder:
        ranker = AttentionRanker.from_pretrained(
            quality.MODEL, store=given.store or folder, dtype=given.dtype
        )
        minilm, reader = MiniLM(), Reader(given.model, int8=given.int8)
        for name, number, item in tqdm(_asked(given.data, given.limit)):
            if (name, number) not in done:
                found = answered(item, ranker, minilm, reader)
                about["rows"] += [{"set": name, "query": number, **row} for row in found]
                _write(given.out, about)
    print(table(about))


def _asked(folder: Path, limit: int) -> list[tuple[str, int, Answered]]:
    """Set, number in it, and what is asked: one of each set in turn, so any first part is fair."""
    asked = []
    for name in SETS:
        items = filter(_is_said, read_answers(folder, name)[N_FIT[name] :])
        asked += [(number, name, item) for number, item in enumerate(islice(items, limit))]
    return [(name, number, item) for number, name, item in sorted(asked, key=itemgetter(0))]


def _is_said(item: Answered) -> bool:
    return answer_survives(item.texts, item.texts, item.answers) is not None


def _write(path: Path, about: Row) -> None:
    text = json.dumps(about, separators=(",", ":")).replace("},{", "},\n{")
    scratch = path.with_suffix(".part")
    scratch.write_text(f"{text}\n", encoding="utf-8")
    scratch.replace(path)


def answered(
    item: Answered, ranker: AttentionRanker, minilm: MiniLM, reader: Reader
) -> Iterator[Row]:
    """What is answered to one question by each method."""
    cosines = minilm(item.query, item.texts)
    ranks = order(cosines)
    texts = [item.texts[i] for i in ranks]
    scores = [cosines[i] for i in ranks]
    ranker.warm(texts)
    count = TokenCounter(reader.tokenizer)
    sentences = Sentences(texts, item.query, minilm, count)
    for method, choose in _ways(item.query, texts, scores, ranker, count, sentences).items():
        started = time.process_time()
        chosen = choose()
        between = time.process_time()
        said, read = reader(item.query, "\n\n".join(chosen))
        yield {
            "method": method,
            "right": int(has_answer([said], item.answers)),
            "left": int(has_answer(chosen, item.answers)),
            "tokens": read,
            "choosing": round(between - started, 4),
            "reading": round(time.process_time() - between, 4),
            "said": said,
        }


def _ways(
    query: str,
    texts: Sequence[str],
    scores: Sequence[float],
    ranker: AttentionRanker,
    count: TokenCounter,
    sentences: Sentences,
) -> dict[str, Callable[[], Sequence[str]]]:
    """By method, what chooses the texts that are read."""

    def trimmed(budget: int) -> Sequence[str]:
        found = ranker.trim(
            query, texts, max_tokens=budget, retrieval_scores=scores, tokenizer=count
        )
        return [chunk.text for chunk in found.chunks]

    ways: dict[str, Callable[[], Sequence[str]]] = {"nothing": list}
    for first in FIRST:
        ways[f"MiniLM, first {first}, whole"] = partial(texts.__getitem__, slice(first))
    for budget in BUDGETS:
        ways[f"MiniLM's best sentences, {budget} tokens"] = partial(sentences, budget)
        ways[f"attnmass + MiniLM, {budget} tokens"] = partial(trimmed, budget)
    return ways


class Sentences:
    """Sentences of all texts by their cosine with the query, as many as fit into a budget."""

    def __init__(
        self, texts: Sequence[str], query: str, minilm: MiniLM, count: TokenCounter
    ) -> None:
        """Embed every sentence."""
        self._texts = texts
        self._spans = [
            (text, span.start, span.end)
            for text in range(len(texts))
            for span in segment(texts[text])
        ]
        said = [texts[text][start:end] for text, start, end in self._spans]
        self._tokens = [count(each) for each in said]
        self._ranks = order(minilm(query, said))

    def __call__(self, budget: int) -> list[str]:
        """What is kept of the texts, the one with the best sentence first.

        A sentence that does not fit is passed over, and shorter ones fill the rest.
        """
        kept: dict[int, list[tuple[int, int]]] = {}
        for rank in self._ranks:
            if self._tokens[rank] <= budget:
                budget -= self._tokens[rank]
                text, start, end = self._spans[rank]
                kept.setdefault(text, []).append((start, end))
        return [
            " ".join(self._texts[text][start:end].strip() for start, end in sorted(spans))
            for text, spans in kept.items()
        ]


def table(about: Row) -> str:
    """Right answers, what is left of them, tokens and seconds by method; sets count equally."""
    rows = about["rows"]
    names = [name for name in SETS if any(row["set"] == name for row in rows)]
    columns = ["right", "answer is in it", "tokens", "seconds", *(f"{n}: right" for n in names)]
    lines = [
        f"| what `{about['model']}` reads | {' | '.join(columns)} |",
        f"|---{'|---' * len(columns)}|",
    ]
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        sets = [row["set"] for row in mine]
        found = [
            interval(np.array([float(told(row)) for row in mine]), sets)
            for told in (
                itemgetter("right"),
                itemgetter("left"),
                itemgetter("tokens"),
                lambda row: row["choosing"] + row["reading"],
            )
        ]
        right, left, tokens, seconds = found
        cells = [
            f"{right.mean:.3f} ({right.low:.2f} to {right.high:.2f})",
            f"{left.mean:.3f}",
            f"{tokens.mean:,.0f}",
            f"{seconds.mean:.1f}",
            *(cell([r["right"] for r in mine if r["set"] == name], count=False) for name in names),
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    counts = ", ".join(
        f"{len({row['query'] for row in rows if row['set'] == name})} of {name}" for name in names
    )
    return "\n".join([*lines, "", f"Questions: {counts}.", ""])


if __name__ == "__main__":
    main()
