"""Whether anything answers: relevance, evidence, and a retriever's part in both."""
