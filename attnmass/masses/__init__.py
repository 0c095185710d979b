"""From query vectors and key vectors to attention mass: pure functions, without a model."""

from attnmass.masses.look import Queries, look, token_scores
from attnmass.masses.merge import Denominator, chunk_mass, mass_beside
from attnmass.masses.vectors import KeyVectors, joined, quantize

__all__ = [
    "Denominator",
    "KeyVectors",
    "Queries",
    "chunk_mass",
    "joined",
    "look",
    "mass_beside",
    "quantize",
    "token_scores",
]
