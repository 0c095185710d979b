"""Chunks and queries as text and as tokens, and the prompt around them."""
