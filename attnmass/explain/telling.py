"""Results in a few lines, for people who print them, and as plain data, for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from attnmass.options.checks import finite
from attnmass.text.lines import beginning, counted

if TYPE_CHECKING:
    import pandas as pd

    from attnmass.results.attribution import Attribution
    from attnmass.results.ranking import Ranking
    from attnmass.results.saving import Saving
    from attnmass.scoring.ranked import RankedChunk

_COLUMNS = (
    *("rank", "index", "score", "share", "relevance", "mass", "logit", "retrieval_score"),
    *("n_tokens", "n_windows", "n_spans", "n_kept_spans", "skipped", "dropped", "text"),
)

_BEST = 5  # lines of a list; the rest are counted


def picked(one: object, *names: str) -> dict[str, Any]:
    """Some fields by their names."""
    return {name: getattr(one, name) for name in names}


def by_reason(chunks: Iterable[RankedChunk]) -> str:
    """How many chunks were dropped for each reason, most first: `"40 top_n, 3 min_relevance"`."""
    reasons = Counter(chunk.dropped or "dropped" for chunk in chunks)
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())


def ranking_lines(ranking: Ranking) -> str:
    """A ranking: what was found, the best chunks, what was dropped and why, the notes."""
    n_all, n_kept = len(ranking.scores), len(ranking.chunks)
    head = f"Ranking of {counted(n_all, 'chunk')} for {beginning(ranking.query)}: {n_kept:,} kept"
    found = f"evidence {ranking.evidence:.3f}"
    if ranking.no_evidence:
        threshold = None if ranking.trace is None else ranking.trace.threshold
        found += ", below the threshold" + ("" if threshold is None else f" of {threshold:.3f}")
    lines = [f"{head}, {found}"]
    lines += [
        f"  {place}. chunks[{chunk.index}]  {_numbers(chunk)}  {beginning(chunk.text)}"
        for place, chunk in enumerate(ranking.chunks[:_BEST], start=1)
    ]
    if n_kept > _BEST:
        lines.append(f"  and {n_kept - _BEST:,} more in .chunks")
    if ranking.dropped:
        lines.append(f"  dropped {len(ranking.dropped):,}: {by_reason(ranking.dropped)}")
    if ranking.n_tokens_before is not None:
        lines.append(f"  tokens {ranking.n_tokens_before:,} -> {ranking.n_tokens_after or 0:,}")
    if ranking.saving is not None:
        lines.append(f"  {ranking.saving}")
    notes = [note for note in ranking.notes if note != str(ranking.saving)]  # that is told already
    lines += [f"  note: {note}" for note in notes[:2]]
    if len(notes) > 2:
        lines.append(f"  and {len(notes) - 2:,} more in .notes")
    return "\n".join(lines)


def _numbers(chunk: RankedChunk) -> str:
    relevance = "" if chunk.relevance is None else f"  relevance {chunk.relevance:.3f}"
    return f"score {chunk.score:.4f}{relevance}"


def attribution_lines(attribution: Attribution) -> str:
    """An attribution: its sentences, the support of each, and the span that each looked at most."""
    sentences = attribution.sentences
    head = (
        f"Attribution of {counted(len(sentences), 'sentence')} to "
        f"{counted(len(attribution.scores), 'chunk')}"
    )
    if attribution.threshold is not None:
        head += f": {len(attribution.unsupported)} unsupported below {attribution.threshold:.3f}"
    lines = [head]
    for place, each in enumerate(sentences[: 2 * _BEST], start=1):
        line = f"  {place}. support {each.support:.4f}  {beginning(each.text, 40)}"
        if each.spans:
            best = each.spans[0]
            line += f" <- chunks[{best.chunk}] {beginning(best.text, 40)}"
        lines.append(line)
    if len(sentences) > 2 * _BEST:
        lines.append(f"  and {len(sentences) - 2 * _BEST:,} more in .sentences")
    return "\n".join(lines)


def ranking_data(ranking: Ranking) -> dict[str, Any]:
    """See `Ranking.to_dict`."""
    profile = ranking.profile
    about = ("query", "evidence", "no_evidence", "n_tokens_before", "n_tokens_after")
    return {
        **picked(ranking, *about),
        "chunks": [chunk_data(chunk, place) for place, chunk in enumerate(ranking.chunks, 1)],
        "dropped": [chunk_data(chunk) for chunk in ranking.dropped],
        "scores": list(ranking.scores),
        "stability": ranking.stability,
        "saving": None if ranking.saving is None else saving_data(ranking.saving),
        "notes": list(ranking.notes),
        "profile": {
            **picked(profile, "model", "layout", "source"),
            "heads": [list(head) for head in profile.heads],
        },
        "timings": asdict(ranking.timings),
    }


def saving_data(saving: Saving) -> dict[str, Any]:
    """What a dry run did not return."""
    return {
        "n_tokens_before": saving.n_tokens_before,
        "n_tokens_after": saving.n_tokens_after,
        "chunks": [chunk_data(chunk) for chunk in saving.chunks],
        "dropped": [chunk_data(chunk) for chunk in saving.dropped],
        "error": saving.error,
    }


def chunk_data(chunk: RankedChunk, rank: int | None = None) -> dict[str, Any]:
    """One chunk: a dropped one with its reason, and without a rank and its text.

    Args:
        chunk: The chunk.
        rank: Its place in the result, from 1.
    """
    data: dict[str, Any] = {"rank": rank} if chunk.dropped is None else {}
    data |= picked(chunk, "index", "score", "share", "relevance", "mass", "logit")
    data["retrieval_score"] = finite(chunk.retrieval_score)
    data |= picked(chunk, "n_tokens", "n_windows", "skipped")
    if chunk.dropped is None:
        data["text"] = chunk.text
    else:
        data["dropped"] = chunk.dropped
    if chunk.spans:
        data["spans"] = [asdict(span) for span in chunk.spans]
    return data


def _rows(ranking: Ranking) -> Iterator[dict[str, Any]]:
    """A row of `_COLUMNS` for each chunk, those that were dropped after the others."""
    for rank, chunk in enumerate((*ranking.chunks, *ranking.dropped), start=1):
        data = {"rank": None} | chunk_data(chunk, rank)
        data["n_spans"], data["n_kept_spans"] = len(data.pop("spans", ())), len(chunk.kept_spans)
        yield data | {"dropped": chunk.dropped, "text": chunk.text}


def as_pandas(ranking: Ranking) -> pd.DataFrame:
    """See `Ranking.to_pandas`."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("to_pandas needs pandas: pip install pandas, or use to_dict()") from error
    table = pd.DataFrame.from_records(list(_rows(ranking)), columns=_COLUMNS)
    return table.astype({"rank": "Int64"})
