#include "archs/kind.h"

#include <cstdlib>
#include <stdexcept>

#include "engine/llama_handles.h"
#include "engine/model_metadata.h"

namespace kvevict::test {
namespace {

std::string memory_of(const llama_model* model, const std::string& architecture) {
  const auto is_set = [&](const char* key) {
    return std::atof(metadata_of(model, architecture + "." + key).value_or("").c_str()) != 0;
  };
  if (llama_model_is_diffusion(model)) return "none: diffusion";
  if (llama_model_has_encoder(model) || !llama_model_has_decoder(model)) return "none: encoder";
  if (llama_model_is_recurrent(model)) return "recurrent";
  std::string words = llama_model_is_hybrid(model) ? "hybrid" : "attention";
  if (is_set("attention.key_length_mla")) words += ", latent (MLA)";
  if (is_set("attention.indexer.head_count") || is_set("attention.indexer.key_length")) words += ", indexed";
  if (llama_model_n_swa(model) > 0) words += ", sliding window";
  return words;
}

std::string positions_of(const llama_model* model, const std::string& architecture) {
  switch (llama_model_rope_type(model)) {
    case LLAMA_ROPE_TYPE_NORM:
    case LLAMA_ROPE_TYPE_NEOX:
      return "rotary";
    case LLAMA_ROPE_TYPE_NONE:
      break;
    default:
      return "M-RoPE";
  }
  for (const char* name : {"bloom", "mpt", "jais", "refact", "baichuan"}) {
    if (architecture == name) return "ALiBi";
  }
  return "none rotated";
}

}  // namespace

KindOfModel kind_of_model(const std::filesystem::path& path) {
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  const LlamaModelHandle model(llama_model_load_from_file(path.c_str(), llama_model_default_params()));
  if (!model) throw std::runtime_error("llama.cpp does not load it");
  KindOfModel kind{.architecture = metadata_of(model.get(), "general.architecture").value_or(""),
                   .memory = {},
                   .positions = {}};
  kind.memory = memory_of(model.get(), kind.architecture);
  kind.positions = positions_of(model.get(), kind.architecture);
  return kind;
}

}  // namespace kvevict::test
