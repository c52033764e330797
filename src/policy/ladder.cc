#include "policy/ladder.h"

#include <algorithm>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "kvevict/error.h"

namespace kvevict {
namespace {

[[noreturn]] void refuse(const std::string& why, const std::string& field = {}) {
  throw Error(ErrorCode::kInvalidArgument, "the ladder " + why, field);
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// A span of 0 stands for one that the layers give.
void require_order(std::int64_t span, std::int64_t overlap) {
  if (span == 0 || overlap < span) return;
  refuse("has an overlap of " + std::to_string(overlap) + " and a span of " + std::to_string(span) +
         ": 0 <= overlap < span is needed");
}

/// One pass: `n_groups` groups of rows from the row `first` on are thinned.
struct Pass {
  LadderShape shape;
  std::int64_t first = 0;
  std::int64_t n_groups = 0;

  /// Range number `i` of the rows that a layer of `phase` keeps: those before the groups, one for each group,
  /// those behind the groups.
  [[nodiscard]] TokenRange kept_rows(std::int64_t i, std::int64_t phase) const {
    if (i == 0) return {0, first};
    if (i > n_groups) {
      return {first + n_groups * shape.group, std::numeric_limits<std::int64_t>::max()};
    }
    const std::int64_t begin = first + (i - 1) * shape.group + phase;
    return {begin, begin + shape.kept};
  }

  /// What is left of `rows`.
  [[nodiscard]] KeepSet thinned(const KeepSet& rows, std::int64_t phase) const {
    KeepSet left;
    std::int64_t i = 0;
    std::int64_t row = 0;  // the first row of `tokens`
    // Range by range, never row by row: a plan costs the number of ranges, however many tokens they hold.
    for (const TokenRange& tokens : rows.ranges()) {
      const std::int64_t row_end = row + tokens.count();
      for (;; ++i) {
        const TokenRange kept = kept_rows(i, phase);
        const std::int64_t begin = std::max(kept.begin, row);
        const std::int64_t end = std::min(kept.end, row_end);
        if (begin < end) left.append(tokens.begin + (begin - row), tokens.begin + (end - row));
        if (kept.end >= row_end) break;  // it may reach into the next tokens: `i` stays
      }
      row = row_end;
    }
    return left;
  }
};

/// `rows` without the first `n` that stand behind the first `n_sink`.
KeepSet without_oldest(const KeepSet& rows, std::int64_t n_sink, std::int64_t n) {
  // One group of which nothing is kept: the walk over ranges is written once.
  const Pass cut{.shape = {.n_layers = 1, .group = n, .kept = 0}, .first = n_sink, .n_groups = 1};
  return n > 0 ? cut.thinned(rows, 0) : rows;
}

class Ladder final : public Policy {
 public:
  explicit Ladder(StrategySpec spec) : spec_(std::move(spec)) {
    require_order(spec_.span, spec_.overlap);
    if (spec_.layers > 0) require_budget(ladder_shape(spec_.layers, spec_.span, spec_.overlap));
  }

  [[nodiscard]] std::string versioned_name() const override { return "ladder/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] bool is_per_layer() const noexcept override { return true; }

  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& /*state*/) const override {
    return spec_.config.sink_tokens + spec_.config.recent_tokens + spec_.config.middle_budget_tokens;
  }

  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return spec_.config.recent_tokens; }

  [[nodiscard]] KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& state) const override;
  [[nodiscard]] std::unique_ptr<PolicyMemory> load_memory(std::string_view text,
                                                          std::int64_t n_layers) const override;

 private:
  [[nodiscard]] LadderShape shape_for(const PolicyState& state) const;
  void require_budget(const LadderShape& shape) const;
  void cut(LadderRows& rows, const LadderShape& shape, std::int64_t n_tokens) const;
  void thin(LadderRows& rows, const LadderShape& shape) const;

