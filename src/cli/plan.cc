// kvevict plan: which tokens a strategy keeps of a cache of some length. Needs no model.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

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
  std::string mask;
  bool json = false;
};

void print_json(std::int64_t total_len, const KeepSet& kept) {
  nlohmann::ordered_json json = {
      {"total_len", total_len}, {"kept", kept.count()}, {"ranges", nlohmann::json::array()}};
  for (const TokenRange& range : kept.ranges()) json["ranges"].push_back({range.begin, range.end});
  fmt::print("{}\n", json.dump());
}

void print_summary(const StrategySpec& spec, std::int64_t total_len, const KeepSet& kept) {
  const double saved =
      total_len > 0 ? 100.0 * static_cast<double>(total_len - kept.count()) / static_cast<double>(total_len)
                    : 0;
  fmt::print(
      "strategy  {}\ntokens    {} seen, {} kept, {} evicted\nsaved     {:.1f} % of the KV cache\nkept      ",
      to_string(spec), total_len, kept.count(), total_len - kept.count(), saved);
  constexpr std::size_t kMostShown = 64;
  const auto ranges = kept.ranges();
  for (std::size_t i = 0; i < std::min(kMostShown, ranges.size()); ++i)
    fmt::print("[{}, {}) ", ranges[i].begin, ranges[i].end);
  if (ranges.size() > kMostShown)
    fmt::print("… and {} more ranges (--json prints all)", ranges.size() - kMostShown);
  fmt::print("{}\n", ranges.empty() ? "nothing" : "");
}

void run_plan(const PlanFlags& flags) {
  if (flags.total_len < 0 || flags.total_len > kMaxTokens) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--total_len is {}: a number of tokens from 0 to {} is needed", flags.total_len,
                            kMaxTokens));
  }
  const bool is_bounded = flags.prefill == to_string(PrefillMode::kBounded);
  if (!flags.mask.empty() && !is_bounded) {
    throw Error(ErrorCode::kInvalidArgument,
                "--mask shows what the tokens of a bounded prefill see: it needs --prefill bounded");
  }
  const StrategySpec spec = flags.strategy.specs("sink_recent").front();
  const auto policy = make_policy(spec);
  PolicyState state;
  if (is_bounded) {
    state.schedule = Schedule::kStreaming;
    note_streaming_middle(spec);
  }
  const KeepSet kept = policy->plan(flags.total_len, state).layer(0);
  if (!flags.mask.empty()) write_attention_mask(*policy, flags.total_len, flags.chunk, flags.mask);
  if (flags.json) {
    print_json(flags.total_len, kept);
  } else {
    print_summary(spec, flags.total_len, kept);
  }
}

}  // namespace

void add_plan(CLI::App& app) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App* command = app.add_subcommand("plan", "Show which tokens a strategy keeps (no model needed)");
  add_count(*command, "total_len", flags->total_len, "Tokens in the cache before the eviction")
      ->capture_default_str();
  flags->strategy.add_to(*command, false);
  add_option(*command, "prefill", flags->prefill,
             "full: one eviction of a whole cache; bounded: a cache that was evicted all along")
      ->check(CLI::IsMember({"full", "bounded"}))
      ->capture_default_str();
  add_count(*command, "chunk", flags->chunk, "Bounded prefill: tokens between two evictions, for --mask")
      ->capture_default_str();
  add_option(*command, "mask", flags->mask,
             "Draw which token sees which during a bounded prefill: *.png or *.npy")
      ->option_text("FILE");
  add_flag(*command, "json", flags->json, "Print {\"total_len\", \"kept\", \"ranges\"} and nothing else");
  command->callback([flags] { run_plan(*flags); });
}

}  // namespace kvevict::cli
