// kvevict plan: which tokens a strategy keeps of a cache of some length. Needs no model.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/attention_mask.h"
#include "cli/flags.h"
#include "cli/strategy_flags.h"
#include "cli/subcommands.h"
#include "kvevict/error.h"
#include "kvevict/modes.h"
#include "kvevict/policy.h"

namespace kvevict::cli {
namespace {

struct PlanFlags {
  StrategyFlags strategy;
  std::int64_t total_len = 4096;
  std::string prefill = "full";
  std::int64_t chunk = 512;
  std::optional<std::int64_t> n_layers;
  std::int64_t layer = 0;
  std::string mask;
  bool json = false;
};

nlohmann::ordered_json ranges_of(const KeepSet& kept) {
  nlohmann::ordered_json ranges = nlohmann::ordered_json::array();
  for (const TokenRange& range : kept.ranges()) ranges.push_back({range.begin, range.end});
  return ranges;
}

/// `n_layers`: those to be told apart; 0: one set stands for all.
void print_json(std::int64_t total_len, const KeepPlan& plan, std::int64_t n_layers) {
  nlohmann::ordered_json json = {{"total_len", total_len}, {"kept", plan.count()}};
  if (n_layers == 0) {
    json["ranges"] = ranges_of(plan.layer(0));
  } else {
    json["kept_in_any_layer"] = plan.in_any_layer().count();
    json["layers"] = nlohmann::json::array();
    for (std::int64_t l = 0; l < n_layers; ++l)
      json["layers"].push_back(ranges_of(plan.layer(static_cast<std::size_t>(l))));
  }
  fmt::print("{}\n", json.dump());
}

void print_ranges(const std::string& label, const KeepSet& kept, std::size_t n_most) {
  const auto ranges = kept.ranges();
  fmt::print("{:<10}", label);
  for (std::size_t i = 0; i < std::min(n_most, ranges.size()); ++i)
    fmt::print("[{}, {}) ", ranges[i].begin, ranges[i].end);
  if (ranges.size() > n_most) fmt::print("… and {} more ranges (--json prints all)", ranges.size() - n_most);
  fmt::print("{}\n", ranges.empty() ? "nothing" : "");
}

void print_summary(const StrategySpec& spec, std::int64_t total_len, const KeepPlan& plan,
                   std::int64_t n_layers) {
  const std::int64_t n_kept = plan.count();
  const double saved =
      total_len > 0 ? 100.0 * static_cast<double>(total_len - n_kept) / static_cast<double>(total_len) : 0;
  fmt::print("strategy  {}\ntokens    {} seen, {} kept, {} evicted{}\nsaved     {:.1f} % of the KV cache\n",
             to_string(spec), total_len, n_kept, total_len - n_kept, n_layers > 0 ? " in each layer" : "",
             saved);
  if (n_layers == 0) {
    print_ranges("kept", plan.layer(0), 64);
    return;
  }
  fmt::print("together  {} of them kept in at least one of {} layers\n", plan.in_any_layer().count(),
             n_layers);
  for (std::int64_t l = 0; l < n_layers; ++l)
    print_ranges(fmt::format("layer {}", l), plan.layer(static_cast<std::size_t>(l)), 8);
}

/// The plan for all tokens; if it depends on the plans before it, after one for each chunk.
KeepPlan final_plan(const Policy& policy, const PlanFlags& flags, std::int64_t n_layers) {
  const bool is_bounded = flags.prefill == to_string(PrefillMode::kBounded);
  PolicyState state{.schedule = is_bounded ? Schedule::kStreaming : Schedule::kOneShot, .n_layers = n_layers};
  if (is_bounded && policy.is_per_layer()) {
    for (std::int64_t n = flags.chunk; n < flags.total_len; n += flags.chunk)
      static_cast<void>(policy.plan(n, state));
  }
  return policy.plan(flags.total_len, state);
}

void require_sensible(const PlanFlags& flags) {
  if (flags.total_len < 0 || flags.total_len > kMaxTokens) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--total_len is {}: a number of tokens from 0 to {} is needed", flags.total_len,
                            kMaxTokens));
  }
  if (flags.chunk < 1 || flags.chunk > kMaxTokens) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("--chunk is {}: a number of tokens from 1 to {} is needed", flags.chunk, kMaxTokens));
  }
  if (!flags.mask.empty() && flags.prefill != to_string(PrefillMode::kBounded)) {
    throw Error(ErrorCode::kInvalidArgument,
                "--mask shows what the tokens of a bounded prefill see: it needs --prefill bounded");
  }
}

void run_plan(const PlanFlags& flags) {
  require_sensible(flags);
  const StrategySpec spec = flags.strategy.specs("sink_recent").front();
  const auto policy = make_policy(spec);
  require_no_cache(*policy);
  const std::int64_t n_layers = layers_for(spec, flags.n_layers);
  if (flags.prefill == to_string(PrefillMode::kBounded)) note_streaming_middle(spec);
  const KeepPlan plan = final_plan(*policy, flags, n_layers);
  if (!flags.mask.empty()) {
    write_attention_mask({.policy = policy.get(),
                          .n_tokens = flags.total_len,
                          .n_chunk = flags.chunk,
                          .n_layers = n_layers,
                          .layer = flags.layer},
                         flags.mask);
  }
  const std::int64_t n_shown = policy->is_per_layer() ? n_layers : 0;
  if (flags.json) {
    print_json(flags.total_len, plan, n_shown);
  } else {
    print_summary(spec, flags.total_len, plan, n_shown);
  }
}

}  // namespace

void add_plan(CLI::App& app) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App* command = app.add_subcommand("plan", "Show which tokens a strategy keeps (no model needed)");
  add_count(*command, "total_len", flags->total_len, "Tokens in the cache before the eviction")
      ->capture_default_str();
  flags->strategy.add_to(*command, false);
  add_count(*command, "n_layers", flags->n_layers,
            "Layers, for a strategy that keeps other tokens in each (30, the default model's)");
  add_option(*command, "prefill", flags->prefill,
             "full: one eviction of a whole cache; bounded: a cache that was evicted all along")
      ->check(CLI::IsMember({"full", "bounded"}))
      ->capture_default_str();
  add_count(*command, "chunk", flags->chunk,
            "Bounded prefill: tokens between two evictions, for --mask and the ladder")
      ->capture_default_str();
  add_option(*command, "mask", flags->mask,
             "Draw which token sees which during a bounded prefill: *.png or *.npy")
      ->option_text("FILE");
  add_count(*command, "layer", flags->layer, "The layer that --mask draws where layers keep other tokens")
      ->capture_default_str();
  add_flag(*command, "json", flags->json,
           "Print {\"total_len\", \"kept\", \"ranges\" or \"layers\"} and nothing else");
  command->callback([flags] { run_plan(*flags); });
}

}  // namespace kvevict::cli
