"""Results drawn over their text: pure functions over plain data, without a model."""

from attnmass.explain.answer import AnswerExplanation
from attnmass.explain.build import explain
from attnmass.explain.build_answer import explain_answer
from attnmass.explain.model import Explanation

__all__ = ["AnswerExplanation", "Explanation", "explain", "explain_answer"]
