"""Labelled queries: read from files, or made of texts."""
