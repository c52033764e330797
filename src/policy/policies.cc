#include "policy/policies.h"

#include "policy/full.h"
#include "policy/h2o.h"
#include "policy/keydiff.h"
#include "policy/ladder.h"
#include "policy/sink_recent.h"
#include "policy/sink_recent_uniform.h"
#include "policy/snapkv.h"
#include "policy/streaming_llm.h"
#include "policy/tova.h"

namespace kvevict {
namespace {

SimpleEvictConfig ends(std::int64_t sink_tokens, std::int64_t recent_tokens, std::string middle = "none") {
  return {.sink_tokens = sink_tokens, .recent_tokens = recent_tokens, .middle_strategy = std::move(middle)};
}

SimpleEvictConfig with_budget(std::int64_t sink_tokens, std::int64_t recent_tokens, std::int64_t budget) {
  SimpleEvictConfig config = ends(sink_tokens, recent_tokens);
  config.middle_budget_tokens = budget;
  return config;
}

}  // namespace

// Colours: Okabe and Ito's palette (2008), which the colour-blind can tell apart.
std::vector<PolicyInfo> built_in_policies() {
  return {
      {.name = "full", .summary = "keep every token", .keys = {}, .make = make_full, .colour = 0x6E6E6E},
      {.name = "sink_recent",
       .summary = "keep the first and the last tokens",
       .keys = {"sink", "recent"},
       .defaults = ends(256, 512),
       .make = make_sink_recent,
       .colour = 0xE69F00,
       .compared_at = "4:1020",
       .shapes = sink_recent_shapes},
      {.name = "sink_recent_uniform",
       .summary = "first and last tokens, and evenly spread blocks between them",
       .keys = {"sink", "recent", "budget", "stride", "block", "spacing"},
       .defaults = ends(256, 512, "uniform"),
       .make = make_sink_recent_uniform,
       .colour = 0x0072B2,
       .compared_at = "4:508:512",
       .shapes = sink_recent_uniform_shapes},
      {.name = "streaming_llm",
       .summary = "few first and the last tokens, positions packed",
       .keys = {"sink", "recent"},
       .defaults = ends(4, 1020),
       .make = make_streaming_llm,
       .colour = 0xCC79A7,
       .compared_at = "4:1020",
       .shapes = streaming_llm_shapes},
      {.name = "ladder",
       .summary = "first and last tokens, and different older ones in each layer",
       .keys = {"sink", "recent", "budget", "span", "overlap", "layers"},
       .defaults = with_budget(4, 508, 512),
       .make = make_ladder,
       .colour = 0x009E73,
       .compared_at = "4:508:512"},
      {.name = "h2o",
       .summary = "last tokens, and those that got the most attention so far",
       .keys = {"sink", "recent", "budget", "per_layer"},
       .defaults = with_budget(0, 512, 512),
       .make = make_h2o,
       .colour = 0xD55E00,
       .compared_at = "0:512:512"},
      {.name = "snapkv",
       .summary = "last tokens, and those that the last queries look at most",
       .keys = {"sink", "recent", "budget", "per_layer", "window", "pool"},
       .defaults = with_budget(0, 32, 992),
       .other_defaults = {{"per_layer", kLayersWherePossible}},
       .make = make_snapkv,
       .colour = 0x56B4E9,
       .compared_at = "0:32:992"},
      {.name = "tova",
       .summary = "the tokens that the newest query looks at most",
       .keys = {"sink", "recent", "budget", "per_layer"},
       .defaults = with_budget(0, 1, 1023),
       .make = make_tova,
       .colour = 0x8C510A,
       .compared_at = "0:1:1023"},
      {.name = "keydiff",
       .summary = "first and last tokens, and those whose keys are unlike the rest",
       .keys = {"sink", "recent", "budget", "per_layer", "smooth", "rotated"},
       .defaults = with_budget(4, 512, 508),
       .make = make_keydiff,
       .colour = 0x882255,
       .compared_at = "4:512:508",
       .halves_total_budget = true},
  };
}

}  // namespace kvevict
