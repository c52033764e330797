"""The demo's module: `kvevict.simple_evict` under the name that its README imports."""

from kvevict.simple_evict import SimpleEvictConfig, build_simple_keep_token_idx, evict_dynamic_cache_inplace

__all__ = ["SimpleEvictConfig", "build_simple_keep_token_idx", "evict_dynamic_cache_inplace"]
