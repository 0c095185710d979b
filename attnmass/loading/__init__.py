"""From the name of a model to its layers in memory."""

from attnmass.loading.load import Loaded, load

__all__ = ["Loaded", "load"]
