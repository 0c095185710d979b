"""Head profiles: which heads of which model are read, and where that is known from."""

from attnmass.profiles.choosing import (
    choose_profile,
    default_profile,
    fitted_layout,
    packaged_profile,
    packaged_profiles,
)
from attnmass.profiles.files import load_profile
from attnmass.profiles.fusing import FuseRule
from attnmass.profiles.profile import HeadProfile, ProfileMismatchError
from attnmass.profiles.relevance import RelevanceRule
from attnmass.profiles.rules import EvidenceRule, RankRule, SpanRule

__all__ = [
    "EvidenceRule",
    "FuseRule",
    "HeadProfile",
    "ProfileMismatchError",
    "RankRule",
    "RelevanceRule",
    "SpanRule",
    "choose_profile",
    "default_profile",
    "fitted_layout",
    "load_profile",
    "packaged_profile",
    "packaged_profiles",
]
