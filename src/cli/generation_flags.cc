#include "cli/generation_flags.h"

#include <fmt/format.h>

#include "cli/flags.h"
#include "kvevict/error.h"

namespace kvevict::cli {

void GenerationFlags::add_to(CLI::App& app) {
  add_count(app, "max_new_tokens", max_new_tokens, "Most tokens of an answer")->capture_default_str();
  add_option(app, "temperature", sampling.temperature, "Sampling temperature (0: greedy)")->option_text("T");
  add_count(app, "top_k", sampling.top_k, "Best tokens considered (0: all)")->capture_default_str();
  add_option(app, "top_p", sampling.top_p, "Share of probability considered")->option_text("P");
  add_option(app, "min_p", sampling.min_p, "Least probability, relative to the best token's")
      ->option_text("P");
  add_count(app, "seed", sampling.seed, "Seed of the sampler, where the temperature is above 0");
}

void GenerationFlags::validate() const {
  if (max_new_tokens >= 1) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("--max_new_tokens is {}: 1 or more is needed", max_new_tokens));
}

}  // namespace kvevict::cli
