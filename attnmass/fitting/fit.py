"""From labelled queries, or from texts alone, to a head profile."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnmass.fitting.defaults import CANDIDATES
from attnmass.fitting.heads.methods import LABELLED, MADE
from attnmass.fitting.queries.bm25 import check_installed
from attnmass.fitting.queries.cloze import SET
from attnmass.fitting.queries.data import LabelledData, Source, check_enough, read_data
from attnmass.fitting.queries.texts import Texts, made_of
from attnmass.fitting.reports.result import FitResult
from attnmass.fitting.run import Run
from attnmass.fitting.selection import HeadSelection, check_elsewhere
from attnmass.fitting.subject import check_options, open_model, readable
from attnmass.loading import converted
from attnmass.loading.sources import DEFAULT_MODEL
from attnmass.options.keywords import names_nearest
from attnmass.profiles.profile import LATE


@names_nearest
def fit_profile(
    data: Source | Sequence[str | os.PathLike[str]] | LabelledData | None = None,
    *,
    texts: Texts | None = None,
    model: Any = DEFAULT_MODEL,
    tokenizer: Any = None,
    layout: str | None = None,
    selection: HeadSelection | None = None,
    captures: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    **options: Any,
) -> FitResult:
    """Find the heads of a model that rank best, on labelled queries or on texts alone.

    Without `data` no labels are needed: queries are made from texts, each a sentence that is taken
    out of a paragraph and asks for the rest of it (inverse cloze, see
    `attnmass.fitting.queries.cloze`).
    With `data` and `texts`, both are used, as sets that are weighted equally.

    Every head is captured once for each query. Several methods then select heads on folds of the
    queries, and the simplest way within one standard error of the best is taken; what the result
    is worth is measured on queries that had no part in it.

    Args:
        data: A file of JSON Lines with `{"query", "chunks": [{"text", "relevant", ...}]}`, plain or
            gzip; a BEIR folder; several of them, weighted equally; the objects themselves, such as
            the rows of a `datasets.Dataset`; or what `read_data`, which also reads labels in TREC's
            format, or `made_of` returned. Default: none.
        texts: What queries are made from: a path, or several things: paths (`Path`), texts (`str`);
            files are text, or JSON Lines with a `text` in each. Default: where there is no `data`,
            the English texts that ship.
        model: A name as in `AttentionRanker.from_pretrained`, or a model as in `AttentionRanker`.
        tokenizer: That of a model that is already loaded.
        layout: Default: the one that suits the kind of model; without `data`, `"late"` for
            decoders.
        selection: How heads are selected; default: `HeadSelection()`.
        captures: Folder for what was captured, so that an interrupted run resumes there; default:
            beside the converted models in the Hugging Face cache.
        progress: Whether to show a progress bar; default: on a terminal.
        **options: As in `AttentionRanker.from_pretrained`, such as `device` and `batch_size`.

    Returns:
        The profile and a report; `save` writes both, if the profile is worth it.

    Raises:
        DataError: If the data cannot be used; names file and line.
        ImportError: If rank-bm25 is not installed.
        ValueError, AttnMassError: As `AttentionRanker.from_pretrained`.
        TypeError: For an option that does not exist here; names the call that has it.
    """
    chosen = HeadSelection() if selection is None else selection
    check_elsewhere(options)
    check_options(options)
    check_installed()
    labelled = read_all(data, texts, seed=chosen.seed)
    made = set(labelled.sets) == {SET}
    subject = open_model(
        model,
        tokenizer,
        layout=layout,
        preferred=LATE if made else None,
        max_layer=chosen.max_layer,
        **options,
    )
    fit = Run(
        labelled,
        subject,
        tuple(readable(subject.config, subject.layout, chosen.max_layer)),
        captures_folder(captures, options.get("cache_dir")),
        progress,
    )
    return fit(chosen, chosen.methods_of(MADE if made else LABELLED))


def read_all(
    data: Source | Sequence[str | os.PathLike[str]] | LabelledData | None,
    texts: Texts | None = None,
    *,
    corpus: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    candidates: int = CANDIDATES,
    limit: int | None = None,
    seed: int = 0,
    **options: Any,
) -> LabelledData:
    """What a fit uses: labelled queries, and queries made from texts.

    Args:
        data: As in `fit_profile`.
        texts: Likewise.
        corpus: As in `read_data`; without data, the same as paths of texts.
        candidates: As in `read_data`; so are all others.
        limit: Likewise.
        seed: Likewise.
        **options: Likewise.

    Raises:
        DataError: As `read_data`, and if texts cannot be used.
        ValueError: If options contradict each other.
    """
    if data is None:
        given = [name for name, value in options.items() if value is not None]
        if given:
            raise ValueError(f"{given[0]} is for labelled queries: pass them as data")
        if corpus is not None and texts is not None:
            raise ValueError("without data, corpus and texts are the same: pass one of them")
        if corpus is not None:
            paths = [corpus] if isinstance(corpus, (str, os.PathLike)) else corpus
            texts = [Path(path) for path in paths]
    labelled = LabelledData((), ())
    if data is not None:
        if not (corpus is None or isinstance(corpus, (str, os.PathLike))):
            raise ValueError("corpus is one file where it goes with qrels")
        labelled = read_data(
            data, corpus=corpus, candidates=candidates, limit=limit, seed=seed, **options
        )
        check_enough(labelled)
    if data is None or texts is not None:
        made = made_of(texts, candidates=candidates, seed=seed)
        labelled = labelled.joined(made if limit is None else made.head(limit))
        check_enough(labelled)
    return labelled


def captures_folder(captures: str | os.PathLike[str] | None, cache_dir: Any) -> Path:
    """Where captures are kept: `captures`, else beside the converted models."""
    if captures is not None:
        return Path(os.fspath(captures))
    return converted.root(None if cache_dir is None else Path(cache_dir)) / "captures"
