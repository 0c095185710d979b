"""LlamaIndex: an evaluator of what a model would read: how much, and is the answer in it?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpus import embedding_model
from llama_index.core.evaluation import BaseEvaluator, EvaluationResult
from llama_index.core.prompts.mixin import PromptDictType
from rich.console import Console
from rich.table import Table
from shared_llama_index import open_whole_index
from transformers import AutoTokenizer
from transformers.utils import logging

from llama_index_attn import AttentionRerank

logging.set_verbosity_error()
LABELLED = Path(__file__).parent / "data" / "labelled.jsonl"


class AnswerIsThere(BaseEvaluator):
    """Whether the contexts contain the answer; no model judges it."""

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        """There are none."""

    async def aevaluate(
        self,
        query: str | None = None,
        response: str | None = None,
        contexts: Sequence[str] | None = None,
        reference: str = "",
        **options: Any,
    ) -> EvaluationResult:
        """See `BaseEvaluator`; `reference` is the answer."""
        passing = any(reference in context for context in contexts or ())
        return EvaluationResult(query=query, contexts=contexts, passing=passing)


def main() -> None:
    """Print the tokens and answers left by each way to choose from 20 chunks."""
    retriever = open_whole_index().as_retriever(similarity_top_k=20)
    asked = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    fetched = [retriever.retrieve(each["question"]) for each in asked]
    tokenizer = AutoTokenizer.from_pretrained(embedding_model())
    evaluator = AnswerIsThere()

    ways: dict[str, int | AttentionRerank] = {"all that is fetched": 20, "the first 5": 5}
    ways["the best 5, reranked"] = AttentionRerank(top_n=5)
    for budget in (200, 100, 50):
        ways[f"trimmed to {budget} tokens"] = AttentionRerank(top_n=None, max_tokens=budget)
    table = Table("what a model would read", "tokens", f"answers left, of {len(asked)}")
    for name, way in ways.items():
        tokens, left = 0, 0
        for each, nodes in zip(asked, fetched, strict=True):
            question, answer = each["question"], each["answer"]
            chosen = (
                nodes[:way]
                if isinstance(way, int)
                else way.postprocess_nodes(nodes, None, question)
            )
            contexts = [node.get_content() for node in chosen]
            tokens += sum(len(tokenizer.tokenize(context)) for context in contexts)
            left += bool(evaluator.evaluate(question, "", contexts, reference=answer).passing)
        table.add_row(name, f"{tokens / len(asked):,.0f}", str(left))
    Console().print(table)


if __name__ == "__main__":
    main()
