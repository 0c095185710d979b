"""What a fit found, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from attnmass.fitting.metrics import Floats, Interval, interval

Head = tuple[int, int]

METHOD_NAMES: Mapping[str, str] = {
    "single": "best single heads",
    "gold_mass": "mass on what is relevant (QRHead)",
    "likelihood": "likelihood of what is relevant",
    "contrastive": "against hard negatives (CoRe)",
    "stability": "forward selection, stable",
    "listwise": "L1 listwise regression",
}


@dataclass(frozen=True, slots=True)
class Score:
    """nDCG@10 of one way to rank.

    Attributes:
        name: `"profile"`, `"its heads alone"`, `"mid-depth default"`, `"bm25"` or `"all heads"`.
        queries: Over how many queries.
        ndcg: Mean and its interval, with sets weighted equally.
        by_set: The same for each set.
    """

    name: str
    queries: int
    ndcg: Interval
    by_set: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the profile is better than something else on the same queries.

    Attributes:
        other: What it is better than.
        ndcg: Difference of nDCG@10 and its interval.
    """

    other: str
    ndcg: Interval

    @property
    def better(self) -> bool:
        """Whether it is better on average."""
        return self.ndcg.mean > 0

    def __str__(self) -> str:
        word = "better" if self.better else "not better"
        return (
            f"{word} than {_TOLD.get(self.other, self.other)}: {self.ndcg.mean:+.3f} nDCG@10 "
            f"({self.ndcg.low:+.3f} to {self.ndcg.high:+.3f})"
        )


