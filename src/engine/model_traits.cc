#include "engine/model_traits.h"

#include <cstdlib>

#include "engine/model_metadata.h"

namespace kvevict {

std::string reason_not_decodable(const llama_model* model) {
  if (llama_model_is_diffusion(model)) return "it is a diffusion model and does not generate token by token";
  if (llama_model_has_encoder(model) || !llama_model_has_decoder(model))
    return "it is not a decoder-only model";
  return {};
}

std::string reason_not_evictable(const llama_model* model) {
  if (llama_model_is_recurrent(model))
    return "it is a recurrent model and keeps a state of fixed size, not a cache of tokens";
  const std::string architecture = metadata_of(model, "general.architecture").value_or("");
  if (architecture == "deepseek4")
    return "its cache holds compressed groups of tokens, of which single ones cannot be dropped";
  // llama.cpp ends the process once a position passes the number of cells.
  if (architecture == "qwen4exp" && has_index(model))
    return "the index of its keys goes by blocks of positions, which must lie within the cells";
  return {};
}

namespace {

/// `key` of the model's architecture as a number; 0 if it is absent.
double number_of(const llama_model* model, const char* key) {
  const std::string architecture = metadata_of(model, "general.architecture").value_or("");
  return std::strtod(metadata_of(model, architecture + "." + key).value_or("0").c_str(), nullptr);
}

}  // namespace

bool has_index(const llama_model* model) {
  return number_of(model, "attention.indexer.head_count") > 0 ||
         number_of(model, "attention.indexer.key_length") > 0;
}

bool has_distances_in_attention(const llama_model* model) {
  if (llama_model_rope_type(model) != LLAMA_ROPE_TYPE_NONE)
    return metadata_of(model, "general.architecture") == "baichuan" && llama_model_n_layer(model) == 40;
  const std::string architecture = metadata_of(model, "general.architecture").value_or("");
  return architecture == "bloom" || architecture == "refact" ||
         number_of(model, "attention.max_alibi_bias") > 0;
}

bool has_learned_positions(const llama_model* model) {
  const std::string architecture = metadata_of(model, "general.architecture").value_or("");
  return architecture == "gpt2" || architecture == "starcoder" || architecture == "mpt";  // mpt: some do
}

bool has_state(const llama_model* model) {
  return llama_model_is_recurrent(model) || llama_model_is_hybrid(model);
}

std::string reason_not_shiftable(const llama_model* model) {
  switch (llama_model_rope_type(model)) {
    case LLAMA_ROPE_TYPE_NORM:
    case LLAMA_ROPE_TYPE_NEOX:
    case LLAMA_ROPE_TYPE_MROPE:
    case LLAMA_ROPE_TYPE_IMROPE:
    case LLAMA_ROPE_TYPE_NONE:  // what no rotation says, the cells alone do
      break;
    default:
      return "its positions are those of pictures";
  }
  const std::string architecture = metadata_of(model, "general.architecture").value_or("");
  if (architecture.starts_with("hunyuan") || architecture == "maincoder")
    return "its keys are normalised behind their rotation, and cannot be rotated on";
  return llama_model_n_swa(model) == 0 ? "" : "layers of it see a sliding window";
}

bool are_keys_rotated(const llama_model* model) {
  const llama_rope_type rope = llama_model_rope_type(model);
  const std::string architecture = metadata_of(model, "general.architecture").value_or("");
  // llama.cpp names a rotation for these two, and does none.
  const bool is_misnamed =
      architecture == "starcoder" || (architecture == "baichuan" && llama_model_n_layer(model) != 32);
  return rope != LLAMA_ROPE_TYPE_NONE && !is_misnamed;
}

bool moves_by_rows(const llama_model* model) {
  const llama_rope_type rope = llama_model_rope_type(model);
  if (rope == LLAMA_ROPE_TYPE_NONE) return false;
  if (rope == LLAMA_ROPE_TYPE_MROPE || rope == LLAMA_ROPE_TYPE_IMROPE) return true;
  // llama.cpp's shift would rotate what is not rotated: all keys, or those of every fourth layer.
  return !are_keys_rotated(model) || metadata_of(model, "general.architecture") == "smollm3";
}

}  // namespace kvevict
