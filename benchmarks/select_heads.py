"""Select the heads of a model on labelled queries, and write its profile.

Heads that only help on some draws of the queries do not transfer, so the selection is repeated:
forward selection with equal weights among the best single heads, on bootstrap samples of the
queries; the heads that most samples chose are kept (stability selection, Meinshausen and Bühlmann,
2010; equal weights and single-head ranking as in QRHead, arXiv 2506.09944).


In the joint layout heads are selected with and without the null query's mass subtracted, and what
is better on the same queries is kept.

python -m benchmarks.select_heads DATA_FOLDER [--model NAME] [--layout NAME] [--out FILE]
"""

from __future__ import annotations

import argparse
import random
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from attnmass import AttentionRanker, HeadProfile
from attnmass.capture import Head
from attnmass.profiles import fingerprint
from attnmass.profiles.profile import every_head
from benchmarks.data import N_FIT, SETS, Labelled, fit_part, test_part
from benchmarks.metrics import interval, ndcg_at_10

CANDIDATES = 16  # best single heads that take part
ROUNDS = 40  # bootstrap samples
LEAST_GAIN = 0.001  # nDCG that one more head has to bring
MOST_HEADS = 6

PROFILES = Path(__file__).parents[1] / "attnmass" / "profiles"


def main() -> None:
    """Capture, select, measure on other queries, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--layout", help="default: the one that suits the kind of model")
    parser.add_argument("--direction", help="of the layout pointwise, see its module")
    parser.add_argument("--out", type=Path, help="default: the package's own profile of the model")
    parser.add_argument("--limit", type=int, help="queries of each set, to try the script out")
    parser.add_argument("--measure", type=int, default=100, help="held-out queries of each set")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    options = {"layout": arguments.layout, "cache_bytes": 0, "rank_by": "attention"}
    if arguments.direction is not None:
        options["direction"] = arguments.direction
    everything = AttentionRanker.from_pretrained(arguments.model, heads="all", **options)
    config, layout = config_of(everything), everything.profile.layout
    heads = every_head(config)
    out = arguments.out or PROFILES / f"{arguments.model.replace('/', '--')}.{layout}.json"
    out.touch()  # fails now rather than in the end
    fitted = {
        name: fit_part(arguments.data, name)[: arguments.limit] for name in SETS if N_FIT[name]
    }
    captured = {
        name: [_masses(everything, q) for q in tqdm(part, desc=name)]
        for name, part in fitted.items()
    }
    chosen: list[Head] = []
    null_query, best = False, 0.0
    for subtract in (False, True) if layout == "joint" else (False,):
        masses = {
            name: [found - null * subtract for found, null in part]
            for name, part in captured.items()
        }
        selected, shares, value = select(heads, fitted, masses)
        print("null query subtracted:", subtract, "nDCG@10 where it was fitted:", value)
        print("chosen in so many of the samples:", {heads[i]: s for i, s in shares.items()})
        if value > best:
            chosen, null_query, best = selected, subtract, value

    profile = HeadProfile.from_heads(
        chosen,
        model=arguments.model,
        layout=layout,
        direction=everything.profile.direction,
        null_query=null_query,
        fingerprint=fingerprint(config),
        source="fitted",
        fitted_on=", ".join(f"the first {len(part)} of {name}" for name, part in fitted.items()),
    )
    ranker = AttentionRanker.from_pretrained(arguments.model, profile=profile, **options)
    measured = {}
    for name in SETS:
        part = test_part(arguments.data, name)[: arguments.measure]
        found = interval(
            [
                ndcg_at_10(q.relevant, ranker.rank(q.query, q.texts).scores)
                for q in tqdm(part, desc=f"measure {name}")
            ]
        )
        measured[name] = {
            "queries": len(part),
            "ndcg@10": round(found.mean, 3),
            "interval95": [round(found.low, 3), round(found.high, 3)],
        }
    profile = replace(profile, measured=measured)
    out.write_text(profile.to_json(), encoding="utf-8")
    print(out, profile.to_json())


def select(
    heads: Sequence[Head],
    fitted: dict[str, list[Labelled]],
    captured: dict[str, list[np.ndarray]],
) -> tuple[list[Head], dict[int, float], float]:
    """Heads that at least half of the bootstrap samples choose.

    Args:
        heads: Heads in the order of the captured arrays.
        fitted: Queries by set; each set counts alike.
        captured: For each query the mass by head and chunk, `[head, chunk]`.

    Returns:
        The heads, most often chosen first, the share of samples of every head chosen at all, and
        the mean nDCG@10 of the heads on these queries.
    """
    known: dict[tuple[int, ...], list[np.ndarray]] = {}

    def values(indices: Sequence[int]) -> list[np.ndarray]:
        """nDCG@10 of each query of each set with these heads weighed alike."""
        key = tuple(sorted(indices))
        if key not in known:
            known[key] = [
                np.array(
                    [
                        ndcg_at_10(query.relevant, masses[list(key)].mean(axis=0))
                        for query, masses in zip(fitted[name], captured[name], strict=True)
                    ]
                )
                for name in fitted
            ]
        return known[key]

    def mean(indices: Sequence[int], samples: Sequence[Sequence[int]]) -> float:
        parts = zip(values(indices), samples, strict=True)
        return float(np.mean([part[list(sample)].mean() for part, sample in parts]))

    everyone = [range(len(part)) for part in fitted.values()]
    alone = {i: mean([i], everyone) for i in tqdm(range(len(heads)), desc="single heads")}
    candidates = sorted(alone, key=lambda i: -alone[i])[:CANDIDATES]
    print("best single heads:", [(heads[i], round(alone[i], 3)) for i in candidates])

    generator = random.Random(0)
    times: Counter[int] = Counter()
    for _ in tqdm(range(ROUNDS), desc="samples"):
        samples = [generator.choices(part, k=len(part)) for part in everyone]
        selected: list[int] = []
        best = 0.0
        while len(selected) < MOST_HEADS:
            gains = {i: mean([*selected, i], samples) for i in candidates if i not in selected}
            head = max(gains, key=lambda i: gains[i])
            if gains[head] < best + LEAST_GAIN:
                break
            best = gains[head]
            selected.append(head)
        times.update(selected)
    shares = {i: count / ROUNDS for i, count in times.most_common()}
    often = [i for i, share in shares.items() if share >= 0.5]
    return [heads[i] for i in often], shares, mean(often, everyone)


def config_of(ranker: AttentionRanker) -> Any:
    """The config of a ranker's model."""
    return ranker._layout._reader.config  # type: ignore[attr-defined]


def all_heads(model: str) -> list[Head]:
    """Every `(layer, head)` of a model."""
    return every_head(config_of(AttentionRanker.from_pretrained(model, rank_by="attention")))


def masses_of(ranker: AttentionRanker, query: Labelled) -> np.ndarray:
    """Mass of every head on every chunk, `[head, chunk]`."""
    return _masses(ranker, query)[0]


def _masses(ranker: AttentionRanker, query: Labelled) -> tuple[np.ndarray, np.ndarray]:
    """Mass of every head on every chunk, `[head, chunk]`, of the query and of a null query."""
    found = ranker.attention(query.query, query.texts)
    mass = np.stack([chunk.sum(dim=1).numpy() for chunk in found.chunks], axis=1)
    if found.null is None:
        return mass, np.zeros_like(mass)
    return mass, np.stack([chunk.sum(dim=1).numpy() for chunk in found.null], axis=1)


if __name__ == "__main__":
    main()