_TOLD = {"bm25": "BM25", "mid-depth default": "the mid-depth default"}


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve.

    Attributes:
        at: Number of heads, or the deepest layer that heads may be in, 0-based.
        method: How they were selected.
        null_query: Whether a null query's mass was subtracted.
        ndcg: Held-out nDCG@10.
    """

    at: int
    method: str
    null_query: bool
    ndcg: Interval


@dataclass(frozen=True, slots=True)
class Table:
    """A part of a report, as rows of words."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class FitReport:
    """How heads were fitted, and how good they are on queries that had no say.

    Attributes:
        model: The model's name.
        fingerprint: That of its config.
        layout: How chunks and query are laid out.
        data: How many queries each set has.
        folds: How many folds they were split into.
        heads: What was selected with all queries.
        weights: The weight of each.
        method: How they were selected.
        null_query: Whether a null query's mass is subtracted.
        scores: Those of the profile (each query scored by a selection that it had no part in) and
            of what it has to beat.
        differences: Those between them.
        heads_curve: Held-out quality by number of heads and method.
        layers_curve: Held-out quality by the deepest layer that heads may be in.
        folds_chose: What was selected without each fold: method and heads.
        best_single: The best heads by the nDCG@10 of each alone, on all queries.
        ranking: How mass is shared out among chunks, and held-out quality by the number of heads
            that do it, 0 for none.
        spans: How sentences are scored, where some are labelled.
        evidence: How evidence is told, where that was asked for and is told by masses.
        relevance: How relevance is told, where that was asked for and there is a background.
        fusing: How a retriever's order is weighted, where queries gave its scores.
        notes: What a reader should know, in sentences.
    """

    model: str
    fingerprint: str
    layout: str
    data: Mapping[str, int]
    folds: int
    heads: tuple[Head, ...]
    weights: tuple[float, ...]
    method: str
    null_query: bool
    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]
    heads_curve: tuple[Point, ...]
    layers_curve: tuple[Point, ...]
    folds_chose: tuple[tuple[str, tuple[Head, ...]], ...]
    best_single: tuple[tuple[Head, float], ...]
    ranking: Mapping[str, Any]
    spans: Mapping[str, Any] | None
    evidence: Mapping[str, Any] | None
    notes: tuple[str, ...]
    relevance: Mapping[str, Any] | None = None
    fusing: Mapping[str, Any] | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the profile should not be used, in sentences; none if it is better than all."""
        return tuple(str(one) for one in self.differences if not one.better)

    @property
    def better(self) -> bool:
        """Whether it is better than the mid-depth default and than BM25."""
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """All of it, in JSON's types."""
        told = asdict(self) | {"better": self.better, "reasons": self.reasons}
        return {name: _rounded(value) for name, value in told.items()}

    def to_json(self) -> str:
        """All of it, as JSON."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    def tables(self) -> Iterator[Table]:
        """What people want to see, best first."""
        yield score_table(self.scores, "nDCG@10 on queries that had no say")
        counts = sorted({point.at for point in self.heads_curve})
        yield Table(
            "Number of heads, held-out nDCG@10",
            ("method", *map(str, counts)),
            tuple(self._curve_rows(counts)),
        )
        yield Table(
            "Heads that share mass out, held-out nDCG@10",
            ("", *self.ranking["by_count"]),
            (("", *(f"{mean:.3f}" for mean, _, _ in self.ranking["by_count"].values())),),
        )
        yield Table(
            "Deepest layer, held-out nDCG@10",
            ("layers up to", "nDCG@10", "95%"),
            tuple(
                (str(one.at), f"{one.ndcg.mean:.3f}", _range(one.ndcg)) for one in self.layers_curve
            ),
        )
        yield Table(
            "Selected without each fold",
            ("fold", "method", "heads"),
            tuple(
                (str(fold), METHOD_NAMES[method], written(heads))
                for fold, (method, heads) in enumerate(self.folds_chose, 1)
            ),
        )
        yield Table(
            "Best single heads, all queries",
            ("head", "nDCG@10"),
            tuple((written([head]), f"{value:.3f}") for head, value in self.best_single),
        )

    def lines(self) -> Iterator[str]:
        """The outcome, in sentences."""
        queries = ", ".join(f"{count} of {name}" for name, count in self.data.items())
        yield f"{self.model}, layout {self.layout}: {queries} queries, {self.folds} folds"
        what = ", null query subtracted" if self.null_query else ""
        yield f"heads {written(self.heads, self.weights)} ({METHOD_NAMES[self.method]}{what})"
        yield str(self.ranking["told"])
        for one in self.differences:
            yield str(one)
        for found in (self.spans, self.evidence, self.relevance, self.fusing):
            if found is not None:
                yield str(found["told"])
        yield from self.notes

    def to_markdown(self) -> str:
        """A page with all tables."""
        parts = [f"# Heads of {self.model}, layout {self.layout}", ""]
        parts += [f"- {line}" for line in self.lines()]
        for table in self.tables():
            parts += ["", f"## {table.title}", "", *markdown(table)]
        return "\n".join(parts) + "\n"

    def _curve_rows(self, counts: Sequence[int]) -> Iterator[tuple[str, ...]]:
        rows: dict[tuple[str, bool], dict[int, float]] = {}
        for point in self.heads_curve:
            rows.setdefault((point.method, point.null_query), {})[point.at] = point.ndcg.mean
        for (method, null_query), values in rows.items():
            name = METHOD_NAMES[method] + (", less null" if null_query else "")
            yield (name, *(f"{values[at]:.3f}" if at in values else "" for at in counts))


def score_of(name: str, values: Floats, sets: Sequence[str]) -> Score:
    """A score from nDCG@10 of each query, `[query]`, and the name of each query's set."""
    by_set = {
        one: interval(values[[i for i, found in enumerate(sets) if found == one]])
        for one in dict.fromkeys(sets)
    }
    return Score(name, len(values), interval(values, sets), by_set)


def score_table(scores: Sequence[Score], title: str) -> Table:
    """Scores of ways to rank, with a column for each set."""
    names = list(scores[0].by_set)
    columns = names if len(names) > 1 else []
    return Table(
        title,
        ("", "nDCG@10", "95%", *columns),
        tuple(
            (
                _LABELS.get(one.name, one.name),
                f"{one.ndcg.mean:.3f}",
                _range(one.ndcg),
                *(f"{one.by_set[name].mean:.3f} ({_range(one.by_set[name])})" for name in columns),
            )
            for one in scores
        ),
    )


_LABELS = {"bm25": "BM25", "its heads alone": "its heads, mass not shared out"}


def written(heads: Sequence[Head], weights: Sequence[float] = ()) -> str:
    """Heads as people write them, with their weights where these differ."""
    if len(set(weights)) < 2:
        return " ".join(f"{layer}-{head}" for layer, head in heads)
    pairs = zip(heads, weights, strict=True)
    return " ".join(f"{layer}-{head} ({weight:.2f})" for (layer, head), weight in pairs)


def _range(found: Interval) -> str:
    return f"{found.low:.3f} to {found.high:.3f}"


def markdown(table: Table) -> Iterator[str]:
    """The lines of a table in Markdown."""

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    yield row(table.columns)
    yield "|" + "---|" * len(table.columns)
    for cells in table.rows:
        yield row(cells)


def _rounded(value: Any) -> Any:
    """Floats rounded to what is worth reporting."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
