#include "runtime/document_policy.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kvevict/error.h"

namespace kvevict {
namespace {

class DocumentPolicy final : public Policy {
 public:
  DocumentPolicy(KeepPlan kept, std::int64_t n_document, std::int64_t n_turn_tokens)
      : kept_(std::move(kept)), n_document_(n_document), n_turn_tokens_(n_turn_tokens) {
    spec_.name = "sink_recent";
    spec_.config.sink_tokens = kept_.count();
    spec_.config.recent_tokens = n_turn_tokens;
    name_ = make_policy(spec_)->versioned_name();
  }

  [[nodiscard]] std::string versioned_name() const override { return name_; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }

  [[nodiscard]] KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& /*state*/) const override {
    if (n_tokens_seen < n_document_) return KeepPlan(KeepSet::all(n_tokens_seen));
    KeepPlan plan = kept_;
    plan.append(std::max(n_document_, n_tokens_seen - n_turn_tokens_), n_tokens_seen);
    return plan;
  }

  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& /*state*/) const override {
    return kept_.count() + n_turn_tokens_;
  }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return n_turn_tokens_; }
  [[nodiscard]] bool is_per_layer() const noexcept override { return !kept_.is_shared(); }

 private:
  KeepPlan kept_;
  std::int64_t n_document_;
  std::int64_t n_turn_tokens_;
  StrategySpec spec_;
  std::string name_;
};

}  // namespace

std::shared_ptr<const Policy> make_document_policy(KeepPlan kept, std::int64_t n_document,
                                                   std::int64_t n_turn_tokens) {
  if (n_turn_tokens < 1 || n_turn_tokens > kMaxTokens) {
    throw Error(ErrorCode::kInvalidArgument,
                "the window of what is said about a document is " + std::to_string(n_turn_tokens) +
                    " tokens: a number from 1 to " + std::to_string(kMaxTokens) + " is needed",
                "turn_tokens");
  }
  return std::make_shared<DocumentPolicy>(std::move(kept), n_document, n_turn_tokens);
}

}  // namespace kvevict
