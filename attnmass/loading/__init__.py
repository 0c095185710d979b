"""From the name of a model to its layers in memory."""

from attnmass.loading.load import Loaded, load
from attnmass.loading.shared import release, shared_ranker

__all__ = ["Loaded", "load", "release", "shared_ranker"]
