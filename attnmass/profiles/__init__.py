"""Head profiles: which heads of which model are read, and where that is known from."""

from attnmass.profiles.profile import (
    Direction,
    HeadProfile,
    ProfileMismatchError,
    choose_profile,
    default_profile,
    fingerprint,
    load_profile,
    packaged_profile,
    packaged_profiles,
)
from attnmass.profiles.rules import EvidenceRule, RankRule, SpanRule

__all__ = [
    "Direction",
    "EvidenceRule",
    "HeadProfile",
    "ProfileMismatchError",
    "RankRule",
    "SpanRule",
    "choose_profile",
    "default_profile",
    "fingerprint",
    "load_profile",
    "packaged_profile",
    "packaged_profiles",
]
