"""Say "not in here", by a threshold from questions whose answers are known to be there or not."""

from __future__ import annotations

import math
from statistics import mean

from corpus import UNANSWERABLE, read_openings
from transformers.utils import logging

from attnmass import AttentionRanker, Chunk, NoEvidenceError

logging.disable_progress_bar()

ANSWERABLE = "Where does the aardvark live?"

# A dozen of each would be better; the questions asked below are not among them.
IN_HERE = (
    "What is an abacus used for?",
    "Who was the first to step onto the lunar surface?",
    "From which country did the United States purchase Alaska?",
    "Which war did Achilles take part in?",
)
NOT_IN_HERE = (
    "What is the recommended dose of ibuprofen for children?",
    "Which engine does the Ford Mustang have?",
    "How do I reset my router's password?",
    "Who won the tennis tournament at Wimbledon in 2012?",
)


def halfway(there: list[float], not_there: list[float]) -> float:
    """Evidence halfway between two kinds of questions; it is a share, so log-odds are averaged."""

    def log_odds(share: float) -> float:
        share = min(max(share, 1e-6), 1 - 1e-6)
        return math.log(share / (1 - share))

    middle = mean(mean(map(log_odds, each)) for each in (there, not_there))
    return 1 / (1 + math.exp(-middle))


def main() -> None:
    """Print the evidence for each question, and an article or that there is none."""
    ranker = AttentionRanker.from_pretrained("smollm2-135m")
    chunks = [Chunk(each["text"], title=each["title"]) for each in read_openings()]

    def evidence(question: str) -> float:
        return ranker.rank(question, chunks).evidence

    there, not_there = ([evidence(each) for each in some] for some in (IN_HERE, NOT_IN_HERE))
    print("known to be in here:    ", *(f"{found:.3f}" for found in there))
    print("known not to be in here:", *(f"{found:.3f}" for found in not_there))
    threshold = halfway(there, not_there)
    print(f"threshold: {threshold:.3f}\n")

    for question in (ANSWERABLE, UNANSWERABLE):
        try:
            ranking = ranker.rank(
                question, chunks, evidence_threshold=threshold, on_no_evidence="raise"
            )
        except NoEvidenceError as error:
            print(f"{question}\n  evidence {error.ranking.evidence:.3f}: not in here")
        else:
            title = chunks[ranking.chunks[0].index].title
            print(f"{question}\n  evidence {ranking.evidence:.3f}: see {title}")


if __name__ == "__main__":
    main()
