#include "archs/layers.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "archs/reference.h"
#include "archs/rows.h"
#include "kvevict/error.h"

namespace kvevict::test {
namespace {

using ModelPtr = std::shared_ptr<const Model>;

/// A plan for each layer, which happens to be the same for all.
class SameInEachLayer final : public Policy {
 public:
  [[nodiscard]] std::string versioned_name() const override { return "same_in_each_layer/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return of_all_->spec(); }
  [[nodiscard]] bool is_per_layer() const noexcept override { return true; }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return of_all_->n_newest_kept(); }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& state) const override {
    return of_all_->budget_tokens(state);
  }
  [[nodiscard]] KeepPlan plan(std::int64_t n, PolicyState& state) const override {
    const KeepSet set = of_all_->plan(n, state).layer(0);
    std::vector<std::size_t> set_of_layer;
    for (std::int64_t l = 0; l < state.n_layers; ++l) set_of_layer.push_back(static_cast<std::size_t>(l));
    return {std::vector<KeepSet>(set_of_layer.size(), set), set_of_layer};
  }

 private:
  std::shared_ptr<const Policy> of_all_ = make_policy("sink_recent:4:36");
};

SessionOptions absolute_options() {
  SessionOptions options = exact_options();
  options.positions = PositionMode::kAbsolute;
  return options;
}

void check_same_in_each_layer(const ModelPtr& model, LargestDifference& difference) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  Session session(model, std::make_shared<const SameInEachLayer>(), absolute_options());
  PlainLlama plain(*model, exact_options(), kCells);
  session.append(std::span(text).first(kPrompt));
  plain.decode(std::span(text).first(kPrompt), 0);
  const EvictionReport report = session.evict({.n_reserve = 8});
  remove_all_but(plain, report.kept.layer(0), kPrompt);
  go_on(session, plain, std::span(text).subspan(kPrompt), kPrompt, difference,
        "after the same eviction in each layer");
}

void expect_rows(const StateRows& before, const StateRows& after, const KeepPlan& plan) {
  for (std::size_t l = 0; l < after.n_layers(); ++l) {
    const std::vector<std::int64_t> indices = plan.layer(l).to_indices();
    if (indices.size() != after.n_cells())
      throw WrongResult("layer " + std::to_string(l) + " holds " + std::to_string(after.n_cells()) +
                        " rows and its plan " + std::to_string(indices.size()));
    for (std::size_t slot = 0; slot < indices.size(); ++slot) {
      const auto index = static_cast<std::size_t>(indices[slot]);
      if (after.key(l, slot) != before.key(l, index) || after.value(l, slot) != before.value(l, index))
        throw WrongResult("layer " + std::to_string(l) + " does not hold the row of token " +
                          std::to_string(index) + " as it was");
    }
  }
}

void check_ladder(const ModelPtr& model) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  Session session(model, make_policy("ladder:4:20:16"), absolute_options());
  session.append(std::span(text).first(kPrompt));
  const std::optional<StateRows> before = rows_of(session);
  const EvictionReport report = session.evict();
  if (session.held_by_layer() != report.kept) throw WrongResult("the record is not the plan");
  if (session.count_occupied_cells() != report.kept.count())
    throw WrongResult("llama.cpp holds another number of cells than the plan");
  const std::optional<StateRows> after = rows_of(session);
  if (before && after) expect_rows(*before, *after, report.kept);
  session.append(std::span(text).subspan(kPrompt));
  if (session.count_occupied_cells() != report.kept.count() + 8)
    throw WrongResult("llama.cpp holds another number of cells than the plan and what came behind it");
  const auto is_number = [](float logit) { return std::isfinite(logit); };
  if (!std::all_of(session.logits().begin(), session.logits().end(), is_number))
    throw WrongResult("after the ladder's eviction: logits that are not finite");
}

}  // namespace

void check_layers(const std::shared_ptr<const Model>& model, LargestDifference& difference) {
  if (model->info().n_cache_layers() == 1)
    throw Error(ErrorCode::kUnsupported, "a ladder needs two layers with a cache, and this model has one");
  check_ladder(model);  // first: it is what a user asks for, and its refusal the one to quote
  check_same_in_each_layer(model, difference);
}

}  // namespace kvevict::test
