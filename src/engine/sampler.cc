#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kvevict/error.h"

namespace kvevict {
namespace {

void require(bool holds, const char* option, double value, const char* range) {
  if (holds) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(option) + " is " + std::to_string(value) + ": " + range + " is needed", option);
}

/// A seed for one token: the finaliser of SplitMix64 (Steele, Lea and Flood 2014) over both numbers.
std::uint32_t seed_of(std::uint32_t seed, std::int64_t index) {
  std::uint64_t z =
      (static_cast<std::uint64_t>(seed) << 32) + static_cast<std::uint64_t>(index) + 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  const auto mixed = static_cast<std::uint32_t>((z ^ (z >> 31)) >> 32);
  return mixed == LLAMA_DEFAULT_SEED ? 0 : mixed;  // llama.cpp takes that one for "a random seed"
}

void validate(const SamplingOptions& o) {
  require(o.temperature >= 0.0 && o.temperature <= 100.0, "temperature", o.temperature,
          "a number from 0 to 100");
  require(o.top_k >= 0, "top_k", o.top_k, "a whole number of tokens, 0 for all,");
  require(o.top_p > 0.0 && o.top_p <= 1.0, "top_p", o.top_p, "a number above 0 and up to 1");
  require(o.repeat_penalty > 0.0 && o.repeat_penalty <= 100.0, "repeat_penalty", o.repeat_penalty,
          "a number above 0 and up to 100");
  require(o.min_p >= 0.0 && o.min_p <= 1.0, "min_p", o.min_p, "a number from 0 to 1");
  require(std::abs(o.presence_penalty) <= 2.0, "presence_penalty", o.presence_penalty,
          "a number from -2 to 2");
  require(std::abs(o.frequency_penalty) <= 2.0, "frequency_penalty", o.frequency_penalty,
          "a number from -2 to 2");
}

/// What the options add to single tokens' logits.
std::vector<llama_logit_bias> biases_of(const SamplingOptions& options, const Model& model) {
  std::vector<llama_logit_bias> biases;
  const std::int32_t n_vocab = model.info().n_vocab;
  for (const LogitBias& one : options.logit_bias) {
    if (one.token < 0 || one.token >= n_vocab)
      throw Error(ErrorCode::kInvalidArgument,
                  "logit_bias names the token " + std::to_string(one.token) + ": the vocabulary of " +
                      model.info().name + " has those from 0 to " + std::to_string(n_vocab - 1),
                  "logit_bias");
    require(std::abs(one.bias) <= 100.0, "logit_bias", one.bias, "a number from -100 to 100");
    biases.push_back({.token = one.token, .bias = static_cast<float>(one.bias)});
  }
  if (!options.ignores_end) return biases;
  for (Token token = 0; token < n_vocab; ++token) {
    if (model.is_end_of_generation(token))
      biases.push_back({.token = token, .bias = -std::numeric_limits<float>::infinity()});
  }
  return biases;
}

}  // namespace

Sampler::Sampler(const SamplingOptions& options, const Model& model, std::span<const Token> recent,
                 const std::string& grammar, const GrammarStart& grammar_start)
    : chain_(llama_sampler_chain_init(llama_sampler_chain_default_params())),
      is_greedy_(options.temperature == 0.0),
      seed_(options.seed) {
  validate(options);
  if (!grammar.empty()) {
    if (options.ignores_end)
      throw Error(ErrorCode::kInvalidArgument,
                  "an answer with a grammar ends where the grammar does: its end cannot be ignored",
                  "ignores_end");
    grammar_.emplace(model, grammar, grammar_start);
  }
  add_penalties(options, model, recent);
  if (is_greedy_) {
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_greedy());
    return;
  }
  llama_sampler_chain_add(chain_.get(), llama_sampler_init_top_k(options.top_k));
  llama_sampler_chain_add(chain_.get(), llama_sampler_init_top_p(static_cast<float>(options.top_p), 1));
  llama_sampler_chain_add(chain_.get(), llama_sampler_init_min_p(static_cast<float>(options.min_p), 1));
  llama_sampler_chain_add(chain_.get(), llama_sampler_init_temp(static_cast<float>(options.temperature)));
}

/// What changes logits before anything is chosen.
void Sampler::add_penalties(const SamplingOptions& options, const Model& model,
                            std::span<const Token> recent) {
  constexpr std::int32_t kPenaltyTokens = 64;
  const std::int32_t n_vocab = model.info().n_vocab;
  if (const std::vector<llama_logit_bias> biases = biases_of(options, model); !biases.empty())
    llama_sampler_chain_add(
        chain_.get(),
        llama_sampler_init_logit_bias(n_vocab, static_cast<std::int32_t>(biases.size()), biases.data()));
  if (options.repeat_penalty == 1.0 && options.presence_penalty == 0.0 && options.frequency_penalty == 0.0)
    return;
  llama_sampler_chain_add(
      chain_.get(),
      llama_sampler_init_penalties(n_vocab, kPenaltyTokens, static_cast<float>(options.repeat_penalty),
                                   static_cast<float>(options.frequency_penalty),
                                   static_cast<float>(options.presence_penalty)));
  const std::size_t n_counted =
      std::min<std::size_t>(recent.size(), kPenaltyTokens);  // the sampler drops others
  for (const Token token : recent.last(n_counted)) llama_sampler_accept(chain_.get(), token);
}

void Sampler::fill(std::span<const float> logits) {
  candidates_.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    candidates_[i] = {.id = static_cast<llama_token>(i), .logit = logits[i], .p = 0.0F};
  }
  array_ = {.data = candidates_.data(), .size = candidates_.size(), .selected = -1, .sorted = false};
}

Token Sampler::choose(std::int64_t index) {
  llama_sampler_apply(chain_.get(), &array_);
  if (!is_greedy_) {
    const LlamaSamplerHandle draw(llama_sampler_init_dist(seed_of(seed_, index)));
    llama_sampler_apply(draw.get(), &array_);
  }
  if (array_.selected < 0) throw Error(ErrorCode::kEngine, "llama.cpp's samplers chose no token");
  return array_.data[array_.selected].id;
}

Token Sampler::sample(std::span<const float> logits, std::int64_t index) {
  fill(logits);
  Token token = choose(index);
  // To ask the grammar about one token is quick, and mostly it allows the one that would have been drawn.
  if (grammar_ && !grammar_->allows(token)) {
    fill(logits);
    grammar_->restrict(array_);
    token = choose(index);
  }
  if (grammar_) grammar_->accept(token);
  llama_sampler_accept(chain_.get(), token);
  return token;
}

}  // namespace kvevict
