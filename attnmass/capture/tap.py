"""What one pass extracts from the layers with selected heads: their vectors."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from attnmass.capture.rule import ScoreRule

OWN = ("keys", "queries")
_QUERIES = ("queries", "far")


class Captured(Exception):  # noqa: N818 - a signal, never seen by callers
    """Ends an attention module's extra call once its vectors are known."""


@dataclass
class Tap:
    """What one pass extracts from the selected layers.

    Attributes:
        wanted: Which of `"keys"` and `"queries"`, as they are at their tokens' own positions,
            `"near"` for keys as at position 0, and `"far"` for queries as at the distance; empty to
            learn the model's shapes.
        found: The vectors of each kind by layer, `[batch, head, token, dim]`.
        rules: By layer, how the family makes scores from products.
        sizes: By layer, the number of heads and of KV heads.
        n_dims: Dimensions of the longest vector.
        turning: The kind for which a module is called once more, as at another position.
    """

    wanted: tuple[str, ...]
    found: dict[str, dict[int, Tensor]] = field(default_factory=dict)
    rules: dict[int, ScoreRule] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    n_dims: int = 0
    turning: str = ""

    def see(self, layer: int, query: Tensor, key: Tensor, rule: ScoreRule) -> None:
        """Called with a selected layer's vectors, both `[batch, head, token, dim]`."""
        if not self.wanted:
            self.rules[layer], self.sizes[layer] = rule, (query.shape[1], key.shape[1])
            self.n_dims = max(self.n_dims, key.shape[-1])
        for kind in [self.turning] if self.turning else [x for x in self.wanted if x in OWN]:
            vectors = query if kind in _QUERIES else key
            self.found.setdefault(kind, {})[layer] = vectors
        if self.turning:
            raise Captured
