"""Selects and measures the heads of a trained model: `python -m tests.models.select {t5,bart,fid}`.

Heads are selected on look-ups of one seed, and measured on those of another.
"""

from __future__ import annotations

import argparse
import itertools
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from attnmass import AttentionRanker, CrossOptions, HeadProfile
from attnmass.models.sizes import fingerprint
from attnmass.options.declared import PointwiseReading
from tests.models.lookups import Lookup, lookups
from tests.models.train import make_model

FOLDER = Path(__file__).parent
N_DOCUMENTS, N_FACTS = 8, 3
SELECTED_ON, UNSEEN = 103, 10_000  # seeds; from the second on they are no training data
MOST_HEADS = 3
# How the models were trained to read; whose attention is read is the default of that.
CROSS = {"t5": CrossOptions(), "bart": CrossOptions(), "fid": CrossOptions(with_question=True)}


def cases(seed: int, n: int) -> list[Lookup]:
    """So many look-ups of a seed."""
    data = lookups(seed, n_documents=N_DOCUMENTS, n_facts=N_FACTS)
    return list(itertools.islice(data, n))


def masses(ranker: AttentionRanker, found: list[Lookup]) -> torch.Tensor:
    """What each head gives each document, `[case, head, document]`."""
    rows = [
        torch.stack([x.sum(dim=1) for x in ranker.attention(c.question, c.documents).chunks], dim=1)
        for c in found
    ]
    return torch.stack(rows)


def select(
    model: Any, tokenizer: Any, found: list[Lookup], cross: CrossOptions
) -> list[tuple[int, int]]:
    """Up to three heads, each added because it ranks more documents first, then by margin."""
    n_layers, n_heads = 2, 4
    every = list(itertools.product(range(n_layers), range(n_heads)))
    seen = masses(
        AttentionRanker(model, tokenizer, heads=every, reading=PointwiseReading(cross=cross)), found
    )
    right = torch.tensor([case.right for case in found])

    def quality(heads: list[int]) -> tuple[float, float]:
        mean = seen[:, heads].mean(dim=1)  # [case, document]
        mine = mean.gather(1, right[:, None])[:, 0]
        others = mean.scatter(1, right[:, None], -1).amax(dim=1)
        return float((mine > others).float().mean()), float((mine - others).mean())

    chosen: list[int] = []
    while len(chosen) < MOST_HEADS:
        best = max(
            (i for i in range(len(every)) if i not in chosen), key=lambda i: quality([*chosen, i])
        )
        if chosen and quality([*chosen, best]) <= quality(chosen):
            break
        chosen.append(best)
    return [every[i] for i in chosen]


def measure(ranker: AttentionRanker, found: list[Lookup]) -> dict[str, float]:
    """Shares of cases in which the right document came first, and trimming kept the right fact."""
    first = kept = 0
    for case in found:
        ranking = ranker.rank(case.question, case.documents)
        first += ranking.chunks[0].index == case.right
        trimmed = ranker.trim(
            case.question, case.documents, top_n=1, max_tokens=14, on_empty="raise"
        )
        kept += trimmed.chunks[0].text == case.fact
    return {"first": first / len(found), "fact_kept": kept / len(found)}


def main() -> None:
    """Select heads, write the profile, and say what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=[*CROSS])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = args.folder or FOLDER / args.kind
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    cross = CROSS[args.kind]
    heads = select(model, tokenizer, cases(SELECTED_ON, 100), cross)
    unseen = cases(UNSEEN, args.n)
    fresh = make_model(args.kind, len(tokenizer), args.seed).eval()

    def measured(model: Any, cross: CrossOptions) -> dict[str, float]:
        return measure(
            AttentionRanker(model, tokenizer, heads=heads, reading=PointwiseReading(cross=cross)),
            unseen,
        )

    result = {
        "trained": measured(model, cross),
        "trained, all rows": measured(model, replace(cross, rows="query")),
        "untrained": measured(fresh, cross),
        "chance": {"first": 1 / N_DOCUMENTS, "fact_kept": 1 / (N_DOCUMENTS * N_FACTS)},
        "cases": args.n,
    }
    profile = HeadProfile.from_heads(
        heads,
        model=f"tests/models/{args.kind}",
        layout="pointwise",
        fingerprint=fingerprint(model.config),
        source="fitted",
        fitted_on=f"100 look-ups of seed {SELECTED_ON} (tests/models/lookups.py)",
        measured=result,
    )
    (folder / "profile.json").write_text(profile.to_json(), encoding="utf-8")
    print(json.dumps({"heads": heads, **result}, indent=2))


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
