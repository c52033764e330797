#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "kvevict/model.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// What llama.cpp takes by itself. Seconds.
struct PlainTimes {
  double seconds_prefill = 0;
  double seconds_decode = 0;
};

/// Prefills `prompt` and decodes `n_new` greedy tokens behind it by llama.cpp's own calls alone, in a
/// context of just so many cells: what everything else is measured against. `on_prefilled` is called between
/// the two, outside the times. Errors: kEngine,
/// kInvalidArgument for an empty prompt.
[[nodiscard]] PlainTimes time_plain_llama(std::shared_ptr<const Model> model, const SessionOptions& options,
                                          std::span<const Token> prompt, std::int64_t n_new,
                                          const std::function<void()>& on_prefilled = {});

}  // namespace kvevict
