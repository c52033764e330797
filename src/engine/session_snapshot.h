#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvevict/model.h"
#include "kvevict/policy.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// A shift that llama.cpp carries out at its next decode: positions [begin, end) move by `delta`.
struct SavedShift {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t delta = 0;
};

/// Of llama.cpp and ggml, which the format of rows belongs to.
[[nodiscard]] std::string engine_version();

/// A session at rest: the record, the policy's memory, the logits, and the K and V rows in
/// llama.cpp's own format. A value: `Session::snapshot` makes it, `Session::restore` reads it.
struct SessionSnapshot {
  std::string engine_version;  ///< Of llama.cpp and ggml: the rows' format belongs to it.
  std::string model_identity;  ///< Name, architecture and sizes of the model.
  KvType type_k = KvType::kF16;
  KvType type_v = KvType::kF16;
  PositionMode positions = PositionMode::kAbsolute;
  std::int64_t n_tokens_seen = 0;
  std::int64_t next_position = 0;
  /// Ascending in indices and in positions: one list for all layers, or those that differ.
  std::vector<std::vector<HeldRun>> runs;
  std::vector<std::size_t> runs_of_layer;  ///< Empty: one list for all.
  std::string strategy;                    ///< The policy's values in the grammar.
  std::string policy;                      ///< Its versioned name.
  PolicyState policy_state;
  std::vector<float> logits;         ///< `[n_vocab]`, or empty.
  std::vector<std::uint8_t> cells;   ///< Rows in the order of their cells; empty for an empty cache.
  std::vector<TokenRange> occupied;  ///< The cells that they lie in; empty if that is not known: from 0 on.
  std::int64_t n_cells = 0;          ///< Of the context.
  std::int64_t n_outputs = 0;        ///< Tokens of a batch whose logits it has room for.
  std::vector<SavedShift> waiting_shifts;  ///< Not yet carried out in `cells`, in order.
};

}  // namespace kvevict
