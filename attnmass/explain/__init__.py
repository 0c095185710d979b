"""A ranking drawn over its text: pure functions over plain data, without a model."""

from attnmass.explain.build import explain
from attnmass.explain.model import Explanation

__all__ = ["Explanation", "explain"]
