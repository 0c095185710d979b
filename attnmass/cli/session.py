"""From options to rankings: read, load, rank, write. What `rank` and `trim` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnmass.cli.arguments import model_arguments
from attnmass.cli.errors import ExitCode, UsageError, api_arguments, spelled_as_options
from attnmass.cli.items import Question
from attnmass.cli.model_options import ModelOptions, StoreGroup
from attnmass.cli.notes import is_watched, note, status, warn
from attnmass.cli.options import CommonOptions, InputOptions, SelectionOptions, ToldOptions
from attnmass.cli.reading import read_questions
from attnmass.cli.writing import Writer
from attnmass.options.choices import FIT
from attnmass.results.errors import NoEvidenceError
from attnmass.results.ranking import Ranking

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker
    from attnmass.trimming import Trim


def read(
    query: str | None,
    paths: list[str] | None,
    options: InputOptions,
    selection: SelectionOptions,
    common: ToldOptions,
) -> list[Question]:
    """The questions with their chunks.

    Raises:
        UsageError: As `read_questions`, or if scores are to be fused and a chunk has none.
        InputError: As `read_questions`.
    """

    def tell(message: str) -> None:
        note(message, quiet=common.quiet)

    questions = read_questions(query, paths or [], options, tell)
    if isinstance(selection.fuse, float):
        items = (item for question in questions for item in question.items)
        missing = next((item for item in items if item.score is None), None)
        if missing is not None:
            raise UsageError(
                f"--fuse needs a score for every chunk, and {missing.label} has none",
                'scores come from JSON Lines: {"text": ..., "score": ...}',
            )
    return questions


def load_ranker(
    model: ModelOptions,
    cache: StoreGroup | None = None,
    *,
    quiet: bool = False,
) -> AttentionRanker:
    """Load the model that the options name, in the layout that a store was written in.

    Args:
        model: Which model, and how it is read.
        cache: Where what was read is kept.
        quiet: Whether nothing is told.

    Raises:
        UsageError: If options are off, or do not fit the model.
        WeightsNotFoundError, UnsupportedModelError: As `AttentionRanker.from_pretrained`.
    """
    arguments = model_arguments(model) | (cache.given() if cache is not None else {})
    if cache is not None and cache.store is not None:
        layout = _layout_of(model, cache.store, quiet=quiet)
        if layout is not None:
            arguments["layout"] = layout
    name = () if model.model is None else (model.model,)
    with status(f"Loading {model.model or 'the default model'} ...", quiet=quiet):
        from attnmass.ranker import AttentionRanker

        with api_arguments():
            return AttentionRanker.from_pretrained(*name, **arguments)


def model_name(model: ModelOptions) -> str:
    """What a store says by which model it was written; a path is whole, wherever it is named."""
    from attnmass.loading.sources import ALIASES, DEFAULT_MODEL

    name = DEFAULT_MODEL if model.model is None else model.model
    if name.lower() in ALIASES:
        return name.lower()
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name


def _layout_of(model: ModelOptions, folder: str, *, quiet: bool) -> str | None:
    """The layout in which a store was written with this model, unless options decide it."""
    from attnmass.store.disk import DiskStore
    from attnmass.store.written import read_written

    try:
        with api_arguments():
            store = DiskStore(Path(folder).expanduser(), None)
            written = {one.model: one.layout for one in read_written(store)}
        store.close()
    except OSError:  # told when it is used
        return None
    name = model_name(model)
    if written and name not in written:
        others = " and ".join(written)
        note(
            f"{folder} was written with {others}, and what another model reads is kept apart",
            quiet=quiet,
        )
    if model.layout is not None or model.profile not in (None, FIT):
        return None
    return written.get(name)


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


def rank_and_write(
    questions: list[Question],
    ranker: AttentionRanker,
    selection: SelectionOptions,
    common: CommonOptions,
    *,
    writer: Writer,
    many: bool,
    trim: Trim | None = None,
) -> ExitCode:
    """Rank each question's chunks and write the result.

    Args:
        questions: What to rank.
        ranker: The model.
        selection: What is kept.
        common: Whether to show notes and progress.
        writer: Where results go.
        many: Whether the questions are a list, which one without evidence does not end.
        trim: Keep only some spans.

    Returns:
        `NO_EVIDENCE` if a question had too little and the user asked for that, else `OK`.

    Raises:
        NoEvidenceError: If that is the one question.
        UsageError: If the model refuses the options for these chunks.
    """
    from tqdm import tqdm

    shows = is_watched() and not common.quiet
    code = ExitCode.OK
    with tqdm(
        questions, desc="Questions", unit="question", leave=False, disable=not (many and shows)
    ) as bar:
        for question in bar:
            try:
                ranking = rank(question, ranker, selection, trim, progress=shows and not many)
            except NoEvidenceError as error:
                if not many:
                    raise
                code = ExitCode.NO_EVIDENCE
                ranking = error.ranking
                warn(f"{question.label}: {spelled_as_options(str(error))}", quiet=common.quiet)
            for message in ranking.notes:
                place = f"{question.label}: " if many else ""
                note(f"{place}{_named(message, question)}", quiet=common.quiet)
            if ranking.no_evidence and not many and not writer.tells_of_evidence:
                warn(
                    f"evidence is {ranking.evidence:.3f}: the answer is likely not in here",
                    quiet=common.quiet,
                )
            writer.write(question, ranking)
    writer.end()
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


def _named(message: str, question: Question) -> str:
    """A note of the API, which knows a chunk by its index, with what the user calls it."""
    first, _, rest = message.partition(" ")
    index, _, rest = rest.partition(" ")
    if first == "chunk" and index.isdecimal() and int(index) < len(question.items):
        return f"{question.items[int(index)].label} {rest}"
    return message
