"""The model that answers also chooses what it is given; that does not change what it generates."""

from __future__ import annotations

from typing import Any

from corpus import OPENING_QUESTIONS, read_openings, text_generator
from transformers.utils import logging

from attnmass import AttentionRanker, Chunk
from attnmass.results.citations import cite, ranked_passages

logging.set_verbosity_error()


def generate(generator: Any, context: str, question: str) -> str:
    """What the pipeline's own model answers."""
    turn = {"role": "user", "content": f"{context}\n\nAnswer in one sentence: {question}"}
    (found,) = generator([turn], max_new_tokens=30, do_sample=False, return_full_text=False)
    return str(found["generated_text"])


def main() -> None:
    """Answer from ten articles, from what the model itself picks from them, and once more."""
    generator = text_generator()
    question = OPENING_QUESTIONS[1]
    articles = [each for each in read_openings() if each["title"].startswith("A")][16:26]
    chunks = [Chunk(article["text"], title=article["title"]) for article in articles]
    whole = "\n\n".join(f"{chunk.title}\n{chunk.text}"[:300] for chunk in chunks)
    before = generate(generator, whole, question)

    ranker = AttentionRanker.from_generator(generator)  # no second model in memory
    ranking = ranker.trim(question, chunks, max_tokens=100, top_n=2)
    cited = cite(ranked_passages(ranking, chunks))
    for source in cited.sources:
        title = articles[ranking.chunks[source.chunk].index]["title"]
        print(f"  {title}, characters {source.start} to {source.end}: {source.text}")
    print(f"from the evidence: {generate(generator, cited.text, question)}")

    after = generate(generator, whole, question)
    print(f"from all of it, before: {before}")
    print(f"from all of it, after:  {after}")
    print(f"the same: {before == after}")


if __name__ == "__main__":
    main()
