"""The default model in PyTorch: transformers' LlamaForCausalLM with the weights of a GGUF file, all in f32."""

import gguf
import numpy
import torch
import transformers
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv

NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
         "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}


def _field(reader, name):
    field = reader.fields[name]
    return field.parts[field.data[0]][0]


def _as_rotated_in_halves(weights, n_heads):
    """llama.cpp rotates neighbouring rows of a head, transformers rows half a head apart."""
    rows, columns = weights.shape
    return weights.reshape(n_heads, rows // n_heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _torch_name(name):
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{NAMES[parts[2]]}.{parts[3]}"
    return {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}[parts[0]] + ".weight"


def load(path):
    reader = gguf.GGUFReader(path)
    n_heads, n_kv_heads = (int(_field(reader, f"llama.attention.head_count{kv}")) for kv in ("", "_kv"))
    tensors = {t.name: gguf.dequantize(t.data, t.tensor_type).astype(numpy.float32) for t in reader.tensors}
    config = transformers.LlamaConfig(
        vocab_size=tensors["token_embd.weight"].shape[0], hidden_size=int(_field(reader, "llama.embedding_length")),
        intermediate_size=int(_field(reader, "llama.feed_forward_length")), num_hidden_layers=int(_field(reader, "llama.block_count")),
        num_attention_heads=n_heads, num_key_value_heads=n_kv_heads, rope_theta=float(_field(reader, "llama.rope.freq_base")),
        rms_norm_eps=float(_field(reader, "llama.attention.layer_norm_rms_epsilon")), max_position_embeddings=8192,
        tie_word_embeddings="output.weight" not in tensors, attn_implementation="eager")
    state = {}
    for name, weights in tensors.items():
        if ".attn_q." in name or ".attn_k." in name:
            weights = _as_rotated_in_halves(weights, n_heads if ".attn_q." in name else n_kv_heads)
        state[_torch_name(name)] = torch.from_numpy(numpy.ascontiguousarray(weights))
    model = transformers.LlamaForCausalLM(config)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model.eval()


@torch.no_grad()
def logits_under_mask(model, tokens, sees):
    """Logits [n, n_vocab] of one pass in which token i sees token j iff sees[i, j]; absolute positions."""
    blocked = torch.zeros(sees.shape).masked_fill(~torch.from_numpy(sees), torch.finfo(torch.float32).min)
    return model(torch.tensor([tokens]), attention_mask=blocked[None, None], position_ids=torch.arange(len(tokens))[None]).logits[0]


@torch.no_grad()
def logits_packed(model, tokens, chunks):
    """Logits [n, n_vocab] of a loop over chunks: keys are cached unrotated, and all that a chunk sees take the positions
    0, 1, 2, … anew. `chunks`: (cached indices in order, the chunk's indices) for each."""
    n_layers = model.config.num_hidden_layers
    keys = [torch.empty(0) for _ in range(n_layers)]  # [n_kv_heads, tokens seen, head_dim], unrotated
    values = [torch.empty(0) for _ in range(n_layers)]
    rows = []
    for cached, own in chunks:
        seen = torch.tensor(cached + own)
        hidden = model.model.embed_tokens(torch.tensor([[tokens[i] for i in own]]))
        n_own = len(own)
        blocked = torch.full((n_own, len(seen)), torch.finfo(torch.float32).min).triu(len(cached) + 1)
        cos, sin = model.model.rotary_emb(hidden, torch.arange(len(seen))[None])
        for number, layer in enumerate(model.model.layers):
            x, attention = layer.input_layernorm(hidden), layer.self_attn
            split = lambda y: y.view(n_own, -1, attention.head_dim).transpose(0, 1)
            q, k, v = split(attention.q_proj(x)), split(attention.k_proj(x)), split(attention.v_proj(x))
            keys[number] = torch.cat([keys[number], k], 1) if keys[number].numel() else k
            values[number] = torch.cat([values[number], v], 1) if values[number].numel() else v
            k, v = keys[number][:, seen][None], values[number][:, seen][None]
            _, k = apply_rotary_pos_emb(k, k, cos, sin)
            q, _ = apply_rotary_pos_emb(q[None], q[None], cos[:, -n_own:], sin[:, -n_own:])
            k, v = (repeat_kv(y, attention.num_key_value_groups) for y in (k, v))
            weights = torch.softmax(q @ k.transpose(2, 3) / attention.head_dim**0.5 + blocked, -1)
            hidden = hidden + attention.o_proj((weights @ v).transpose(1, 2).reshape(1, n_own, -1))
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        rows.append(model.lm_head(model.model.norm(hidden))[0])
    return torch.cat(rows)
