"""Tiny models with random weights, one for each family of architectures."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

COMMON: dict[str, Any] = {
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ABSENT = object()  # a common size that a family's configuration does not have
EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
ALTERNATE = ["sliding_attention", "full_attention"] * 2

# What a family needs beside the common sizes.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "phi3": {"original_max_position_embeddings": 2048},
    "gemma": {},
    "gemma2": {"layer_types": ALTERNATE, "sliding_window": 24},
    "gemma3_text": {"layer_types": ALTERNATE, "sliding_window": 24},
    "gemma4_text": {
        "layer_types": ["sliding_attention", "full_attention"] * 3,
        "num_hidden_layers": 6,
        "num_kv_shared_layers": 2,
        "sliding_window": 24,
        "global_head_dim": 16,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 256,
    },
    "mistral": {"sliding_window": None},
    "cohere": {},
    "cohere2": {"layer_types": ALTERNATE, "sliding_window": 24},
    "olmo2": {},
    "granite": {},
    "glm4": {},
    "starcoder2": {},
    "stablelm": {},
    "smollm3": {},
    "gpt_neox": {},
    "gpt2": {"n_embd": 64, "n_layer": 4, "n_head": 4, "n_positions": 2048},
    "opt": {"ffn_dim": 96, "word_embed_proj_dim": 64},
    "falcon": {"new_decoder_architecture": True, "num_kv_heads": 2, "alibi": False, "head_dim": ABSENT},
    "qwen2_moe": {**EXPERTS, "shared_expert_intermediate_size": 32},
    "mixtral": {**EXPERTS},
    "gpt_oss": {**EXPERTS, "layer_types": ALTERNATE, "sliding_window": 24},
    "deepseek_v3": {
        **EXPERTS,
        "n_routed_experts": 4,
        "n_group": 2,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "num_key_value_heads": 4,
        "q_lora_rank": 24,
        "kv_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 16,
        "v_head_dim": 16,
        "head_dim": 8,
    },
    "llama4_text": {**EXPERTS, "intermediate_size_mlp": 96, "attention_chunk_size": 2048},
    "exaone4": {"layer_types": ALTERNATE, "sliding_window": 24},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "qwen3_next": {
        **EXPERTS,
        "layer_types": ["linear_attention", "full_attention"] * 2,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "shared_expert_intermediate_size": 32,
    },
}
# Six of different kinds: full attention, a sliding window, learned positions, layers without positions, a latent.
ORDINARY = ["llama", "qwen3", "gemma3_text", "gpt2", "smollm3", "deepseek_v3"]


def tiny(family: str, **changes: Any) -> PreTrainedModel:
    """A model of ``family`` in f32, always the same, whose logits differ enough to show a token too many."""
    values = {**COMMON, **FAMILIES.get(family, {}), **changes}
    config = AutoConfig.for_model(family, **{k: v for k, v in values.items() if v is not ABSENT})
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1:
                weights.normal_(0.0, 1.0 / weights.shape[-1] ** 0.5)
            elif "bias" in name:
                weights.normal_(0.0, 0.02)
        model.get_input_embeddings().weight.normal_(0.0, 1.0)
    return model.eval()
