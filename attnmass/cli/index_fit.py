"""`attnmass index --fit`: a profile that is fitted on a sample of what is indexed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from attnmass.cli.errors import InputError, UsageError, api_arguments
from attnmass.cli.fit import data_errors, kept_on_interrupt
from attnmass.cli.items import Item
from attnmass.cli.model_options import ModelOptions
from attnmass.cli.notes import logged, note, status
from attnmass.options.declared import Loading, names_of
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    from attnmass.profiles.texts import Document

_MOST_CHUNKS = 50  # of one text


def check_unfitted(model: ModelOptions) -> None:
    """Raise `UsageError` if the user names heads, or other texts, beside `--fit`."""
    if not (model.profile is model.heads is None):
        raise UsageError("--fit finds heads", "leave out --profile and --heads")
    if model.fit_texts:
        raise UsageError("--fit goes by the chunks", "leave out --fit-texts")


def fitted(model: ModelOptions, items: Iterable[Item], *, quiet: bool) -> ModelOptions:
    """The same options with the profile that was fitted, now or earlier, on a sample of chunks.

    Args:
        model: Which model, and how it is read.
        items: The chunks, one after the other.
        quiet: Whether nothing is told.

    Raises:
        InputError: If too few sentences are in the chunks, or the profile cannot be kept.
        UnsupportedModelError: If no heads stand out.
    """
    with status("Loading ...", quiet=quiet):
        from attnmass.fitting.first_use import fit_by_name
        from attnmass.fitting.queries.texts import sample_texts
        from attnmass.profiles.kept import file_of

    given: dict[str, Any] = model.given()
    loading = {name: given[name] for name in names_of(Loading) if name in given}
    # How long a fit is going to take is logged.
    told = logged("attnmass.fitting.first_use", partial(note, quiet=quiet))
    with kept_on_interrupt(quiet=quiet), data_errors(), api_arguments(), told:
        documents = sample_texts(_documents(items))
        profile = fit_by_name(documents, layout=model.layout, **loading)
    file = file_of(profile)
    if file is None:
        raise InputError("the profile that was fitted cannot be kept in the Hugging Face cache")
    note(f"the heads are kept in {file}: rank with --profile {file}", quiet=quiet)
    return model.changed(profile=str(file))


def _documents(items: Iterable[Item]) -> Iterator[Document]:
    """Texts with the chunks that they were split into, but for what is very long of one."""
    from attnmass.profiles.texts import Document

    texts: list[Chunk] = []
    for item in items:
        if texts and not item.start:  # a file, or a line of JSON Lines, of its own
            yield Document(texts[0].title or "", tuple(chunk.text for chunk in texts))
            texts = []
        if len(texts) < _MOST_CHUNKS:
            texts.append(item.chunk)
    if texts:
        yield Document(texts[0].title or "", tuple(chunk.text for chunk in texts))
