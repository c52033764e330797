// --kv_memory: bytes to token counts.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "cli/engine_flags.h"
#include "cli/strategy_flags.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/policy.h"

namespace kvevict::cli {
namespace {

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr std::array kUnits = {
    Unit{"", 1},     Unit{"B", 1},    Unit{"KiB", 1024.0}, Unit{"MiB", 1048576.0}, Unit{"GiB", 1073741824.0},
    Unit{"KB", 1e3}, Unit{"kB", 1e3}, Unit{"MB", 1e6},     Unit{"GB", 1e9}};

}  // namespace

std::int64_t parse_bytes(const std::string& flag, const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string_view unit(end);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& known : kUnits) {
    if (end == text.c_str() || known.name != unit || !(number > 0) || number * known.bytes > 1e15) continue;
    return static_cast<std::int64_t>(number * known.bytes);
  }
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("--{} is \"{}\": a size such as 512MiB, 1.5GiB or 200MB is needed", flag, text));
}

std::int64_t tokens_within(const std::string& kv_memory, const Model& model, const SessionOptions& options) {
  const std::int64_t per_token = model.kv_bytes_per_token(options.type_k, options.type_v);
  return parse_bytes("kv_memory", kv_memory) / per_token / kCellPadding * kCellPadding;
}

std::int64_t tokens_beyond_budget(const Policy& policy, const SessionOptions& options, bool is_bounded) {
  const PositionMode positions = options_for(policy, options).positions;
  return std::max<std::int64_t>(decode_slack(policy, positions, options.n_decode_slack),
                                is_bounded ? options.n_chunk : 0);
}

void fit_to_memory(StrategySpec& spec, const std::string& kv_memory, const Model& model,
                   const SessionOptions& options, bool is_bounded) {
  const PolicyInfo& info = policy_info(spec.name);
  const std::int64_t n_cells = tokens_within(kv_memory, model, options);
  if (!info.uses("recent")) {
    spdlog::warn("--kv_memory is not used by {}: it keeps every token", spec.name);
    return;
  }
  const std::int64_t per_token = model.kv_bytes_per_token(options.type_k, options.type_v);
  const std::int64_t n_slack = tokens_beyond_budget(*make_policy(spec), options, is_bounded);
  SimpleEvictConfig& config = spec.config;
  const bool has_middle = info.uses("budget");
  const std::int64_t n_fixed = config.sink_tokens + n_slack + (has_middle ? config.recent_tokens : 0);
  const std::int64_t n_left = n_cells - n_fixed;
  if (n_left < (has_middle ? 0 : 1)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--kv_memory {} holds {} tokens of {} ({} bytes each, in steps of {} cells), but "
                            "{} needs more than {} "
                            "besides its {}: raise the limit or lower --sink_tokens{}",
                            kv_memory, n_cells, model.info().name, per_token, kCellPadding, spec.name,
                            n_fixed, has_middle ? "middle budget" : "recent window",
                            has_middle ? " and --recent_tokens" : ""));
  }
  set_budget(spec, n_cells - n_slack);
  spdlog::info("--kv_memory {}: {} tokens of {} bytes, so the strategy is {}", kv_memory, n_cells, per_token,
               to_string(spec));
}

}  // namespace kvevict::cli
