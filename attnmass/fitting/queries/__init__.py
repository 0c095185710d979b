"""Labelled queries: read from files, or made from texts."""
