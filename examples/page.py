"""A page to try it out: paste texts, ask, and see where the question looked and what is kept.

streamlit run examples/page.py --server.address=127.0.0.1 --browser.gatherUsageStats=false
"""

from __future__ import annotations

import re

import streamlit as st
from corpus import QUESTIONS, read_openings

from attnmass import AttentionRanker, Chunk


@st.cache_resource(show_spinner="Loading the model")
def open_ranker() -> AttentionRanker:
    """One for all who look at the page; it handles one query at a time."""
    return AttentionRanker.from_pretrained("smollm2-135m")


def read_chunks(pasted: str) -> list[Chunk]:
    """What was pasted, split at lines of three or more dashes; the articles if nothing was."""
    if pasted.strip():
        return [
            Chunk(text.strip()) for text in re.split(r"(?m)^---+[ \t]*$", pasted) if text.strip()
        ]
    return [Chunk(each["text"], title=each["title"]) for each in read_openings()]


def main() -> None:
    """Draw the page; Streamlit runs it again after each change."""
    st.set_page_config("Where a question looks", layout="wide")
    st.title("Where a question looks")
    question = st.text_input("Question", QUESTIONS[0])
    pasted = st.text_area("Texts, with a line of --- between them; without any, Wikipedia's")
    budget = st.slider("Tokens to keep", min_value=20, max_value=800, value=200, step=20)
    if not question.strip():
        st.info("Ask something.")
        return
    with st.spinner("Reading what is new, and looking"):
        ranking = open_ranker().trim(
            question, read_chunks(pasted), max_tokens=budget, query_words=True
        )
    evidence, before, after = st.columns(3)
    evidence.metric("Evidence", f"{ranking.evidence:.3f}")
    before.metric("Tokens before", f"{ranking.n_tokens_before:,}")
    after.metric("Tokens kept", f"{ranking.n_tokens_after:,}")
    if ranking.no_evidence:
        st.warning("Nothing here seems to answer that.")
    # Texts are escaped in it, and its policy lets only its own script run.
    st.iframe(ranking.explain().to_html(), height=900)


if __name__ == "__main__":
    main()
