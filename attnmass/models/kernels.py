"""How many shapes torch keeps code for, in this package's own processes."""

from __future__ import annotations

import os

# In bfloat16, a CPU's products are oneDNN's, which makes code for each new shape and keeps it, and
# torch keeps it a second time. Requests keep having new numbers of tokens; with room for 1,024 in
# each, which is the default, code comes to take more memory than a small model.
_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")

# More than one pass needs, so that its layers share what the first one made.
_SHAPES = 64


def bound_kernels() -> None:
    """Keep few, unless the environment says how many; call before the first product is made."""
    for name in _CACHES:
        os.environ.setdefault(name, str(_SHAPES))
