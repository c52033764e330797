#pragma once

#include <string>

#include "engine/llama_handles.h"
#include "kvevict/policy.h"

namespace kvevict {

/// Refuses (kUnsupported) what the cache of `model`, called `name` in the sentence, cannot do for `policy`:
/// an eviction at all, positions that cannot be moved, other tokens in each layer. Asked before a session or
/// a bound context does anything: llama.cpp ends the process if it is asked to shift and cannot.
void require_fitting(const llama_model* model, const std::string& name, const Policy& policy,
                     PositionMode positions);

}  // namespace kvevict
