#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kvevict/cached_keys.h"
#include "kvevict/export.h"
#include "kvevict/keep_plan.h"

namespace KVEVICT_PUBLIC kvevict {

/// How a policy chooses the middle while more tokens come.
enum class Schedule {
  kOneShot,    ///< Evenly spread when first evicted, then frozen for every later token.
  kStreaming,  ///< Ruler order (`simple_evict.h`): covers the whole history however long it gets.
};

/// What a policy wants to know about the attention that cached tokens get.
struct ScoreRequest {
  /// The last so many queries count; 0: every query since the token was written.
  int n_last_queries = 0;

  friend bool operator==(const ScoreRequest&, const ScoreRequest&) = default;
};

/// Attention that each cached token has had: probabilities after the softmax, added up over the
/// queries that were asked for and averaged over the query heads.
struct TokenScores {
  KeepPlan held;  ///< What the cache holds, in original indices.
  /// `[layer][row]`: row r is the r-th token of `held.layer(layer)`.
  std::vector<std::vector<float>> by_layer;
};

/// What one policy remembers of one sequence between plans. A policy with a memory derives its own and finds
/// it again in `PolicyState::memory`; the engine copies, trims, saves and loads it without knowing what is in
/// it.
class PolicyMemory {
 public:
  virtual ~PolicyMemory() = default;

  [[nodiscard]] virtual std::unique_ptr<PolicyMemory> clone() const = 0;

  /// The sequence was cut to its first `n_tokens` tokens, of which the cache now holds `held`: what is
  /// remembered of later tokens must go, or it would be laid over those that come in their place.
  virtual void trim(std::int64_t n_tokens, const KeepPlan& held) = 0;

  /// The memory as text, for `Policy::load_memory`.
  [[nodiscard]] virtual std::string save() const = 0;

  /// Whether a one-shot plan has chosen tokens for good: the sequence then stays one-shot when it streams.
  [[nodiscard]] virtual bool has_frozen() const noexcept { return false; }
};

/// What a policy is told and what it remembers, for one sequence. Owned by the caller; a fresh one for a
/// fresh cache, for one policy. A value: a copy has a memory of its own.
struct PolicyState {
  /// Holds a PolicyMemory and copies it with itself.
  class Memory {
   public:
    Memory() = default;
    Memory(std::unique_ptr<PolicyMemory> memory) : memory_(std::move(memory)) {}
    Memory(const Memory& other) : memory_(other.memory_ ? other.memory_->clone() : nullptr) {}
    Memory(Memory&&) noexcept = default;
    Memory& operator=(Memory other) noexcept {
      memory_ = std::move(other.memory_);
      return *this;
    }
    ~Memory() = default;
    [[nodiscard]] PolicyMemory* get() const noexcept { return memory_.get(); }
    PolicyMemory* operator->() const noexcept { return memory_.get(); }
    explicit operator bool() const noexcept { return memory_ != nullptr; }

   private:
    std::unique_ptr<PolicyMemory> memory_;
  };

  Schedule schedule = Schedule::kOneShot;  ///< Set before the first plan, not changed after it.
  std::int64_t n_layers = 0;               ///< Of the model: for policies with a keep set for each layer.
  bool layers_may_differ = true;           ///< Whether the cache can hold other tokens in each layer.
  const TokenScores* scores = nullptr;     ///< Attention so far, if the policy asks for it. Not owned.
  CachedKeys* keys = nullptr;              ///< What the cache holds, if the policy asks for keys. Not owned.
  Memory memory{};                         ///< Made by the policy when it first has something to remember.
};

/// Throws `Error(kInvalidArgument)`: a state belongs to another policy.
[[noreturn]] void refuse_foreign_state();

/// The memory in `state`, which is made if there is none. Throws `Error(kInvalidArgument)` if the state
/// belongs to another policy.
template <typename Memory>
[[nodiscard]] Memory& memory_in(PolicyState& state) {
  if (!state.memory) state.memory = std::unique_ptr<PolicyMemory>(std::make_unique<Memory>());
  auto* const memory = dynamic_cast<Memory*>(state.memory.get());
  if (memory == nullptr) refuse_foreign_state();
  return *memory;
}

}  // namespace kvevict
