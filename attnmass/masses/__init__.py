"""From query vectors and key vectors to attention mass: pure functions, without a model."""

from attnmass.masses.look import Queries, look, token_scores
from attnmass.masses.merge import Denominator, chunk_mass
from attnmass.masses.vectors import KeyVectors, joined, quantize

__all__ = [
    "Denominator",
    "KeyVectors",
    "Queries",
    "chunk_mass",
    "joined",
    "look",
    "quantize",
    "token_scores",
]