  StrategySpec spec_;
};

LadderShape Ladder::shape_for(const PolicyState& state) const {
  if (spec_.layers > 0 && state.n_layers > 0 && spec_.layers != state.n_layers) {
    refuse("was asked for " + std::to_string(spec_.layers) + " layers and the model has " +
           std::to_string(state.n_layers) + ": the same number is needed");
  }
  const std::int64_t n_layers = spec_.layers > 0 ? spec_.layers : state.n_layers;
  if (n_layers < 1) refuse("needs the number of the model's layers, which is not known here");
  const LadderShape shape = ladder_shape(n_layers, spec_.span, spec_.overlap);
  require_budget(shape);
  return shape;
}

void Ladder::require_budget(const LadderShape& shape) const {
  if (spec_.config.middle_budget_tokens >= shape.group) return;
  refuse("has a middle budget of " + std::to_string(spec_.config.middle_budget_tokens) +
         " tokens, and over " + std::to_string(shape.n_layers) + " layers its groups have " +
         std::to_string(shape.group) + " rows: a middle budget of at least one group is needed");
}

/// One copy of the rows for each phase, all of them equally many.
std::vector<KeepSet> sets_by_phase(const KeepPlan& kept, const LadderShape& shape) {
  std::vector<KeepSet> sets;
  for (std::int64_t phase = 0; phase < shape.n_phases(); ++phase) {
    sets.push_back(kept.layer(static_cast<std::size_t>(phase)));
  }
  return sets;
}

KeepPlan plan_of(std::vector<KeepSet> sets, const LadderShape& shape) {
  std::vector<std::size_t> set_of_layer;
  for (std::int64_t layer = 0; layer < shape.n_layers; ++layer) {
    set_of_layer.push_back(static_cast<std::size_t>(shape.phase_of(layer)));
  }
  return {std::move(sets), std::move(set_of_layer)};
}

void Ladder::cut(LadderRows& rows, const LadderShape& shape, std::int64_t n_tokens) const {
  rows.kept = rows.kept.intersect(KeepPlan(KeepSet::all(n_tokens)));
  rows.n_tokens_seen = n_tokens;
  if (rows.kept.is_shared()) return;
  // Cut behind the beginning of the recent window, layers hold different numbers of tokens. A cache has as
  // many rows in every layer, so those with more give up their oldest.
  std::vector<KeepSet> sets = sets_by_phase(rows.kept, shape);
  std::int64_t fewest = rows.kept.count();
  for (const KeepSet& set : sets) fewest = std::min(fewest, set.count());
  const std::int64_t n_sink = std::min(spec_.config.sink_tokens, n_tokens);
  for (KeepSet& set : sets) set = without_oldest(set, n_sink, set.count() - fewest);
  rows.kept = plan_of(std::move(sets), shape);
}

void Ladder::thin(LadderRows& rows, const LadderShape& shape) const {
  const std::int64_t n_most = *budget_tokens({});
  std::int64_t n = rows.kept.count();
  if (n <= n_most) return;
  std::vector<KeepSet> sets = sets_by_phase(rows.kept, shape);
  // Each pass saves at least one row in every layer, for the middle budget holds at least a group: it ends.
  while (n > n_most) {
    const std::int64_t end = n - spec_.config.recent_tokens;
    if (rows.cursor + shape.group > end) rows.cursor = spec_.config.sink_tokens;
    const Pass pass{
        .shape = shape,
        .first = rows.cursor,
        .n_groups = std::min(ceil_div(n - n_most, shape.saved()), (end - rows.cursor) / shape.group)};
    for (std::int64_t phase = 0; phase < shape.n_phases(); ++phase) {
      KeepSet& set = sets[static_cast<std::size_t>(phase)];
      set = pass.thinned(set, phase);
    }
    // Behind the rows that are left of the groups: the next pass thins newer rows before it returns to these.
    rows.cursor += shape.kept * pass.n_groups;
    n -= shape.saved() * pass.n_groups;
  }
  rows.kept = plan_of(std::move(sets), shape);
}

KeepPlan Ladder::plan(std::int64_t n_tokens_seen, PolicyState& state) const {
  if (n_tokens_seen < 0 || n_tokens_seen > kMaxTokens) {
    refuse("was asked for a plan of " + std::to_string(n_tokens_seen) + " tokens: a number from 0 to " +
           std::to_string(kMaxTokens) + " is needed");
  }
  const LadderShape shape = shape_for(state);
  LadderRows& rows = memory_in<LadderRows>(state);
  const std::int64_t n_new = n_tokens_seen - rows.n_tokens_seen;
  if (n_new > kMaxLadderTokens) {
    refuse("was asked to thin " + std::to_string(n_new) + " tokens at once, at most " +
               std::to_string(kMaxLadderTokens) +
               " are possible: let them come in chunks, with a bounded prefill",
           "prefill");
  }
  if (rows.cursor < 0) rows.cursor = spec_.config.sink_tokens;  // fresh: the memory does not know the sink
  if (!rows.kept.is_shared() && rows.kept.n_layers() != static_cast<std::size_t>(shape.n_layers)) {
    refuse("goes on with rows of " + std::to_string(rows.kept.n_layers()) + " layers, and the model has " +
           std::to_string(shape.n_layers) + ": the same number is needed");
  }
  // A caller that holds its own tensors may go back without `PolicyMemory::trim`.
  if (n_tokens_seen < rows.n_tokens_seen) cut(rows, shape, n_tokens_seen);
  rows.kept.append(rows.n_tokens_seen, n_tokens_seen);
  rows.n_tokens_seen = n_tokens_seen;
  thin(rows, shape);
  return rows.kept;
}

/// "seen cursor plan", as LadderRows::save writes it.
std::unique_ptr<PolicyMemory> Ladder::load_memory(std::string_view text, std::int64_t n_layers) const {
  auto rows = std::make_unique<LadderRows>();
  std::istringstream in{std::string(text)};
  std::string kept;
  bool is_sound = static_cast<bool>(in >> rows->n_tokens_seen >> rows->cursor);
  in >> kept;
  if (is_sound) rows->kept = keep_plan_from_text(kept);
  is_sound = is_sound && rows->n_tokens_seen >= 0 && rows->cursor >= -1;
  is_sound = is_sound && (rows->kept.is_shared() || n_layers == 0 ||
                          rows->kept.n_layers() == static_cast<std::size_t>(n_layers));
  for (const KeepSet& set : rows->kept.distinct_sets()) {
    is_sound = is_sound && set.end() <= rows->n_tokens_seen && set.count() == rows->kept.count();
  }
  if (!is_sound || rows->save() != text)
    throw Error(ErrorCode::kBadData, "the saved rows of the ladder contradict each other");
  return rows;
}

}  // namespace

