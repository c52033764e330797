#include "options.h"

#include <algorithm>

#include "engine/trained_context.h"
#include "kvevict/error.h"
#include "kvevict/grammar.h"

namespace kvevict::python {
namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& value, const std::string& right) {
  throw Error(ErrorCode::kInvalidArgument, name + " is \"" + value + "\": " + right + " is needed", name);
}

FlashAttention flash_attention_of(const std::string& name) {
  if (name == "auto") return FlashAttention::kAuto;
  if (name == "on") return FlashAttention::kOn;
  if (name == "off") return FlashAttention::kOff;
  refuse("flash_attention", name, "auto, on or off");
}

PrefillMode prefill_of(const std::optional<std::string>& name, const Model& model, const Policy& policy) {
  if (!name) return has_bound(policy, model) ? PrefillMode::kBounded : PrefillMode::kFull;
  if (const auto mode = parse_prefill_mode(*name)) return *mode;
  refuse("prefill", *name, "full or bounded");
}

std::optional<PositionMode> positions_of(const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  if (const auto mode = parse_position_mode(*name)) return mode;
  refuse("positions", *name, "absolute, packed or auto");
}

/// So that a chunk fits beside a budget, where the user leaves it to us.
int chunk_of(const EngineArguments& arguments, const Model& model) {
  const int n_default = SessionOptions{}.n_chunk;
  if (arguments.chunk) return *arguments.chunk;
  const std::int64_t n_trained = context_limit(model);
  if (n_trained == 0) return n_default;
  return static_cast<int>(std::clamp<std::int64_t>(n_trained / 4, 1, n_default));
}

}  // namespace

bool has_bound(const Policy& policy, const Model& model) {
  const PolicyState state{.schedule = Schedule::kStreaming, .n_layers = model.info().n_cache_layers()};
  return policy.budget_tokens(state).has_value();
}

KvType kv_type_of(const std::string& name) {
  if (const auto type = parse_kv_type(name)) return *type;
  refuse("kv_type", name, "f32, f16, bf16, q8_0 or q4_0");
}

SessionOptions session_options(const EngineArguments& arguments, const Model& model, const Policy& policy,
                               const std::atomic<bool>* cancel) {
  const KvType type = kv_type_of(arguments.kv_type);
  return {.flash_attention = flash_attention_of(arguments.flash_attention),
          .type_k = type,
          .type_v = type,
          .n_chunk = chunk_of(arguments, model),
          .n_threads = arguments.threads,
          .prefill = prefill_of(arguments.prefill, model, policy),
          .positions = positions_of(arguments.positions),
          .cancel = cancel};
}

AnswerOptions answer_options(const AnswerArguments& arguments, const Model& model) {
  if (arguments.max_tokens < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "max_tokens is " + std::to_string(arguments.max_tokens) + ": 0 or more is needed",
                "max_tokens");
  }
  if (std::ranges::find(arguments.stop, "") != arguments.stop.end()) {
    throw Error(ErrorCode::kInvalidArgument, "stop has an empty text: one or more characters are needed",
                "stop");
  }
  if (!arguments.grammar.empty()) require_grammar(model, arguments.grammar);
  return {.max_new_tokens = arguments.max_tokens,
          .sampling = {.temperature = arguments.temperature,
                       .top_k = arguments.top_k,
                       .top_p = arguments.top_p,
                       .min_p = arguments.min_p,
                       .seed = arguments.seed,
                       .repeat_penalty = arguments.repeat_penalty},
          .grammar = arguments.grammar,
          .stop = arguments.stop};
}

}  // namespace kvevict::python
