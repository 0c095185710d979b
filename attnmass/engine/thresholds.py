"""What is too little: of evidence, and of relevance; as the user says, else as the profile does."""

from __future__ import annotations

from collections.abc import Sequence

from attnmass.engine.asking import Asked
from attnmass.options.selection import Selection
from attnmass.profiles import HeadProfile
from attnmass.results.errors import NoEvidenceError
from attnmass.results.ranking import Ranking


def threshold_of(selection: Selection, profile: HeadProfile) -> float | None:
    """Less evidence than this is none: as the user says, else the profile's; `None` for none."""
    if selection.evidence_threshold is not None:
        return selection.evidence_threshold
    rule = profile.relevance
    return profile.evidence.threshold if rule is None else rule.evidence_threshold


def least_relevance(selection: Asked, profile: HeadProfile) -> float | None:
    """What is of less relevance is left out: as the user says, `None` for nothing.

    Where the user says nothing, a ceiling is no quota: under `max_tokens` it is the profile's.

    Raises:
        ValueError: If the user says so and the profile cannot tell relevance.
    """
    wanted = selection.min_relevance
    if not isinstance(wanted, str) and wanted is not None and profile.relevance is None:
        raise ValueError(
            f"min_relevance={wanted:g} needs relevance, which this profile for layout "
            f"{profile.layout!r} has no rule for: use layout='late' with a profile that has one, "
            "or leave it out"
        )
    if not isinstance(wanted, str):
        return wanted
    under_ceiling = selection.trim is not None and selection.trim.max_tokens is not None
    return profile.relevance.min_relevance if under_ceiling and profile.relevance else None


def check_evidence(rankings: Sequence[Ranking], asked: Asked, profile: HeadProfile) -> None:
    """Raise `NoEvidenceError` over the first ranking without evidence, if that was asked for.

    A dry run raises nothing, and so do candidates of which none can be read: there was nothing to
    find anything in.
    """
    if asked.on_no_evidence != "raise" or (asked.trim is not None and asked.trim.dry_run):
        return
    for ranking in rankings:
        looked_at = any(one.skipped is None for one in (*ranking.chunks, *ranking.dropped))
        if ranking.no_evidence and looked_at:
            raise NoEvidenceError(ranking, threshold_of(asked, profile) or 0.0)
