#include <array>

#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "policy/full.h"
#include "policy/h2o.h"
#include "policy/ladder.h"
#include "policy/sink_recent.h"
#include "policy/sink_recent_uniform.h"
#include "policy/snapkv.h"
#include "policy/streaming_llm.h"
#include "policy/tova.h"

namespace kvevict {
namespace {

SimpleEvictConfig sink_and_recent(std::int64_t sink_tokens, std::int64_t recent_tokens,
                                  std::string middle = "none") {
  return {.sink_tokens = sink_tokens, .recent_tokens = recent_tokens, .middle_strategy = std::move(middle)};
}

SimpleEvictConfig with_budget(std::int64_t sink_tokens, std::int64_t recent_tokens, std::int64_t budget) {
  SimpleEvictConfig config = sink_and_recent(sink_tokens, recent_tokens);
  config.middle_budget_tokens = budget;
  return config;
}

}  // namespace

std::span<const PolicyInfo> all_policies() {
  static const std::array kPolicies = {
      PolicyInfo{"full", "keep every token", {}, {}, make_full},
      PolicyInfo{"sink_recent",
                 "keep the first and the last tokens",
                 {"sink", "recent"},
                 sink_and_recent(256, 512),
                 make_sink_recent},
      PolicyInfo{"sink_recent_uniform",
                 "first and last tokens, and evenly spread blocks between them",
                 {"sink", "recent", "budget", "stride", "block"},
                 sink_and_recent(256, 512, "uniform"),
                 make_sink_recent_uniform},
      PolicyInfo{"streaming_llm",
                 "few first and the last tokens, positions packed",
                 {"sink", "recent"},
                 sink_and_recent(4, 1020),
                 make_streaming_llm},
      PolicyInfo{"ladder",
                 "first and last tokens, and different older ones in each layer",
                 {"sink", "recent", "budget", "span", "overlap", "layers"},
                 with_budget(4, 508, 512),
                 make_ladder},
      PolicyInfo{"h2o",
                 "last tokens, and those that got the most attention so far",
                 {"sink", "recent", "budget", "per_layer"},
                 with_budget(0, 512, 512),
                 make_h2o},
      PolicyInfo{"snapkv",
                 "last tokens, and those that the last queries look at most",
                 {"sink", "recent", "budget", "per_layer", "window", "pool"},
                 with_budget(0, 32, 992),
                 make_snapkv},
      PolicyInfo{"tova",
                 "the tokens that the newest query looks at most",
                 {"sink", "recent", "budget", "per_layer"},
                 with_budget(0, 1, 1023),
                 make_tova},
  };
  return kPolicies;
}

const PolicyInfo& policy_info(std::string_view name) {
  std::string known;
  for (const PolicyInfo& info : all_policies()) {
    if (info.name == name) return info;
    known += (known.empty() ? "" : ", ") + std::string(info.name);
  }
  throw Error(ErrorCode::kInvalidArgument,
              "there is no strategy \"" + std::string(name) + "\": known are " + known);
}

std::unique_ptr<const Policy> make_policy(const StrategySpec& spec) {
  validate(spec);
  return policy_info(spec.name).make(spec);
}

}  // namespace kvevict
