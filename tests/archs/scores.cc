#include "archs/scores.h"

#include <ggml-backend.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "archs/reference.h"

namespace kvevict::test {
namespace {

using ModelPtr = std::shared_ptr<const Model>;

/// Keeps everything, and the scores that it was given.
class KeepScores final : public Policy {
 public:
  [[nodiscard]] std::string versioned_name() const override { return "keep_scores/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] std::optional<ScoreRequest> score_request() const noexcept override {
    return ScoreRequest{0};
  }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState&) const override {
    return kPrompt;
  }
  [[nodiscard]] KeepPlan plan(std::int64_t n, PolicyState& state) const override {
    scores = *state.scores;
    return KeepPlan(KeepSet::all(n));
  }
  mutable TokenScores scores;

 private:
  StrategySpec spec_ = parse_strategy("h2o");
};

/// The probabilities of a decode, summed over the queries and averaged over the heads: `[layer's
/// tensor][cell]`.
struct ColumnSums {
  std::map<std::string, std::vector<double>> of;

  static bool on_tensor(ggml_tensor* t, bool is_question, void* data) {
    const std::string name = ggml_get_name(t);
    if (!name.starts_with("kq_soft_max")) return !is_question;
    if (is_question) return true;
    std::vector<float> p(static_cast<std::size_t>(ggml_nelements(t)));
    ggml_backend_tensor_get(t, p.data(), 0, p.size() * sizeof(float));
    const auto n_cells = static_cast<std::size_t>(t->ne[0]);
    std::vector<double>& sums = static_cast<ColumnSums*>(data)->of[name];
    sums.assign(n_cells, 0);
    for (std::size_t i = 0; i < p.size(); ++i) sums[i % n_cells] += p[i] / static_cast<double>(t->ne[2]);
    return true;
  }
};

void check_sums(const ModelPtr& model) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt);
  SessionOptions options = exact_options();
  options.n_ubatch = 32;  // several batches
  const auto policy = std::make_shared<const KeepScores>();
  Session session(model, policy, options);
  session.append(text);
  session.evict();
  ColumnSums sums;
  PlainLlama plain(*model, exact_options(), kCells, ColumnSums::on_tensor, &sums);
  plain.decode(text, 0);
  for (std::size_t l = 0; l < policy->scores.by_layer.size(); ++l) {
    const std::vector<double>& theirs =
        sums.of["kq_soft_max-" + std::to_string(model->info().cache_layers[l])];
    const std::vector<float>& ours = policy->scores.by_layer[l];
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (i < theirs.size() && std::abs(static_cast<double>(ours[i]) - theirs[i]) <= 1e-3) continue;
      throw WrongResult("the score of token " + std::to_string(i) + " in layer " + std::to_string(l) +
                        " is not the sum of llama.cpp's own probabilities");
    }
  }
}

}  // namespace

void check_scores(const std::shared_ptr<const Model>& model, LargestDifference& difference) {
  check_choice(model, "h2o:0:20:20", difference, "after an eviction by attention");
  check_choice(model, "tova:0:1:39", difference, "after an eviction by attention");
  check_sums(model);
}

}  // namespace kvevict::test
