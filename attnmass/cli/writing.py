"""Results on stdout, in the format that was asked for."""

from __future__ import annotations

import sys
from typing import Any

from attnmass.cli.errors import UsageError
from attnmass.cli.items import Question
from attnmass.cli.options import Format
from attnmass.cli.printable import encodable, printable
from attnmass.cli.records import chunk_record, ranking_record, reader_text, to_json, tsv_lines
from attnmass.results.ranking import Ranking


class Writer:
    """Writes rankings as they come, and for `json` all of them at the end."""

    def __init__(self, chosen: Format | None, *, trimmed: bool, many: bool) -> None:
        """Settle the format.

        Args:
            chosen: What the user asked for; default: a table on a terminal, into a pipe the text
                of one trimmed ranking, else tab-separated lines.
            trimmed: Whether rankings are trimmed.
            many: Whether there is a list of questions.

        Raises:
            UsageError: If several rankings should become one text.
        """
        if chosen is None:
            piped: Format = "text" if trimmed and not many else "tsv"
            chosen = "table" if sys.stdout.isatty() else piped
        if chosen == "text" and many:
            raise UsageError(
                "--format text is the text for one question", "with --queries: jsonl, json or tsv"
            )
        self._format: Format = chosen
        self._trimmed = trimmed
        self._many = many
        self._records: list[dict[str, Any]] = []

    @property
    def tells_of_evidence(self) -> bool:
        """Whether a person sees in the results how much evidence there is."""
        return self._format == "table"

    def write(self, question: Question, ranking: Ranking) -> None:
        """Write one ranking."""
        if self._format == "table":
            from attnmass.cli.tables import print_ranking

            print_ranking(question, ranking, trimmed=self._trimmed, labelled=self._many)
        elif self._format == "tsv":
            for line in tsv_lines(question, ranking, labelled=self._many):
                write_line(line)
        elif self._format == "text":
            text = reader_text(question, ranking)
            if text:
                write_line(text)
        elif self._format == "json":
            self._records.append(ranking_record(question, ranking))
        elif self._many:
            write_line(to_json(ranking_record(question, ranking)), plain=True)
        else:
            for rank, chunk in enumerate(ranking.chunks, 1):
                record = chunk_record(rank, chunk, question.items[chunk.index])
                record["evidence"] = ranking.evidence
                record["no_evidence"] = ranking.no_evidence
                write_line(to_json(record), plain=True)
        sys.stdout.flush()

    def end(self) -> None:
        """Write what was waiting."""
        if self._format == "json":
            data = self._records if self._many else self._records[0]
            write_line(to_json(data, indent=2), plain=True)


def write_line(text: str, *, plain: bool = False) -> None:
    """Write text and a line feed; a terminal gets no control characters.

    Args:
        text: The text.
        plain: Whether the output can hold it as it is, as it can JSON.
    """
    if not plain:
        text = printable(text) if sys.stdout.isatty() else encodable(text)
    sys.stdout.write(f"{text}\n")
