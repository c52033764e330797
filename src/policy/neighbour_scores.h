#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvevict/policy_state.h"

namespace kvevict {

/// The last score of each token that stands near a held one, evicted tokens too: what a score is smoothed
/// over. One list for all layers, or one for each.
///
/// Memory: 12 bytes a token. A token further than `reach` from every held one is never looked at again, since
/// evicted tokens do not come back, and is forgotten: however long the stream, 2 x reach + 1 entries for each
/// held token are the most.
class NeighbourScores final : public PolicyMemory {
 public:
  /// The score of a token, in ascending order of tokens.
  using Scores = std::vector<std::pair<std::int64_t, float>>;

  /// Takes over the new scores of the tokens `held` and gives, for each, the mean over the known scores of
  /// the tokens within `reach` of it, itself included. Then forgets what no token of `held` reaches. The same
  /// call again gives the same means. O(tokens). REQUIRES: as many scores as tokens.
  [[nodiscard]] std::vector<float> smoothed(std::size_t list, std::span<const std::int64_t> held,
                                            std::span<const float> scores, std::int64_t reach);

  [[nodiscard]] std::unique_ptr<PolicyMemory> clone() const override {
    return std::make_unique<NeighbourScores>(*this);
  }
  void trim(std::int64_t n_tokens, const KeepPlan& held) override;
  [[nodiscard]] std::string save() const override;

  /// What `save` wrote, of at most `n_most` lists. Throws `Error(kBadData)` for anything else.
  [[nodiscard]] static std::unique_ptr<NeighbourScores> load(std::string_view text, std::size_t n_most);

 private:
  std::vector<Scores> lists_;
};

}  // namespace kvevict
