#pragma once

#include <utility>
#include <vector>

#include "kvevict/cached_keys.h"

namespace kvevict::test {

/// Keys that a test has in hand: `[rows, n_heads, head_dim]` for each layer.
class PlainKeys final : public CachedKeys {
 public:
  PlainKeys() = default;
  PlainKeys(KeepPlan held, std::vector<std::vector<float>> layers, std::int64_t n_heads,
            std::int64_t head_dim)
      : held_(std::move(held)), layers_(std::move(layers)), n_heads_(n_heads), head_dim_(head_dim) {}

  [[nodiscard]] const KeepPlan& held() const override { return held_; }
  [[nodiscard]] std::size_t n_layers() const override { return layers_.size(); }
  [[nodiscard]] LayerKeys layer(std::size_t layer) override {
    ++n_read_;
    return {layers_[layer], n_heads_, head_dim_};
  }

  /// Layers that were read.
  [[nodiscard]] int n_read() const { return n_read_; }

 private:
  KeepPlan held_;
  std::vector<std::vector<float>> layers_;
  std::int64_t n_heads_ = 1, head_dim_ = 1;
  int n_read_ = 0;
};

}  // namespace kvevict::test
