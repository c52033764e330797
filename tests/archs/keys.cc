#include "archs/keys.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "archs/reference.h"
#include "engine/model_traits.h"
#include "support/key_probe.h"

namespace kvevict::test {
namespace {

/// In the first layer a key says its token and its position alone; the token with its position, if that was
/// learned.
void check_first_layer(const std::shared_ptr<const Model>& model) {
  const ModelInfo& info = model->info();
  const bool has_window =
      std::binary_search(info.window_layers.begin(), info.window_layers.end(), info.cache_layers.front());
  if (info.cache_layers.front() != 0 || has_window || has_learned_positions(model->handle())) return;
  std::vector<Token> text = made_up_tokens(*model, kPrompt);
  text[97] = text[5];
  const auto probe = std::make_shared<KeyProbe>();
  Session session(model, probe, exact_options());
  session.append(text);
  session.evict();
  const std::vector<float> key = probe->shown.key(0, 5);
  const std::vector<float> again = probe->shown.key(0, 97);
  float largest = 0;
  float difference = 0;
  for (std::size_t i = 0; i < key.size(); ++i) {
    largest = std::max(largest, std::abs(key[i]));
    difference = std::max(difference, std::abs(key[i] - again[i]));
  }
  constexpr float kMostOff = 1e-3F;
  if (difference <= kMostOff * largest) return;
  throw WrongResult("the key of a token differs by " + std::to_string(difference) + " of " +
                    std::to_string(largest) + " where it stands again");
}

}  // namespace

void check_keys(const std::shared_ptr<const Model>& model, LargestDifference& difference) {
  check_choice(model, "keydiff:2:18:20", difference, "after an eviction by keys");
  check_first_layer(model);
}

}  // namespace kvevict::test
