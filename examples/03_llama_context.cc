// A plain llama.cpp chat loop that never runs out of context: the three lines marked with "kvevict"
// are all that was added to it. Reads a message from each line of the standard input.
//
//   03_llama_context MODEL.gguf < messages.txt
#include <llama.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "kvevict/llama_cache.h"  // kvevict, line 1

namespace {

constexpr int kBatch = 64, kContext = 512, kMostAnswerTokens = 40;

using ModelHandle = std::unique_ptr<llama_model, decltype(&llama_model_free)>;
using ContextHandle = std::unique_ptr<llama_context, decltype(&llama_free)>;
using SamplerHandle = std::unique_ptr<llama_sampler, decltype(&llama_sampler_free)>;

ModelHandle load_model(const char* path) {
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  return {llama_model_load_from_file(path, llama_model_default_params()), &llama_model_free};
}

ContextHandle make_context(llama_model* model) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = kContext;
  params.n_batch = kBatch;
  return {llama_init_from_model(model, params), &llama_free};
}

std::vector<llama_token> tokenize(const llama_vocab* vocab, const std::string& text) {
  std::vector<llama_token> tokens(text.size() + 8);
  const int n = llama_tokenize(vocab, text.c_str(), static_cast<int>(text.size()), tokens.data(),
                               static_cast<int>(tokens.size()), false, true);
  tokens.resize(static_cast<std::size_t>(std::max(n, 0)));
  return tokens;
}

std::string piece_of(const llama_vocab* vocab, llama_token token) {
  char piece[256];
  const int n = llama_token_to_piece(vocab, token, piece, sizeof piece, 0, true);
  return {piece, static_cast<std::size_t>(std::max(n, 0))};
}

/// The user's turn in ChatML, the format of the default model.
std::string as_turn(const std::string& message) {
  return "<|im_start|>user\n" + message + "<|im_end|>\n<|im_start|>assistant\n";
}

class Chat {
 public:
  Chat(llama_model* model, llama_context* context)
      : vocab_(llama_model_get_vocab(model)),
        context_(context),
        sampler_(llama_sampler_init_greedy(), &llama_sampler_free),
        cache_(kvevict::LlamaCache::bind(context, kvevict::make_policy("sink_recent:4:380"),
                                         {.positions = kvevict::PositionMode::kAuto})) {}  // kvevict, line 2

  void answer(const std::string& message) {
    std::vector<llama_token> tokens = tokenize(vocab_, as_turn(message));
    for (int i = 0; i < kMostAnswerTokens && decode(tokens); ++i) {
      const llama_token next = llama_sampler_sample(sampler_.get(), context_, -1);
      if (llama_vocab_is_eog(vocab_, next)) break;
      std::cout << piece_of(vocab_, next) << std::flush;
      tokens = {next};
    }
    tokens = tokenize(vocab_, "<|im_end|>\n");
    decode(tokens);
    std::cout << "\n";
  }

  [[nodiscard]] kvevict::LlamaCacheStats stats() const { return cache_.stats(); }

 private:
  bool decode(std::vector<llama_token>& tokens) {
    for (std::size_t from = 0; from < tokens.size(); from += kBatch) {
      const auto n = static_cast<int>(std::min<std::size_t>(kBatch, tokens.size() - from));
      cache_.before_decode(n);  // kvevict, line 3
      if (llama_decode(context_, llama_batch_get_one(tokens.data() + from, n)) != 0) return false;
    }
    return true;
  }

  const llama_vocab* vocab_;
  llama_context* context_;
  SamplerHandle sampler_;
  kvevict::LlamaCache cache_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fputs("usage: 03_llama_context MODEL.gguf < messages.txt\n", stderr);
    return 2;
  }
  const ModelHandle model = load_model(argv[1]);
  const ContextHandle context = model ? make_context(model.get()) : ContextHandle(nullptr, &llama_free);
  if (!context) {
    std::fprintf(stderr, "llama.cpp cannot load %s\n", argv[1]);
    return 1;
  }
  Chat chat(model.get(), context.get());
  for (std::string line; std::getline(std::cin, line);) chat.answer(line);
  const kvevict::LlamaCacheStats stats = chat.stats();
  std::fprintf(stderr, "%lld tokens seen, %lld in a context of %d\n",
               static_cast<long long>(stats.n_tokens_seen), static_cast<long long>(stats.n_tokens_held),
               kContext);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
