#include "engine/cells.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/llama_log.h"
#include "engine/model_traits.h"
#include "kvevict/error.h"

namespace kvevict {

void remove_positions(llama_context* context, llama_seq_id sequence,
                      std::span<const PositionRange> positions) {
  llama_memory_t memory = llama_get_memory(context);
  for (const PositionRange& range : positions) {
    if (!llama_memory_seq_rm(memory, sequence, static_cast<llama_pos>(range.begin),
                             static_cast<llama_pos>(range.end))) {
      throw Error(ErrorCode::kUnsupported, "the cache of this model cannot drop single tokens");
    }
  }
}

void shift_positions(llama_context* context, llama_seq_id sequence, std::span<const PositionShift> shifts) {
  llama_memory_t memory = llama_get_memory(context);
  for (const PositionShift& s : shifts) {
    llama_memory_seq_add(memory, sequence, static_cast<llama_pos>(s.positions.begin),
                         static_cast<llama_pos>(s.positions.end), static_cast<llama_pos>(s.delta));
  }
}

namespace {

/// Of a memory that never drops a token: as many as the sequence has, or all sequences.
std::int64_t count_tokens(llama_context* context, llama_seq_id sequence) {
  llama_memory_t memory = llama_get_memory(context);
  if (sequence != kAllSequences) return llama_memory_seq_pos_max(memory, sequence) + 1;
  std::int64_t n = 0;
  for (std::uint32_t s = 0; s < llama_n_seq_max(context); ++s)
    n += count_tokens(context, static_cast<llama_seq_id>(s));
  return n;
}

}  // namespace

std::int64_t count_cells(llama_context* context, llama_seq_id sequence) {
  if (!reason_not_evictable(llama_get_model(context)).empty()) return count_tokens(context, sequence);
  // The state begins with a mark, the sequence, the number of streams (1: forks share one) and the
  // number of cells. A buffer of just that length makes llama.cpp stop there, before any row.
  std::array<std::uint32_t, 4> head{};
  constexpr std::uint32_t kMark = 0xaf143cd8;
  const LlamaLogCapture log;
  llama_state_seq_get_data(context, reinterpret_cast<std::uint8_t*>(head.data()), sizeof head, sequence);
  if (head[0] != kMark || head[1] != static_cast<std::uint32_t>(sequence) || head[2] != 1) {
    throw Error(ErrorCode::kEngine,
                "the state of this llama.cpp begins in another way than the one that is known here");
  }
  return head[3];
}

std::vector<std::uint8_t> copy_rows(llama_context* context, llama_seq_id sequence) {
  if (count_cells(context, sequence) == 0) return {};
  const LlamaLogCapture log;
  std::vector<std::uint8_t> rows(llama_state_seq_get_size(context, sequence));
  if (rows.empty() || llama_state_seq_get_data(context, rows.data(), rows.size(), sequence) != rows.size()) {
    throw Error(ErrorCode::kEngine, "llama.cpp cannot hand out its cells: " + log.reason());
  }
  return rows;
}

RawBytes copy_keys(llama_context* context, llama_seq_id sequence, std::int64_t n_bytes) {
  // Keys come before values, and llama.cpp stops where a buffer ends (as in `count_cells`).
  const LlamaLogCapture log;
  RawBytes rows{
      .data = nullptr,
      .size = std::min(llama_state_seq_get_size(context, sequence), static_cast<std::size_t>(n_bytes))};
  rows.data =
      std::make_unique_for_overwrite<std::uint8_t[]>(rows.size);  // zeros would cost as much as the copy
  llama_state_seq_get_data(context, rows.data.get(), rows.size, sequence);
  return rows;
}

void put_rows(llama_context* context, llama_seq_id sequence, std::span<const std::uint8_t> rows) {
  if (rows.empty()) return;
  const LlamaLogCapture log;
  if (llama_state_seq_set_data(context, rows.data(), rows.size(), sequence) != rows.size()) {
    llama_memory_seq_rm(llama_get_memory(context), sequence, -1, -1);
    throw Error(ErrorCode::kBadData, "llama.cpp does not take these cells: " + log.reason());
  }
}

}  // namespace kvevict