void LadderRows::trim(std::int64_t n_tokens, const KeepPlan& held) {
  if (n_tokens_seen <= n_tokens) return;
  kept = held;
  n_tokens_seen = n_tokens;
}

std::string LadderRows::save() const {
  return std::to_string(n_tokens_seen) + " " + std::to_string(cursor) + " " + to_text(kept);
}

LadderShape ladder_shape(std::int64_t n_layers, std::int64_t span, std::int64_t overlap) {
  if (n_layers < 2) {
    refuse("cannot compress " + std::to_string(n_layers) + " layer: it needs 2 or more, among which it " +
           "spreads the tokens");
  }
  if (span == 0) span = ceil_div(n_layers, 2);
  require_order(span, overlap);
  const std::int64_t step = span - overlap;
  LadderShape shape{.n_layers = n_layers};
  shape.group = span >= n_layers ? 1 : 1 + ceil_div(n_layers - span, step);
  shape.kept = std::min(ceil_div(span, step), shape.group);
  if (shape.saved() < 1) {
    refuse("cannot compress: over " + std::to_string(n_layers) + " layers, a span of " +
           std::to_string(span) + " and an overlap of " + std::to_string(overlap) + " keep all " +
           std::to_string(shape.group) + " rows of each group; lower the span or the overlap");
  }
  return shape;
}

std::unique_ptr<const Policy> make_ladder(const StrategySpec& spec) {
  return std::make_unique<Ladder>(spec);
}

}  // namespace kvevict
