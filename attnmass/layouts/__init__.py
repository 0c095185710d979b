"""How chunks and query are laid out for the model; each layout is one file here."""

from attnmass.layouts.base import (
    AnsweredQuery,
    AnswerLayout,
    Layout,
    LayoutOptions,
    LayoutResult,
    QueryAttention,
    WarmCounts,
)
from attnmass.layouts.cross import CrossLayout
from attnmass.layouts.joint import JointLayout
from attnmass.layouts.late import LateLayout
from attnmass.layouts.parallel import ParallelLayout
from attnmass.layouts.placing import Placing
from attnmass.layouts.pointwise import PointwiseLayout
from attnmass.layouts.registry import LAYOUTS, check_name, choose_layout, keeps_vectors, own_options
from attnmass.layouts.shards import (
    Held,
    HoldsAgainst,
    KeepingShard,
    Shard,
    ShardableLayout,
    Shards,
)

__all__ = [
    "LAYOUTS",
    "AnswerLayout",
    "AnsweredQuery",
    "CrossLayout",
    "Held",
    "HoldsAgainst",
    "JointLayout",
    "KeepingShard",
    "LateLayout",
    "Layout",
    "LayoutOptions",
    "LayoutResult",
    "ParallelLayout",
    "Placing",
    "PointwiseLayout",
    "QueryAttention",
    "Shard",
    "ShardableLayout",
    "Shards",
    "WarmCounts",
    "check_name",
    "choose_layout",
    "keeps_vectors",
    "own_options",
]
