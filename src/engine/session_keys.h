#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/key_form.h"
#include "engine/kv_context.h"
#include "engine/sequence_record.h"
#include "kvevict/cached_keys.h"

namespace kvevict {

/// The keys of one sequence in llama.cpp's cells, for a policy that asks for them. K rows are copied when the
/// first layer is asked for (half the bytes of the cells) and freed with the object; as numbers there is one
/// layer at a time. Borrows all that it is made of; the cells must not change while it lives.
class SessionKeys final : public CachedKeys {
 public:
  /// `form`: null if the keys are read as they lie (`KeyRequest::is_rotated`).
  SessionKeys(const Model& model, KvContext& context, llama_seq_id sequence, const SequenceRecord& record,
              std::shared_ptr<const KeyForm> form);

  [[nodiscard]] const KeepPlan& held() const override { return held_; }
  [[nodiscard]] std::size_t n_layers() const override { return layers_.size(); }

  /// Errors: kUnsupported for a cache whose rows cannot be told apart; kEngine if it does not hold what the
  /// record says.
  [[nodiscard]] LayerKeys layer(std::size_t layer) override;

 private:
  [[nodiscard]] const KeyRotator::Turns& turns_of(std::size_t map_number, const CacheMap& map);
  void take_rotation_back(std::size_t layer, std::size_t n_heads);

  KvContext& context_;
  llama_seq_id sequence_;
  const SequenceRecord& record_;
  std::shared_ptr<const KeyForm> form_;
  std::unique_ptr<KeyRotator> rotator_;  // a copy: a rotator belongs to one thread at a time
  std::int64_t head_dim_;
  KeepPlan held_;
  std::vector<std::size_t> layers_;  // those that are read, by their places among the layers with a cache
  std::optional<StateRows> rows_;
  std::optional<KeyRotator::Turns> turns_;  // of the positions of …
  std::size_t turns_map_ = 0;               // … this map
  std::vector<float> numbers_;              // of one layer
};

}  // namespace kvevict
