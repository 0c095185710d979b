"""`profile="fit"`: a whole fit without labels at first use of a model, kept for later ones."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Any

from filelock import FileLock

from attnmass.engine.building import choose
from attnmass.errors import UnsupportedModelError
from attnmass.fitting.captures.capture import capture_all, look_at_heads
from attnmass.fitting.captures.store import Store
from attnmass.fitting.defaults import CLOZES
from attnmass.fitting.errors import DataError
from attnmass.fitting.heads.methods import MADE
from attnmass.fitting.keeping import fitted_file, newest, read_kept, state_of, write_kept
from attnmass.fitting.queries.bm25 import check_installed
from attnmass.fitting.queries.cloze import SET, cloze_queries
from attnmass.fitting.queries.data import LEAST_QUERIES, LabelledData
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.fitting.queries.texts import sample_texts
from attnmass.fitting.quick import as_arrays, stands_out
from attnmass.fitting.run import Run
from attnmass.fitting.selection import HeadSelection
from attnmass.fitting.subject import open_model, readable
from attnmass.loading.load import load
from attnmass.loading.sources import DEFAULT_MODEL
from attnmass.models.kinds import unwrapped
from attnmass.models.sizes import full_depth
from attnmass.models.untrained import is_untrained
from attnmass.models.view import find_config
from attnmass.options.choices import FIT
from attnmass.options.fitting import path_of
from attnmass.profiles import HeadProfile
from attnmass.profiles.kept import kept_folder
from attnmass.profiles.texts import Document, ordinary_documents

_FIRST = 2  # queries by which the time is estimated
_TRIED = 24  # queries that show whether any head stands out, before the others are read
_PASSES = 2  # over the chunks: one for the heads, one for relevance

_logger = getLogger(__name__)


def fit_at_first_use(
    model: Any, tokenizer: Any, default: HeadProfile, texts: Sequence[str | Document] | None = None
) -> HeadProfile:
    """Fit a profile without labels, or find what was fitted earlier.

    Heads are those of the layers that the default profile runs. What was fitted is kept in the
    user's cache folder for the model's state, layout, prompt and texts, and found again by every
    process that has that model, however it was loaded. One process fits at a time; the others wait
    for what it finds. After an interruption, the next call resumes where it stopped.

    How long it is going to take is logged; a terminal shows progress bars.

    Args:
        model: As `AttentionRanker` takes it; nothing of it is changed.
        tokenizer: Its tokenizer.
        default: Its default profile.
        texts: Files, folders, texts or documents. `None` is the newest fit that is kept, on
            whatever texts, else one on the texts that ship.

    Raises:
        DataError: If texts cannot be read, or too few queries can be made from them.
        ImportError: If rank-bm25 is not installed.
        UnsupportedModelError: If no heads stand out, as with random weights; then nothing is kept.
    """
    check_installed()
    if is_untrained(unwrapped(model)):
        raise _nothing_found(default, "its weights are untrained")
    config, folder = find_config(model), kept_folder()
    state = state_of(model, default)
    known = newest(folder, state, config, default.layout) if texts is None else None
    if known is not None:
        return known
    documents = ordinary_documents() if texts is None else _read(texts)
    file = fitted_file(folder, state, _digest(documents))
    known = read_kept(file, config, default.layout, FIT)
    if known is not None:
        return known
    data = _queries(documents, texts)
    with _working_place(file) as place:
        known = read_kept(file, config, default.layout, FIT)  # another process was faster
        if known is None:
            known = _fitted(model, tokenizer, default, data, place)
            told = "of the texts that ship" if texts is None else "of texts of one's own"
            known = replace(known, fitted_on=f"{len(data.queries)} sentences {told}")
            write_kept(file, known)
    return known


def fit_by_name(
    documents: Sequence[Document], *, model: str = DEFAULT_MODEL, layout: str | None, **loading: Any
) -> HeadProfile:
    """The same for a model that is loaded for this, and forgotten afterwards.

    Args:
        documents: What to fit on.
        model: As in `AttentionRanker.from_pretrained`.
        layout: Likewise.
        **loading: Likewise, such as `device`.

    Raises:
        As `fit_at_first_use` and `AttentionRanker.from_pretrained`.
    """
    chosen = partial(choose, layout=layout, profile=FIT, heads=None)
    loaded = load(model, chosen, **loading)
    return fit_at_first_use(loaded.model, loaded.tokenizer, loaded.profile, documents)


def _read(texts: Sequence[str | Document]) -> tuple[Document, ...]:
    return sample_texts([_path_or_self(one) for one in texts])


def _path_or_self(one: str | Document) -> Path | str | Document:
    return (path_of(one) or one) if isinstance(one, str) else one


def _queries(documents: Sequence[Document], texts: Sequence[str | Document] | None) -> LabelledData:
    """The sentences that are asked for.

    Raises:
        DataError: If they are too few.
    """
    found = cloze_queries(documents, most=CLOZES)
    if len(found) < LEAST_QUERIES:
        words = [one for one in texts or () if isinstance(one, str) and len(one.split()) < 2]
        alike = [one for one in words if path_of(one) is None]
        named = f" ({', '.join(alike)}: there is no such file, so that is a text)" if alike else ""
        raise DataError(
            f"fit_texts: {len(found)} sentences could be taken out of paragraphs to ask for the "
            f"rest, and at least {LEAST_QUERIES} are needed: pass more, or longer, texts{named}"
        )
    return LabelledData(found, (SET,) * len(found))


def _digest(documents: Sequence[Document]) -> str:
    told = json.dumps([[one.title, one.paragraphs] for one in documents])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@contextmanager
def _working_place(file: Path) -> Iterator[Path]:
    """A folder for what was read, for one process at a time; it is removed once a fit has ended.

    It stays after an interruption. Where nothing can be written it is a temporary one.
    """
    place = file.with_suffix(".reading")
    with ExitStack() as stack:
        try:
            place.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(file.with_suffix(".lock")))
        except OSError as error:
            _logger.info("what is read is not kept in a cache: %s", error)
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            yield place
        except KeyboardInterrupt:
            raise
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        shutil.rmtree(place, ignore_errors=True)


def _fitted(
    model: Any, tokenizer: Any, default: HeadProfile, data: LabelledData, place: Path
) -> HeadProfile:
    subject = open_model(model, tokenizer, layout=default.layout, max_layer=default.last_layer)
    heads = tuple(readable(subject.config, subject.layout, default.last_layer))
    reader = subject.reader(heads)
    look, store = look_at_heads(reader, subject.plain), Store(place, subject.about(heads))
    tried = data.queries[:_TRIED]
    _tell_time(default, data.queries, look, place)
    captures = capture_all(tried, look, store, desc="Trying heads", progress=None)
    if not stands_out(as_arrays(tried, captures)):
        raise _nothing_found(default, f"of {full_depth(subject.config)} layers")
    run = Run(data, subject, heads, place, None, reader=reader)
    found = run(HeadSelection(max_layer=default.last_layer), MADE)
    return replace(found.profile, model=default.model, source=FIT)


def _tell_time(
    default: HeadProfile,
    queries: Sequence[LabelledQuery],
    look: Callable[[LabelledQuery], object],
    place: Path,
) -> None:
    """Log how long it is going to take: chunks are read once, and every query looks at some."""

    def n_characters(some: Sequence[LabelledQuery]) -> int:
        return sum(map(len, {chunk.text for query in some for chunk in query.chunks}))

    first = queries[:_FIRST]
    reading, looking = _seconds(look, first), _seconds(look, first) / len(first)
    reading = max(0.0, reading - len(first) * looking)
    share = n_characters(queries) / max(1, n_characters(first))
    _logger.info(
        "fitting heads of %s on %d sentences: about %.0f s, once; kept in %s",
        default.model,
        len(queries),
        _PASSES * (reading * share + looking * len(queries)),
        os.fspath(place.parent),
    )


def _seconds(look: Callable[[LabelledQuery], object], queries: Sequence[LabelledQuery]) -> float:
    started = time.perf_counter()
    for query in queries:
        look(query)
    return time.perf_counter() - started


def _nothing_found(default: HeadProfile, why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"profile='fit' found no head of {default.model} that looks at what a sentence is about, "
        f"so that no order of chunks would mean anything: {why}. Pass a trained model, or heads="
    )
