"""What trimming keeps and what evidence shows, on queries and articles that chose nothing.

python -m benchmarks.trimming DATA_FOLDER [--limit N] [--only PART ...]
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from attnmass import AttentionRanker, Trim
from attnmass.text.segmentation import segment
from attnmass.trimming import TokenCounter
from attnmass.trimming.candidates import Candidate
from attnmass.trimming.select import choose
from benchmarks.antecedents import picks_of_heads, test_items
from benchmarks.data import N_FIT
from benchmarks.evidence import SHAPES, pairs, shaped
from benchmarks.sentence_baselines import (
    AllHeads,
    BM25Sentences,
    LlamaIndexOptimizer,
    MiniLMSentences,
    RagCompressAttention,
    SentenceScorer,
)
from benchmarks.sentence_data import read_answers, read_sentences
from benchmarks.sentence_metrics import PERCENTS, answer_survives, auc, share_kept
from benchmarks.spans import AttentionSpans, Spans

RESULTS = Path(__file__).parent / "results" / "trimming.json"

BUDGETS = (800, 400, 200)
SLOW_QUERIES = 10  # for ragcompress, which takes up to a minute for one on two cores
SHAPED_QUERIES = 15  # of each set, which are also asked in the other shapes
EVIDENCE_SETS = ("hotpotqa_paragraphs", "hotpotqa_sentences", "musique", "nq")
MODEL = "smollm2-135m"

Row = dict[str, Any]


def main() -> None:
    """Measure and store one value for each query and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--limit", type=int, help="queries of each set (default: all)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    known: dict[str, Any] = {}
    if arguments.out.exists():
        known = json.loads(arguments.out.read_text(encoding="utf-8"))
    ranker = AttentionRanker.from_pretrained(MODEL)
    known["profile"] = json.loads(ranker.profile.to_json())
    known["fit_queries_left_out"] = N_FIT
    for part in arguments.only:
        known[part] = list(PARTS[part](ranker, arguments.data, arguments.limit))
        text = json.dumps(known, separators=(",", ":")).replace("},{", "},\n{")
        arguments.out.write_text(text + "\n", encoding="utf-8")


def sentences(ranker: AttentionRanker, folder: Path, limit: int | None) -> Iterator[Row]:
    """Area under ROC and shares kept of labelled supporting sentences; no such query fitted."""
    scorers: dict[str, SentenceScorer] = {
        "attnmass": AttentionSpans(ranker),
        "all heads": AllHeads(),
        "BM25": BM25Sentences(),
        "MiniLM cosine": MiniLMSentences(),
        "SentenceEmbeddingOptimizer": LlamaIndexOptimizer(),
        "ragcompress": RagCompressAttention(),
    }
    count = TokenCounter(ranker._plain.as_reader())
    for number, item in enumerate(tqdm(read_sentences(folder)[:limit], desc="sentences")):
        tokens = item.tokens(count)
        for method, scorer in scorers.items():
            if method == "ragcompress" and number >= SLOW_QUERIES:
                continue
            found = scorer(item.query, item.texts, item.spans)
            flat = [score for each in found for score in each]
            yield {
                "query": number,
                "method": method,
                "auc": round(auc(item.relevant, flat), 5),
                **{
                    str(percent): round(share_kept(item.relevant, flat, tokens, percent), 5)
                    for percent in PERCENTS
                },
            }


def answers(ranker: AttentionRanker, folder: Path, limit: int | None) -> Iterator[Row]:
    """Whether an answer that the candidates say is still said within a budget of tokens."""
    count = TokenCounter(ranker._plain.as_reader())
    others: dict[str, SentenceScorer] = {
        "BM25": BM25Sentences(),
        "MiniLM cosine": MiniLMSentences(),
    }
    for number, item in enumerate(tqdm(read_answers(folder)[N_FIT["nq"] :][:limit], desc="nq")):
        if answer_survives(item.texts, item.texts, item.answers) is None:
            continue
        whole = [item.texts[c.index] for c in ranker.rank(item.query, item.texts).chunks]
        scored = {name: _spans(scorer, item.query, item.texts) for name, scorer in others.items()}
        for budget in BUDGETS:
            trimmed = ranker.trim(item.query, item.texts, max_tokens=budget)
            kept = {
                "attnmass": [chunk.text for chunk in trimmed.chunks],
                "attnmass, whole chunks": _whole(whole, budget, count),
                **{
                    name: _packed(item.texts, spans, budget, count)
                    for name, spans in scored.items()
                },
            }
            for method, texts in kept.items():
                yield {
                    "query": number,
                    "method": method,
                    "budget": budget,
                    "tokens": count.total(texts),
                    "survives": int(bool(answer_survives(item.texts, texts, item.answers))),
                }


def _spans(scorer: SentenceScorer, query: str, texts: tuple[str, ...]) -> list[list[float]]:
    return scorer(query, texts, _cut(texts))


def _cut(texts: tuple[str, ...]) -> Spans:
    return [[(s.start, s.end) for s in segment(text)] for text in texts]


def _packed(
    texts: tuple[str, ...], scores: list[list[float]], budget: int, count: TokenCounter
) -> list[str]:
    """The same choice of the same spans by another method's scores."""
    candidates = [
        Candidate(text, segment(text), mine, mine, lambda kept: kept)
        for text, mine in zip(texts, scores, strict=True)
    ]
    chosen = choose(candidates, Trim(max_tokens=budget, on_empty="empty"), count)
    return [text for text in chosen.texts if text]


def _whole(texts: list[str], budget: int, count: TokenCounter) -> list[str]:
    """Chunks as they are, best first, those that fit."""
    kept: list[str] = []
    for text in texts:
        if count.total([*kept, text]) <= budget:
            kept.append(text)
    return kept


def evidence(ranker: AttentionRanker, folder: Path, limit: int | None) -> Iterator[Row]:
    """Evidence with the supporting chunks and with other queries' chunks in their place."""
    for name in EVIDENCE_SETS:
        part = pairs(folder, name)[N_FIT.get(name, 0) :][:limit]
        for number, pair in enumerate(tqdm(part, desc=f"evidence of {name}")):
            for shape in SHAPES if number < SHAPED_QUERIES else SHAPES[:1]:
                varied = shaped(pair, shape)
                with_it = ranker.rank(varied.query, varied.present)
                without = ranker.rank(varied.query, varied.absent)
                yield {
                    "set": name,
                    "query": number,
                    "shape": shape,
                    "present": round(with_it.evidence, 6),
                    "absent": round(without.evidence, 6),
                    "supporting_chunk_first": varied.relevant[with_it.chunks[0].index],
                }


def context(ranker: AttentionRanker, folder: Path, limit: int | None) -> Iterator[Row]:
    """Whether what a sentence leans on is picked, by attention, by nearness and by chance."""
    items = test_items()[:limit]
    profile = ranker.profile
    head = profile.all_heads.index(profile.context[0])
    exact = AttentionRanker.from_pretrained(MODEL, dtype="float32")
    picks = picks_of_heads(exact, items)[:, head]
    for number, (item, pick) in enumerate(zip(items, picks, strict=True)):
        yield {
            "item": number,
            "article": item.article,
            "attention": int(pick),
            "sentence before": int(item.sentence - 1 in item.antecedents),
            "chance": round(len(item.antecedents) / item.sentence, 5),
        }


PARTS: dict[str, Callable[[AttentionRanker, Path, int | None], Iterator[Row]]] = {
    "sentences": sentences,
    "answers": answers,
    "evidence": evidence,
    "context": context,
}


if __name__ == "__main__":
    main()
