"""The usage examples 1 to 3 of the demo's README, as they stand there; a program, so that an empty environment runs it."""

from evict.simple_evict import SimpleEvictConfig, build_simple_keep_token_idx

# Configuration: keep first 256 + last 512 tokens
config = SimpleEvictConfig(
    sink_tokens=256,
    recent_tokens=512,
    middle_strategy="none"
)

# Build indices of tokens to keep
keep_idx = build_simple_keep_token_idx(
    total_len=4096,      # Total tokens in cache
    block_n=128,         # Block size
    cfg=config
)
# Output: [0, 1, ..., 255, 3584, 3585, ..., 4095]
# Keeps 768 tokens total (256 + 512)
print("example 1:", len(keep_idx), keep_idx)

# Configuration: keep sink + recent + uniformly-spaced middle tokens
config = SimpleEvictConfig(
    sink_tokens=256,
    recent_tokens=512,
    middle_strategy="uniform",
    middle_budget_tokens=512,  # Keep ~512 tokens from middle region
    uniform_stride=0            # Use budget (not stride)
)

keep_idx = build_simple_keep_token_idx(
    total_len=4096,
    block_n=128,
    cfg=config
)
# Output: [0, ..., 255, 512, 1024, 1536, ..., 3584, ..., 4095]
# Keeps ~1280 tokens total (256 + 512 + 512)
print("example 2:", len(keep_idx), keep_idx)

# Configuration: keep every 2nd block in middle region
config = SimpleEvictConfig(
    sink_tokens=256,
    recent_tokens=512,
    middle_strategy="uniform",
    uniform_stride=2  # Keep every 2nd block (overrides budget)
)

keep_idx = build_simple_keep_token_idx(
    total_len=4096,
    block_n=128,
    cfg=config
)
# Keeps blocks 2, 4, 6, ... from middle region
print("example 3:", len(keep_idx), keep_idx)
