#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kvevict/error.h"
#include "kvevict/kvevict_c.h"
#include "kvevict/policy.h"

// What the handles of the C interface stand for.

struct kvevict_policy {
  std::shared_ptr<const kvevict::Policy> policy;
  std::string strategy;
  std::string name;
};

struct kvevict_sequence {
  std::shared_ptr<const kvevict::Policy> policy;
  kvevict::PolicyState state;
};

struct kvevict_plan {
  explicit kvevict_plan(kvevict::KeepPlan kept) : plan(std::move(kept)) {}

  kvevict::KeepPlan plan;
  mutable std::vector<std::vector<kvevict_range>> lent;  // of each distinct set, once somebody has asked
};

namespace kvevict::c {

static_assert(KVEVICT_ONE_SHOT == static_cast<int>(Schedule::kOneShot));
static_assert(KVEVICT_STREAMING == static_cast<int>(Schedule::kStreaming));

/// Throws `Error(kInvalidArgument)` for a number that stands for none.
[[nodiscard]] inline Schedule schedule_of(std::int32_t number) {
  if (number == KVEVICT_ONE_SHOT) return Schedule::kOneShot;
  if (number == KVEVICT_STREAMING) return Schedule::kStreaming;
  throw Error(ErrorCode::kInvalidArgument,
              "the schedule " + std::to_string(number) +
                  " is not known: KVEVICT_ONE_SHOT or KVEVICT_STREAMING is needed",
              "schedule");
}

/// The state of a sequence without tokens. Throws `Error(kInvalidArgument)` for a number of layers that no
/// model has, and as `schedule_of`.
[[nodiscard]] inline PolicyState fresh_state(std::int32_t schedule, std::int64_t n_layers) {
  if (n_layers < 0 || n_layers > kMaxLayers) {
    throw Error(ErrorCode::kInvalidArgument,
                std::to_string(n_layers) + " layers: a number from 0 (not known) to " +
                    std::to_string(kMaxLayers) + " is needed",
                "n_layers");
  }
  return {.schedule = schedule_of(schedule), .n_layers = n_layers};
}

}  // namespace kvevict::c
