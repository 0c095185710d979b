"""Head profiles: which heads of which model are read, and where that is known from."""

from attnmass.profiles.profile import (
    HeadProfile,
    choose_profile,
    default_profile,
    fingerprint,
    load_profile,
    packaged_profile,
)

__all__ = [
    "HeadProfile",
    "choose_profile",
    "default_profile",
    "fingerprint",
    "load_profile",
    "packaged_profile",
]
