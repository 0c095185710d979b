"""What `rank`, `trim` and `explain` share: from a question over chunks to its ranking."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from attnmass.cli import session
from attnmass.cli.arguments import check_cache, model_arguments
from attnmass.cli.errors import ExitCode, UsageError, api_arguments, spelled_as_options
from attnmass.cli.items import Question
from attnmass.cli.model_options import CacheGroup, ModelOptions, StoreGroup
from attnmass.cli.notes import is_watched, note, warn
from attnmass.cli.options import CommonOptions, InputOptions, Paths, Query, SelectionOptions
from attnmass.cli.reading import read_questions
from attnmass.cli.writing import Writer
from attnmass.options.selection import Selection
from attnmass.results.errors import NoEvidenceError
from attnmass.results.ranking import Ranking

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker
    from attnmass.trimming import Trim


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is asked of which chunks, what is kept of them, and the model that is asked."""

    query: Query = None
    paths: Paths = None
    inputs: InputOptions
    selection: SelectionOptions
    model: ModelOptions
    cache: CacheGroup

    @property
    def many(self) -> bool:
        """Whether the questions are a list, which one without evidence does not end."""
        return self.inputs.queries is not None

    def check(self) -> None:
        """Refuse what can be seen to be off before anything is read.

        Raises:
            UsageError, InputError: As the checks of each group.
        """
        with api_arguments():
            Selection(**self.selection.given())
        check_cache(self.cache)
        model_arguments(self.model)

    def read(self, *, quiet: bool) -> list[Question]:
        """The questions with their chunks.

        Raises:
            UsageError: As `read_questions`, or if scores are to be fused and a chunk has none.
            InputError: As `read_questions`.
        """
        tell = partial(note, quiet=quiet)
        questions = read_questions(self.query, self.paths or [], self.inputs, tell)
        if isinstance(self.selection.fuse, float):
            items = (item for question in questions for item in question.items)
            missing = next((item for item in items if item.score is None), None)
            if missing is not None:
                raise UsageError(
                    f"--fuse needs a score for every chunk, and {missing.label} has none",
                    'scores come from JSON Lines: {"text": ..., "score": ...}',
                )
        return questions


def rank_and_write(
    asked: Asking, common: CommonOptions, writer: Writer, trim: Trim | None = None
) -> ExitCode:
    """Rank each question's chunks and write the result.

    Returns:
        `NO_EVIDENCE` if a question had too little and the user asked for that, else `OK`.

    Raises:
        NoEvidenceError: If that is the one question.
        UsageError: If the model refuses the options for these chunks.
    """
    from tqdm import tqdm

    questions = asked.read(quiet=common.quiet)
    ranker = session.load_ranker(asked.model, asked.cache, quiet=common.quiet)
    many, shows = asked.many, is_watched() and not common.quiet
    code = ExitCode.OK
    with tqdm(
        questions, desc="Questions", unit="question", leave=False, disable=not (many and shows)
    ) as bar:
        for question in bar:
            try:
                ranking = rank(question, ranker, asked.selection, trim, progress=shows and not many)
            except NoEvidenceError as error:
                if not many:
                    raise
                code = ExitCode.NO_EVIDENCE
                ranking = error.ranking
                warn(f"{question.label}: {spelled_as_options(str(error))}", quiet=common.quiet)
            for message in ranking.notes:
                place = f"{question.label}: " if many else ""
                note(f"{place}{_named(spelled_as_options(message), question)}", quiet=common.quiet)
            if ranking.no_evidence and not many and not writer.tells_of_evidence:
                warn(
                    f"evidence is {ranking.evidence:.3f}: the answer is likely not in here",
                    quiet=common.quiet,
                )
            writer.write(question, ranking)
    writer.end()
    note_misses(ranker, asked.cache, quiet=common.quiet)
    return code


def rank(
    question: Question,
    ranker: AttentionRanker,
    selection: SelectionOptions,
    trim: Trim | None = None,
    *,
    progress: bool = False,
    **more: Any,
) -> Ranking:
    """One question's ranking; `more` is passed on.

    Raises:
        UsageError, NoEvidenceError: As `rank_and_write`.
    """
    scores = [item.score for item in question.items]
    arguments: dict[str, Any] = {**selection.given(), **more}
    if any(score is not None for score in scores):
        arguments["retrieval_scores"] = scores
    with api_arguments():
        return ranker.rank(
            question.query,
            [item.chunk for item in question.items],
            trim=trim,
            progress=progress,
            **arguments,
        )


def note_misses(ranker: AttentionRanker, cache: StoreGroup, *, quiet: bool) -> None:
    """Say how many chunks a store did not have, so that nobody waits for them unawares."""
    if cache.store is None:
        return
    stats = ranker.stats
    if stats.misses:
        note(
            f"{stats.misses:,} of {stats.hits + stats.misses:,} chunks or windows were not in "
            f"{cache.store}, and were read",
            quiet=quiet,
        )


def _named(message: str, question: Question) -> str:
    """A note of the API, which knows a chunk by its index, with what the user calls it."""
    first, bracket, rest = message.partition("]")
    name, _, index = first.partition("[")
    if bracket and name == "chunks" and index.isdecimal() and int(index) < len(question.items):
        return f"{question.items[int(index)].label}{rest}"
    return message
