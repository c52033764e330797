"""KV cache eviction: which tokens stay, and rows moved in place.

`Policy` and `Plan` say which tokens stay; `evict_rows` and `rotate_keys` change plain tensors in place;
``kvevict.transformers`` has a cache for transformers' models, ``kvevict.simple_evict`` the functions of the Python demo
that this project grew from.
"""

from kvevict._core import (
    Plan,
    Policy,
    Sequence,
    evict_rows,
    llama3_freq_factors,
    plan_by_keys,
    policies,
    rotate_keys,
)
from kvevict._core import version as __version__
from kvevict._rope import RopeConfig, YarnConfig

__all__ = [
    "Plan",
    "Policy",
    "RopeConfig",
    "Sequence",
    "YarnConfig",
    "__version__",
    "evict_rows",
    "llama3_freq_factors",
    "plan_by_keys",
    "policies",
    "rotate_keys",
]
