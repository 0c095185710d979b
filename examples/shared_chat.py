"""What the two chat programs share: their arguments, and how an answer is shown."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from attnmass import Ranking
from attnmass.results.attribution import Attribution
from attnmass.results.citations import Cited

PROMPT = "{context}\n\nAnswer in one sentence: {question}"
FETCHED = 500  # chunks, out of a good thousand
BEST = 2  # of them, which are trimmed
BUDGET = 120  # tokens, which the generator reads


def arguments(program: str) -> tuple[Iterator[str], Path]:
    """The questions, and the folder that keeps what was read, so that a second start is quick."""
    parser = argparse.ArgumentParser(description="Ask the articles in examples/data.")
    parser.add_argument("questions", nargs="*", help="default: the lines of stdin")
    parser.add_argument("--folder", type=Path, default=Path("build", program))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    return iter(given.questions) if given.questions else _lines(), given.folder


def _lines() -> Iterator[str]:
    if sys.stdin.isatty():
        print("Ask, and end with Ctrl-D.", flush=True)
    yield from filter(None, map(str.strip, sys.stdin))


def show(question: str, ranking: Ranking, cited: Cited, answer: Attribution | None) -> None:
    """Print the answer with numbers, what they stand for, and how much was read for it."""
    said = "Nothing in these articles answers that."
    print(f"> {question}")
    print(_folded(said if answer is None else _numbered(answer, cited)))
    for source in cited.sources:
        place = f"{source.metadata['title']}, characters {source.doc_start} to {source.doc_end}"
        print(_folded(f"{source.number}  {place}: {source.text}", indent=2))
    print(
        f"  evidence {ranking.evidence:.3f}; "
        f"chunks fetched: {len(ranking.scores)}, of {ranking.n_tokens_before:,} tokens; "
        f"read by the model: {len(ranking.chunks)}, of {ranking.n_tokens_after} tokens\n",
        flush=True,
    )


def _numbered(answer: Attribution, cited: Cited) -> str:
    """The answer, and after each sentence the number of the span that it looked at most."""
    parts = []
    for sentence in answer.sentences:
        numbers = [
            cited.marker.format(n=source.number)
            for source in cited.sources
            for span in sentence.spans[:1]
            if source.chunk == span.chunk and source.text == span.text
        ]
        parts.append(" ".join([sentence.text, *numbers]))
    return " ".join(parts)


def _folded(text: str, indent: int = 0) -> str:
    """Lines of at most 96 characters; only white space is changed."""
    return textwrap.fill(
        " ".join(text.split()),
        width=96,
        initial_indent=" " * indent,
        subsequent_indent=" " * 2 * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
