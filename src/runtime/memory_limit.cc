// A limit in bytes: read from a text, and turned into a strategy's budget.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>

#include "base/units.h"
#include "engine/cell_needs.h"
#include "engine/kv_size.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/memory.h"
#include "kvevict/registry.h"

namespace kvevict {
namespace {

constexpr const char* kField = "kv_memory";

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr std::array kUnits = {
    Unit{"", 1},     Unit{"B", 1},    Unit{"KiB", 1024.0}, Unit{"MiB", 1048576.0}, Unit{"GiB", 1073741824.0},
    Unit{"KB", 1e3}, Unit{"kB", 1e3}, Unit{"MB", 1e6},     Unit{"GB", 1e9}};

/// Bytes as MiB that are no fewer.
double mib_up(std::int64_t bytes) {
  return std::ceil(to_mib(bytes) * 100) / 100;
}

/// Looks for the largest budget of a strategy within a limit.
class BudgetSearch {
 public:
  BudgetSearch(const StrategySpec& spec, const Model& model, const SessionOptions& options,
               const RunSize& size)
      : spec_(spec), model_(model), options_(options), size_(size), n_least_(least_budget()) {
    const std::shared_ptr<const Policy> policy = make_policy(with_budget(n_least_));
    const SessionOptions resolved = resolved_options(model, *policy, options);
    const std::int64_t n_slack = decode_slack(*policy, *resolved.positions, options.n_decode_slack);
    n_spare_ = is_bounded() ? cells_in_stream(0, options.n_chunk, n_slack) : n_slack;
    n_slack_ = n_slack;
  }

  [[nodiscard]] StrategySpec with_budget(std::int64_t n_tokens) const {
    StrategySpec spec = spec_;
    set_total_budget(spec, n_tokens);
    return spec;
  }

  /// The largest budget that stays within `bytes`; else nothing, and `least_bytes` says what would do.
  [[nodiscard]] std::optional<std::int64_t> largest_within(std::int64_t bytes);

  [[nodiscard]] std::int64_t least_bytes() const { return least_bytes_; }

 private:
  [[nodiscard]] bool is_bounded() const { return options_.prefill == PrefillMode::kBounded; }
  [[nodiscard]] std::int64_t least_budget() const;
  [[nodiscard]] std::set<std::int64_t, std::greater<>> budgets_to_try(std::int64_t n_most) const;

  [[nodiscard]] std::int64_t bytes_of(std::int64_t n_tokens) const {
    const std::shared_ptr<const Policy> policy = make_policy(with_budget(n_tokens));
    return limited_bytes(memory_needed(model_, *policy, options_, size_), options_, size_);
  }

