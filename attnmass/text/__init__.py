"""Chunks and queries as text and as tokens, cut into sentences, and the prompt around them."""
