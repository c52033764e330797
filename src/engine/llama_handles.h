#pragma once

#include <gguf.h>
#include <llama.h>

#include <memory>

namespace kvevict {

/// Deleters that make every C handle of llama.cpp a std::unique_ptr.
struct LlamaModelDelete {
  void operator()(llama_model* model) const noexcept { llama_model_free(model); }
};
struct LlamaContextDelete {
  void operator()(llama_context* context) const noexcept { llama_free(context); }
};
struct LlamaSamplerDelete {
  void operator()(llama_sampler* sampler) const noexcept { llama_sampler_free(sampler); }
};
struct GgufDelete {
  void operator()(gguf_context* gguf) const noexcept { gguf_free(gguf); }
};

using LlamaModelHandle = std::unique_ptr<llama_model, LlamaModelDelete>;
using LlamaContextHandle = std::unique_ptr<llama_context, LlamaContextDelete>;
using LlamaSamplerHandle = std::unique_ptr<llama_sampler, LlamaSamplerDelete>;
using GgufHandle = std::unique_ptr<gguf_context, GgufDelete>;

}  // namespace kvevict
