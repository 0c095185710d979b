"""From labelled queries, or from texts alone, to a head profile."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnmass.fitting.defaults import CANDIDATES, FOLDS, MOST_HEADS
from attnmass.fitting.heads.methods import LABELLED, MADE, METHODS
from attnmass.fitting.queries.bm25 import check_installed
from attnmass.fitting.queries.cloze import SET
from attnmass.fitting.queries.data import LabelledData, Source, check_enough, read_data
from attnmass.fitting.queries.texts import Texts, made_of
from attnmass.fitting.reports.result import FitResult
from attnmass.fitting.run import Run
from attnmass.fitting.subject import check_options, open_model, readable
from attnmass.loading import converted
from attnmass.loading.sources import DEFAULT_MODEL
from attnmass.options.checks import check_count
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
    max_heads: int = MOST_HEADS,
    max_layer: int | None = None,
    methods: Sequence[str] | None = None,
    folds: int = FOLDS,
    rule: bool = True,
    evidence: bool = True,
    captures: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    seed: int = 0,
    qrels: str | os.PathLike[str] | None = None,
    corpus: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    run: str | os.PathLike[str] | None = None,
    split: str | None = None,
    candidates: int = CANDIDATES,
    limit: int | None = None,
    **options: Any,
) -> FitResult:
    """Find the heads of a model that rank best, on labelled queries or on texts alone.

    Without `data` no labels are needed: queries are made of texts, each a sentence that is taken
    out of a paragraph and asks for the rest of it (inverse cloze, see
    `attnmass.fitting.queries.cloze`).
    With `data` and `texts` both are used, as sets that weigh alike.

    Every head is captured once for each query. Several methods then select heads on folds of the
    queries, and the simplest way within one standard error of the best is taken; what the result
    is worth is told by queries that had no part in it.

    Args:
        data: A file of JSON Lines with `{"query", "chunks": [{"text", "relevant", ...}]}`, plain or
            gzip; a BEIR folder; several of them, weighed alike; the objects themselves, such as
            the rows of a `datasets.Dataset`; or what `read_data` returned. Default: none.
        texts: What queries are made of: a path, or several things: paths (`Path`), texts (`str`);
            files are text, or JSON Lines with a `text` in each. Default: where there is no `data`,
            the texts in English that ship.
        model: A name as in `AttentionRanker.from_pretrained`, or a model as in `AttentionRanker`.
        tokenizer: Of a model that is loaded.
        layout: Default: the one that suits the kind of model; without `data`, `"late"` for
            decoders.
        max_heads: Select no more to give mass; a rule has up to 32, in the same layers.
        max_layer: Select from layers 0 to this one; default: all.
        methods: Which of `"single"`, `"gold_mass"`, `"contrastive"`, `"stability"` and
            `"listwise"` take part, or `"likelihood"`; default: all of the five, or without `data`
            the last, which carries over best from queries that are made to real ones.
        folds: Into how many parts queries are split.
        rule: Whether to fit a `RankRule` over more heads of the same layers. With `data` it is kept
            where it is better by more than one standard error; without, queries cannot tell.
        evidence: Whether to fit how evidence is told, which reads each query three more times up to
            the last selected layer.
        captures: Folder for what was captured, so that a run that was interrupted goes on there;
            default: beside the converted models in the Hugging Face cache.
        progress: Whether to show a progress bar; default: on a terminal.
        seed: Of the folds and of the order of chunks.
        qrels: Labels in TREC's format, for a file of queries as `data`.
        corpus: The texts that they name; without `data` the same as paths of `texts`.
        run: Candidates in TREC's format; default: BM25 over the corpus.
        split: Of a BEIR folder.
        candidates: How many of a run, or of BM25.
        limit: Use the first so many queries of each set.
        **options: As in `AttentionRanker.from_pretrained`, such as `device` and `batch_size`.

    Returns:
        The profile and a report; `save` writes both, if the profile is worth it.

    Raises:
        DataError: If the data cannot be used; names file and line.
        ImportError: If rank-bm25 is not installed.
        ValueError, AttnMassError: As `AttentionRanker.from_pretrained`.
    """
    check_count("max_heads", max_heads, 1)
    check_count("folds", folds, 3)
    check_options(options)
    _check_methods(methods, LABELLED)
    check_installed()
    labelled = read_all(
        data,
        texts,
        qrels=qrels,
        corpus=corpus,
        run=run,
        split=split,
        candidates=candidates,
        limit=limit,
        seed=seed,
    )
    made = set(labelled.sets) == {SET}
    chosen_methods = _check_methods(methods, MADE if made else LABELLED)
    subject = open_model(
        model,
        tokenizer,
        layout=layout,
        preferred=LATE if made else None,
        max_layer=max_layer,
        **options,
    )
    fit = Run(
        labelled,
        subject,
        tuple(readable(subject.config, subject.layout, max_layer)),
        captures_folder(captures, options.get("cache_dir")),
        progress,
        seed,
    )
    n_folds = min(folds, len(labelled.queries))
    return fit(
        max_heads, max_layer, chosen_methods, n_folds, with_rule=rule, with_evidence=evidence
    )


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
    """What a fit goes by: labelled queries, and such as are made of texts.

    Args:
        data: As in `fit_profile`; so are all others.
        texts: Likewise.
        corpus: Likewise.
        candidates: Likewise.
        limit: Likewise.
        seed: Likewise.
        **options: As in `read_data`.

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


def _check_methods(methods: Sequence[str] | None, usual: Sequence[str]) -> tuple[str, ...]:
    """The usual methods, or those named, the simplest first.

    Raises:
        ValueError: If one is none, or there is none.
    """
    if methods is None:
        return tuple(usual)
    named = [methods] if isinstance(methods, str) else list(methods)
    unknown = [name for name in named if name not in METHODS]
    if unknown or not named:
        said = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"methods must be some of {', '.join(map(repr, METHODS))}, not {said}")
    return tuple(name for name in METHODS if name in named)


def captures_folder(captures: str | os.PathLike[str] | None, cache_dir: Any) -> Path:
    """Where captures are kept: `captures`, else beside the models that were converted."""
    if captures is not None:
        return Path(os.fspath(captures))
    return converted.root(None if cache_dir is None else Path(cache_dir)) / "captures"
