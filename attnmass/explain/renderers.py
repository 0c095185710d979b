"""Registers what draws; each renderer, with all that it needs, is imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnmass.results.answer_explanation import AnswerExplanation
from attnmass.results.attribution import Attribution
from attnmass.results.drawn import Drawn
from attnmass.results.explanation import Explanation
from attnmass.results.ranking import Ranking
from attnmass.results.renderers import renders

if TYPE_CHECKING:
    import pandas as pd

    from attnmass.explain.answer_terminal import AnswerDrawing
    from attnmass.explain.terminal import Drawing


@renders(Ranking, "explanation")
def _of_ranking(ranking: Ranking) -> Explanation:
    from attnmass.explain.build import explain

    return explain(ranking)


@renders(Ranking, "text")
def _lines(ranking: Ranking) -> str:
    from attnmass.explain.telling import ranking_lines

    return ranking_lines(ranking)


@renders(Attribution, "text")
def _answer_lines(attribution: Attribution) -> str:
    from attnmass.explain.telling import attribution_lines

    return attribution_lines(attribution)


@renders(Ranking, "dict")
def _data(ranking: Ranking) -> dict[str, Any]:
    from attnmass.explain.telling import ranking_data

    return ranking_data(ranking)


@renders(Ranking, "pandas")
def _data_frame(ranking: Ranking) -> pd.DataFrame:
    from attnmass.explain.telling import as_pandas

    return as_pandas(ranking)


@renders(Ranking, "table")
def _table(ranking: Ranking) -> str:
    from attnmass.explain.table import table

    return table(ranking)


@renders(Attribution, "explanation")
def _of_attribution(attribution: Attribution) -> AnswerExplanation:
    from attnmass.explain.build_answer import explain_answer

    return explain_answer(attribution)


@renders(Explanation, "dict")
def _dict(explanation: Explanation) -> dict[str, Any]:
    from attnmass.explain.plain import as_dict

    return as_dict(explanation)


@renders(AnswerExplanation, "dict")
def _answer_dict(explanation: AnswerExplanation) -> dict[str, Any]:
    from attnmass.explain.plain import answer_as_dict

    return answer_as_dict(explanation)


@renders(Explanation, "html")
def _page(explanation: Explanation) -> str:
    from attnmass.explain.html import page

    return page(explanation)


@renders(Explanation, "svg")
def _picture(explanation: Explanation, top_n: int = 3) -> str:
    from attnmass.explain.svg import svg

    return svg(explanation, top_n)


@renders(AnswerExplanation, "html")
def _answer_page(explanation: AnswerExplanation) -> str:
    from attnmass.explain.answer_html import answer_page

    return answer_page(explanation)


@renders(Drawn, "cell")
def _cell(explanation: Drawn) -> str:
    from attnmass.explain.html import frame

    return frame(explanation.query, explanation.to_html())


@renders(Explanation, "terminal")
def _terminal(explanation: Explanation, view: int = 0, query_word: int | None = None) -> Drawing:
    from attnmass.explain.terminal import Drawing

    return Drawing(explanation, view, query_word)


@renders(AnswerExplanation, "terminal")
def _answer_terminal(
    explanation: AnswerExplanation, view: int = 0, sentence: int | None = None
) -> AnswerDrawing:
    from attnmass.explain.answer_terminal import AnswerDrawing

    return AnswerDrawing(explanation, view, sentence)
