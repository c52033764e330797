"""A cache within a budget for any transformers model, `EvictingCache`, and what goes with it.

Needs transformers 5.4 or newer and torch: ``pip install kvevict[transformers]``.
"""

from kvevict.transformers._cache import CacheReport, EvictingCache
from kvevict.transformers._evicted import EvictedLayer, EvictionReport, evict_dynamic_cache_inplace
from kvevict.transformers._prefill import prefill
from kvevict.transformers._verify import Verification, verify

__all__ = [
    "CacheReport",
    "EvictedLayer",
    "EvictingCache",
    "EvictionReport",
    "Verification",
    "evict_dynamic_cache_inplace",
    "prefill",
    "verify",
]
