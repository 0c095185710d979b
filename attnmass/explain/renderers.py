"""Registers the renderers; each one, with all that it needs, is imported when first used."""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any, Final

from attnmass.results.answer_explanation import AnswerExplanation
from attnmass.results.attribution import Attribution
from attnmass.results.drawn import Drawn
from attnmass.results.explanation import Explanation
from attnmass.results.ranking import Ranking
from attnmass.results.renderers import renders

# What is drawn, as what, and what draws it: a module of this folder, and what to call in it.
RENDERERS: Final = (
    (Ranking, "explanation", "build:explain"),
    (Ranking, "text", "telling:ranking_lines"),
    (Ranking, "dict", "telling:ranking_data"),
    (Ranking, "pandas", "telling:as_pandas"),
    (Ranking, "table", "table:table"),
    (Attribution, "explanation", "build_answer:explain_answer"),
    (Attribution, "text", "telling:attribution_lines"),
    (Drawn, "cell", "html:cell"),
    (Explanation, "dict", "plain:as_dict"),
    (Explanation, "html", "html:page"),
    (Explanation, "svg", "svg:svg"),
    (Explanation, "terminal", "terminal:drawing"),
    (AnswerExplanation, "dict", "plain:answer_as_dict"),
    (AnswerExplanation, "html", "answer_html:answer_page"),
    (AnswerExplanation, "terminal", "answer_terminal:drawing"),
)


def _late(place: str) -> Callable[..., Any]:
    def draw(thing: object, **options: Any) -> Any:
        return resolve_name(f"{__package__}.{place}")(thing, **options)

    return draw


for _kind, _name, _place in RENDERERS:
    renders(_kind, _name)(_late(_place))
