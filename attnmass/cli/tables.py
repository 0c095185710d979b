"""Rankings and lists as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attnmass.cli.items import Question
from attnmass.cli.printable import on_one_line, printable
from attnmass.explain.shown import why_dropped
from attnmass.results.ranking import Ranking
from attnmass.results.saving import Saving

if TYPE_CHECKING:
    from attnmass.fitting.reports.report import Table as ReportTable

_SHORT = 12  # characters
_SNIPPET = 400  # characters, more than a line can show


def print_ranking(question: Question, ranking: Ranking, *, trimmed: bool, labelled: bool) -> None:
    """A table of what is kept, and a line about evidence, tokens and what was dropped."""
    console = Console(highlight=False)
    if labelled:
        console.print(_cell(question.query), style="bold")
    if ranking.chunks:
        console.print(_table(question, ranking, trimmed, console.width))
    console.print(Text(summary(ranking)), style="yellow" if ranking.no_evidence else "dim")
    if ranking.saving is not None:
        print_table(("chunk", "spans kept", "left out"), _lost(question, ranking.saving))
    if labelled:
        console.print()


def _table(question: Question, ranking: Ranking, trimmed: bool, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True, show_lines=trimmed)
    given = any(chunk.retrieval_score is not None for chunk in ranking.chunks)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True, style="bold")
    if given:
        table.add_column("given", justify="right", no_wrap=True)
    table.add_column("chunk", max_width=max(12, width // 3), overflow="fold", style="cyan")
    table.add_column(
        "kept text" if trimmed else "text",
        ratio=1,
        no_wrap=not trimmed,
        overflow="fold" if trimmed else "ellipsis",
    )
    for rank, chunk in enumerate(ranking.chunks, 1):
        item = question.items[chunk.index]
        cells = [Text(str(rank)), Text(f"{chunk.score:.4f}")]
        if given:
            score = chunk.retrieval_score
            cells.append(Text("" if score is None else f"{score:.4g}"))
        label = _cell(item.label)
        if item.chunk.title and item.chunk.title != item.label:
            label.append(f"\n{printable(item.chunk.title)}", style="dim")
        text = chunk.text if trimmed else on_one_line(chunk.text, _SNIPPET)
        if chunk.skipped is not None:
            text = f"({chunk.skipped}: not scored)"
        table.add_row(*cells, label, _cell(text))
    return table


def summary(ranking: Ranking) -> str:
    """One line about a ranking."""
    found = f"evidence {ranking.evidence:.3f}"
    parts = [f"{found}, likely not in here" if ranking.no_evidence else found]
    if ranking.n_tokens_before is not None:
        parts.append(f"{ranking.n_tokens_before:,} → {ranking.n_tokens_after:,} tokens")
    parts.append(f"{len(ranking.chunks)} of {len(ranking.chunks) + len(ranking.dropped)} chunks")
    reasons = dict.fromkeys(chunk.dropped for chunk in ranking.dropped)
    counts = [
        f"{sum(chunk.dropped == reason for chunk in ranking.dropped)} {_named(reason)}"
        for reason in reasons
    ]
    if counts:
        parts.append(f"dropped: {', '.join(counts)}")
    return " · ".join(parts)


def _lost(question: Question, saving: Saving) -> Iterator[tuple[str, str, str]]:
    """A row for each chunk: what a dry run would have left of it, and why no more."""
    for chunk in sorted((*saving.chunks, *saving.dropped), key=lambda chunk: chunk.index):
        reasons = Counter(span.reason for span in chunk.spans if not span.kept)
        if not chunk.spans and chunk.dropped:
            reasons[chunk.dropped] += 1
        told = ", ".join(f"{n} {why_dropped(reason)}" for reason, n in reasons.most_common())
        kept = f"{len(chunk.kept_spans)} of {len(chunk.spans)}" if chunk.spans else "none"
        yield question.items[chunk.index].label, kept, told


def _named(reason: str | None) -> str:
    """A reason by the option that it comes of, or in words where no option was passed."""
    return why_dropped(reason) if reason in ("min_relevance", "duplicate") else str(reason)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain list for people; what is short stays on one line."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    rows = list(rows)
    for name, *cells in zip(columns, *rows, strict=True):
        table.add_column(name, overflow="fold", no_wrap=max(map(len, (name, *cells))) <= _SHORT)
    for row in rows:
        table.add_row(*map(_cell, row))
    Console(highlight=False).print(table)


def print_report(lines: Iterable[str], tables: Iterable[ReportTable]) -> None:
    """Sentences, then tables, for people."""
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(_cell(line))
    for one in tables:
        console.print()
        console.print(_cell(one.title), style="bold")
        print_table(one.columns, one.rows)


def _cell(text: str) -> Text:
    return Text(printable(text))
