"""A cross-encoder trained on labelled questions, beside the attention of a model that was not.

python -m benchmarks.cross_encoder DATA_FOLDER [--limit N] [--epochs N]

No package that we know of carries the weights of a trained cross-encoder, so all-MiniLM-L6-v2 is
turned into one with sentence-transformers, as somebody with labelled questions would do instead of
`attnmass fit`: once on the very queries that the shipped late profile was fitted on, and once on
all queries of nq and hotpotqa_paragraphs that it is not judged on. musique gives none. Training
uses binary cross-entropy, each relevant chunk against four drawn from the query's others. It needs
`pip install datasets`.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import (
    CrossEncoderTrainer,
    CrossEncoderTrainingArguments,
)
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
from tqdm import tqdm

from benchmarks.baselines import minilm_path
from benchmarks.data import SETS, Labelled, fit_part, test_part
from benchmarks.metrics import ndcg_at_10, recall_at_2

RESULTS = Path(__file__).parent / "results" / "cross_encoder.json"
NEGATIVES = 4  # for each relevant chunk
FEW, ALL = "trained on the profile's queries", "trained on all queries that are not judged"


def main() -> None:
    """Train both, judge them on the first queries that neither saw, store one value each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--limit", type=int, default=60, help="queries of each set judged on")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    training: dict[str, dict[str, float]] = {}
    for method in (FEW, ALL):
        queries = [
            query
            for name in ("nq", "hotpotqa_paragraphs")
            for query in (
                fit_part(arguments.data, name)
                if method == FEW
                else fit_part(arguments.data, name)
                + test_part(arguments.data, name)[arguments.limit :]
            )
        ]
        started = time.process_time()
        model, pairs = trained(queries, arguments.epochs)
        training[method] = {
            "queries": len(queries),
            "pairs": pairs,
            "cpu_seconds": round(time.process_time() - started, 1),
        }
        for name in SETS:
            asked = test_part(arguments.data, name)[: arguments.limit]
            for number, item in enumerate(tqdm(asked, desc=f"{method}: {name}")):
                scores = scored(model, item.query, item.texts)
                rows.append(
                    {
                        "set": name,
                        "query": number,
                        "method": method,
                        "ndcg@10": round(ndcg_at_10(item.relevant, scores), 5),
                        "recall@2": round(recall_at_2(item.relevant, scores), 5),
                    }
                )
        about = {"epochs": arguments.epochs, "training": training, "rows": rows}
        text = json.dumps(about, separators=(",", ":")).replace("},{", "},\n{")
        arguments.out.write_text(f"{text}\n", encoding="utf-8")


def trained(queries: Sequence[Labelled], epochs: int) -> tuple[CrossEncoder, int]:
    """all-MiniLM-L6-v2 with a head for one label, trained, and the number of training pairs."""
    pairs: dict[str, list[Any]] = {"query": [], "text": [], "label": []}
    draw = random.Random(0)
    for query in queries:
        others = [i for i, yes in enumerate(query.relevant) if not yes]
        for i, yes in enumerate(query.relevant):
            if not yes:
                continue
            for each in (i, *draw.sample(others, min(NEGATIVES, len(others)))):
                pairs["query"].append(query.query)
                pairs["text"].append(query.texts[each])
                pairs["label"].append(float(query.relevant[each]))
    torch.manual_seed(0)
    model = CrossEncoder(str(minilm_path()), num_labels=1, max_length=256, device="cpu")
    with tempfile.TemporaryDirectory() as place:
        CrossEncoderTrainer(
            model=model,
            args=CrossEncoderTrainingArguments(
                output_dir=place,
                num_train_epochs=epochs,
                per_device_train_batch_size=16,
                learning_rate=5e-5,
                warmup_steps=0.1,
                save_strategy="no",
                report_to="none",
                seed=0,
                use_cpu=True,
            ),
            train_dataset=Dataset.from_dict(pairs),
            loss=BinaryCrossEntropyLoss(model),
        ).train()
    return model, len(pairs["label"])


def scored(model: CrossEncoder, query: str, texts: Sequence[str]) -> list[float]:
    """One logit for each text."""
    found = model.predict([(query, text) for text in texts], show_progress_bar=False)
    return [float(score) for score in found]


if __name__ == "__main__":
    main()
