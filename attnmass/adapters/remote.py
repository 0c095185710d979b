"""Adapters whose model is on a server: which fields they have, and what asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnmass.options.declared import Remote, defaults_of, names_of
from attnmass.options.fields import LOADING_FIELDS, LOADING_GROUPS
from attnmass.options.remote import RemoteOptions
from attnmass.options.renamed import check_known
from attnmass.options.urls import check_url, is_url

if TYPE_CHECKING:
    from attnmass.adapters.fields import RankerFields
    from attnmass.client.remote import RemoteRanker
    from attnmass.results.ranking import Ranking

REMOTE_FIELDS = names_of(Remote)

# Of what is done where the model is: how it is loaded and read, and what is reported meanwhile.
_THERE = (*LOADING_FIELDS, "batch_size", "show_progress")


def check_fields(adapter: RankerFields) -> None:
    """Refuse fields that a server has no use for, or that only a server has.

    Raises:
        ValueError: Naming them.
    """
    is_remote = is_url(adapter.model)
    fields = type(adapter).model_fields
    names = _THERE if is_remote else REMOTE_FIELDS
    idle = [name for name in names if getattr(adapter, name) != fields[name].default]
    if is_remote:
        check_url(adapter.model)
        RemoteOptions(**{name: getattr(adapter, name) for name in REMOTE_FIELDS})
    if is_remote and adapter.embed_model is not None:
        from attnmass.client.sent import NO_EMBED_MODEL

        raise ValueError(NO_EMBED_MODEL)
    if idle and is_remote:
        raise ValueError(
            f"the server at {adapter.model} loaded its model: leave out {', '.join(idle)}, which "
            "it was told by whoever started it"
        )
    if idle:
        raise ValueError(
            f"{', '.join(idle)} are for a server: set model to its URL, such as "
            f"'http://127.0.0.1:8080', or leave out {', '.join(idle)}"
        )


def model_name(model: str, ranking: Ranking) -> str:
    """What a result says it was ranked by: for a server, the model that it has, not its address."""
    return ranking.profile.model if is_url(model) else model


def options_of(adapter: RankerFields) -> dict[str, Any]:
    """The options of an adapter's ranker, whether it asks a server or has its model here."""
    if not is_url(adapter.model):
        return {name: getattr(adapter, name) for name in LOADING_FIELDS}
    asked = {name: getattr(adapter, name) for name in REMOTE_FIELDS}
    return {**asked, "traces": adapter.keep_ranking}


def remote_ranker(url: str, options: dict[str, Any]) -> RemoteRanker:
    """A ranker that asks a server.

    Raises:
        ValueError: As `RemoteRanker`, or if an option is for a model in this process.
    """
    from attnmass.client.remote import RemoteRanker

    defaults = defaults_of(Remote) | {"traces": False}
    check_known(options, [*defaults, *names_of(*LOADING_GROUPS)])
    if there := sorted(options.keys() - defaults.keys()):
        raise ValueError(f"the server at {url} loaded its model: leave out {', '.join(there)}")
    return RemoteRanker(url, **options)
