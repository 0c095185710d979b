"""Numbers that the API and the command line's help share; nothing is imported for them."""

CANDIDATES = 20  # that a run, or BM25 over a corpus, gives for each query
FOLDS = 5  # parts that queries are split into
MOST_HEADS = 8  # that are selected to rank chunks
CLOZES = 120  # queries that are made from texts
