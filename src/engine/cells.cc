#include "engine/cells.h"

#include <algorithm>

#include "engine/llama_log.h"
#include "engine/model_traits.h"
#include "engine/state_reader.h"
#include "engine/state_streams.h"
#include "kvevict/error.h"

namespace kvevict {

int n_streams(const llama_context* context) {
  const bool is_shared = llama_n_ctx_seq(context) == llama_n_ctx(context);
  return is_shared ? 1 : static_cast<int>(llama_n_seq_max(context));
}

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

[[noreturn]] void refuse_beginning() {
  throw Error(ErrorCode::kEngine,
              "the state of this llama.cpp begins in another way than the one that is known here");
}

StateForm form_of(llama_context* context) {
  return state_form_of(llama_get_model(context));
}

/// The state of a sequence that shares no cells with others, as llama.cpp writes it, to the form of a context
/// of it alone.
std::vector<std::uint8_t> as_alone(llama_context* context, std::vector<std::uint8_t> rows, StateForm form) {
  const int n = n_streams(context);
  if (n > 1 && form.has_cells) return as_of_one_stream(std::move(rows), form, n);
  return rows;
}

}  // namespace

std::int64_t count_cells(llama_context* context, llama_seq_id sequence) {
  if (!reason_not_evictable(llama_get_model(context)).empty()) return count_tokens(context, sequence);
  const int n = n_streams(context);
  if (n > 1 && sequence == kAllSequences) {
    std::int64_t n_cells = 0;
    for (int s = 0; s < n; ++s) n_cells += count_cells(context, s);
    return n_cells;
  }
  // The state begins with a mark, the sequence, the number of streams and the number of cells in each. A
  // buffer that ends behind that of the sequence makes llama.cpp stop there, before any row.
  const std::size_t stream = n > 1 ? static_cast<std::size_t>(sequence) : 0;
  std::vector<std::uint32_t> head(4 + stream, 0);
  const LlamaLogCapture log;
  llama_state_seq_get_data(context, reinterpret_cast<std::uint8_t*>(head.data()),
                           head.size() * sizeof head[0], sequence);
  if (head[0] != kStateMark || head[1] != static_cast<std::uint32_t>(sequence) ||
      head[2] != static_cast<std::uint32_t>(n))
    refuse_beginning();
  return head.back();
}

std::vector<std::uint8_t> copy_rows(llama_context* context, llama_seq_id sequence) {
  if (count_cells(context, sequence) == 0) return {};
  const LlamaLogCapture log;
  std::vector<std::uint8_t> rows(llama_state_seq_get_size(context, sequence));
  if (rows.empty() || llama_state_seq_get_data(context, rows.data(), rows.size(), sequence) != rows.size()) {
    throw Error(ErrorCode::kEngine, "llama.cpp cannot hand out its cells: " + log.reason());
  }
  return as_alone(context, std::move(rows), form_of(context));
}

RawBytes copy_keys(llama_context* context, llama_seq_id sequence, std::int64_t n_bytes) {
  // Keys come before values, and llama.cpp stops where a buffer ends (as in `count_cells`).
  const LlamaLogCapture log;
  const std::size_t n_of_streams = static_cast<std::size_t>(n_streams(context) - 1) * sizeof(std::uint32_t);
  RawBytes rows = raw_bytes(std::min(llama_state_seq_get_size(context, sequence),
                                     static_cast<std::size_t>(n_bytes) + n_of_streams));
  llama_state_seq_get_data(context, rows.data.get(), rows.size, sequence);
  if (n_streams(context) == 1) return rows;
  const std::vector<std::uint8_t> alone =
      as_alone(context, {rows.data.get(), rows.data.get() + rows.size}, form_up_to_keys(form_of(context)));
  std::copy(alone.begin(), alone.end(), rows.data.get());
  rows.size = alone.size();
  return rows;
}

void put_rows(llama_context* context, llama_seq_id sequence, std::span<const std::uint8_t> rows) {
  if (rows.empty()) return;
  const int n = n_streams(context);
  std::vector<std::uint8_t> of_streams;
  if (const StateForm form = form_of(context); n > 1 && form.has_cells) {
    of_streams = as_of_streams(rows, form, n, sequence);
    rows = of_streams;
  }
  const LlamaLogCapture log;
  if (llama_state_seq_set_data(context, rows.data(), rows.size(), sequence) != rows.size()) {
    llama_memory_seq_rm(llama_get_memory(context), sequence, -1, -1);
    throw Error(ErrorCode::kBadData, "llama.cpp does not take these cells: " + log.reason());
  }
}

}  // namespace kvevict
