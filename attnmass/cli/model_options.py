"""Options that say which model is loaded, how, and where what it read is kept."""

from __future__ import annotations

from functools import partial

from attnmass.cli.declared import Given, Shown, options_of
from attnmass.options.declared import Loading, Reading, Storing

_MODEL, _STORING = "Model", "What was read"

_loading = partial(
    options_of,
    Loading,
    Reading,
    panel=_MODEL,
    checks=True,
    model=Shown(
        "-m",
        metavar="NAME",
        help="A short name (see `attnmass models`), a folder, a GGUF file, or a repository of the "
        "Hugging Face Hub.",
    ),
    device=Shown(metavar="NAME"),
    cache_dir=Shown(metavar="FOLDER"),
    local_files_only=Shown(alone=True),
)


@_loading(but=("profile", "fit_texts", "heads", "rank_by", "reading"))
class LoadOptions(Given):
    """Which model is loaded, and how."""


@_loading(
    but=("reading",),
    profile=Shown(
        metavar="FILE",
        help="The heads to read, as JSON, or fit: find them from texts alone at first use, and "
        "keep them; default: what ships.",
    ),
    fit_texts=Shown(
        metavar="PATH",
        kind=list[str],
        help="A file or folder that --profile fit uses; may be repeated; default: what is kept, "
        "else texts that ship.",
    ),
    heads=Shown(
        metavar="L-H,...",
        kind=str,
        help="Heads to read instead, weighted equally: 18-6,18-7 is heads 6 and 7 of layer 18.",
    ),
)
class ModelOptions(Given):
    """Which model is loaded, how, and which of its heads are read."""


_STORE = Shown(
    metavar="FOLDER",
    help="Keep what the model makes of chunks here, so that no other command need read them "
    "again; see `attnmass index`.",
)


@options_of(Storing, panel=_STORING, but=("memory_bytes",), store=_STORE)
class StoreGroup(Given):
    """Where what was read is kept beyond the process."""


@options_of(Storing, panel=_STORING, store=_STORE)
class CacheGroup(StoreGroup):
    """Where what was read is kept."""
