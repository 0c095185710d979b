"""What draws results: renderers, which register themselves and which nothing below imports."""

from attnmass.explain import renderers
from attnmass.explain.build import explain
from attnmass.explain.build_answer import explain_answer
from attnmass.results.answer_explanation import AnswerExplanation
from attnmass.results.explanation import Explanation

__all__ = ["AnswerExplanation", "Explanation", "explain", "explain_answer", "renderers"]