  const StrategySpec& spec_;
  const Model& model_;
  const SessionOptions& options_;
  const RunSize& size_;
  std::int64_t n_least_;                    // tokens that the strategy cannot do without
  std::int64_t n_spare_ = 0, n_slack_ = 0;  // cells beside the budget; those of the answer alone
  std::int64_t least_bytes_ = 0;
};

/// The smallest budget that the strategy can be made and plan with.
std::int64_t BudgetSearch::least_budget() const {
  const bool has_middle = policy_info(spec_.name).uses("budget");
  const std::int64_t n_fixed = spec_.config.sink_tokens + (has_middle ? spec_.config.recent_tokens : 1);
  const auto plans = [&](std::int64_t n_tokens) {
    PolicyState state{.n_layers = model_.info().n_cache_layers()};
    static_cast<void>(make_policy(with_budget(n_tokens))->plan(1, state));
  };
  const auto can_plan = [&](std::int64_t n_tokens) {
    try {
      plans(n_tokens);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  std::int64_t n_too_few = n_fixed - 1;
  std::int64_t n_enough = n_fixed;
  for (std::int64_t step = 1; !can_plan(n_enough); step *= 2) {
    if (step > kMaxLayers) plans(n_enough);  // no budget helps: it says what is wrong
    n_too_few = n_enough;
    n_enough += step;
  }
  while (n_enough - n_too_few > 1) {
    const std::int64_t n = n_too_few + (n_enough - n_too_few) / 2;
    (can_plan(n) ? n_enough : n_too_few) = n;
  }
  return n_enough;
}

/// Budgets between which the bytes only grow: where llama.cpp adds a step of cells, where an eviction falls
/// away since the prompt or the chunks before it fit the budget. The largest first.
std::set<std::int64_t, std::greater<>> BudgetSearch::budgets_to_try(std::int64_t n_most) const {
  std::set<std::int64_t, std::greater<>> budgets = {n_least_};
  const auto add = [&](std::int64_t n) {
    if (n > n_least_ && n <= n_most) budgets.insert(n);
  };
  const std::int64_t n_first = (n_least_ + n_spare_ + kCellPadding - 1) / kCellPadding * kCellPadding;
  for (std::int64_t n_cells = n_first; n_cells - n_spare_ < n_most; n_cells += kCellPadding) {
    add(n_cells - n_spare_);
    add(n_cells - n_spare_ + 1);
  }
  add(n_most);
  if (size_.n_prompt >= kAnyLength) return budgets;
  for (const std::int64_t n :
       {size_.n_prompt - 1, size_.n_prompt, size_.n_prompt + size_.n_new - 1 - n_slack_})
    add(n);
  for (std::int64_t n = options_.n_chunk; is_bounded() && n < size_.n_prompt; n += options_.n_chunk) add(n);
  return budgets;
}

std::optional<std::int64_t> BudgetSearch::largest_within(std::int64_t bytes) {
  const std::int64_t n_cells = cells_within(model_, options_, bytes);
  std::int64_t n_most = std::max(n_cells - n_spare_, n_least_);
  const bool is_known = size_.n_prompt < kAnyLength && size_.n_new < kAnyLength;
  if (is_known) n_most = std::max(n_most, size_.n_prompt + size_.n_new);
  const std::int64_t n_trained = model_.info().n_context_trained;
  if (is_bounded() && n_trained > 0) n_most = std::max(n_least_, std::min(n_most, n_trained - n_spare_));
  std::int64_t n_next = n_most + 1;  // what was tried before
  least_bytes_ = bytes_of(n_most);
  if (least_bytes_ <= bytes) return n_most;
  for (const std::int64_t n : budgets_to_try(n_most)) {
    const std::int64_t needed = bytes_of(n);
    least_bytes_ = std::min(least_bytes_, needed);
    if (needed > bytes) {
      n_next = n;
      continue;
    }
    std::int64_t n_fits = n;
    while (n_next - n_fits > 1) {
      const std::int64_t between = n_fits + (n_next - n_fits) / 2;
      (bytes_of(between) <= bytes ? n_fits : n_next) = between;
    }
    return n_fits;
  }
  return std::nullopt;
}

/// What the strategy needs at least with a bounded prefill; nothing where there is none.
std::optional<std::int64_t> least_bytes_if_bounded(const StrategySpec& spec, const Model& model,
                                                   SessionOptions options, const RunSize& size) {
  options.prefill = PrefillMode::kBounded;
  try {
    BudgetSearch search(spec, model, options, size);
    static_cast<void>(search.largest_within(0));
    return search.least_bytes();
  } catch (const Error&) {
    return std::nullopt;
  }
}

[[noreturn]] void refuse_limit(const StrategySpec& spec, std::int64_t bytes, std::int64_t least,
                               std::optional<std::int64_t> least_bounded) {
  std::string hint;
  if (least_bounded && *least_bounded < least)
    hint = fmt::format("; with a bounded prefill {:.2f} MiB are enough", mib_up(*least_bounded));
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} needs at least {:.2f} MiB of K and V, and the limit is {:.2f} MiB{}", spec.name,
                          mib_up(least), to_mib(bytes), hint),
              kField);
}

}  // namespace

std::int64_t parse_bytes(std::string_view text, std::string_view what, const std::string& field) {
  const std::string copy(text);
  char* end = nullptr;
  const double number = std::strtod(copy.c_str(), &end);
  std::string_view unit(end);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& known : kUnits) {
    const double bytes = number * known.bytes;
    if (end == copy.c_str() || known.name != unit || !(bytes >= 1) || bytes > 1e15) continue;
    return static_cast<std::int64_t>(bytes);
  }
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} is \"{}\": a size such as 512MiB, 1.5GiB or 200MB is needed", what, text),
              field);
}

std::int64_t limited_bytes(const MemoryNeeded& needed, const SessionOptions& options, const RunSize& size) {
  const bool is_after = options.prefill == PrefillMode::kFull && size.n_prompt >= kAnyLength;
  return is_after ? needed.kv_bytes_after : needed.kv_bytes_peak;
}

StrategySpec fit_to_memory(StrategySpec spec, std::int64_t bytes, const Model& model,
                           const SessionOptions& options, const RunSize& size) {
  const std::shared_ptr<const Policy> policy = make_policy(spec);
  if (policy->keeps_all()) {
    throw Error(ErrorCode::kInvalidArgument, spec.name + " keeps every token: its memory cannot be limited",
                kField);
  }
  const PolicyInfo& info = policy_info(spec.name);
  if (!info.uses("budget") && !info.uses("recent")) {
    const std::int64_t needed = limited_bytes(memory_needed(model, *policy, options, size), options, size);
    if (needed > bytes) refuse_limit(spec, bytes, needed, std::nullopt);
    return spec;
  }
  BudgetSearch search(spec, model, options, size);
  if (const auto n_tokens = search.largest_within(bytes)) return search.with_budget(*n_tokens);
  refuse_limit(spec, bytes, search.least_bytes(),
               options.prefill == PrefillMode::kFull ? least_bytes_if_bounded(spec, model, options, size)
                                                     : std::nullopt);
}

}  // namespace kvevict
