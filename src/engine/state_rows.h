#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/layered_map.h"
#include "engine/raw_bytes.h"
#include "engine/state_form.h"
#include "engine/state_reader.h"

namespace kvevict {

class KeyRotator;

/// A state whose rows lie in chosen cells.
struct StateWithHoles {
  std::vector<std::uint8_t> bytes;
  std::vector<std::int64_t> positions;  ///< Of all cells, stand-ins included.
  PositionRange stand_ins;              ///< Positions of the rows that stand in for holes; behind all others.
};

/// The cells of one sequence as llama.cpp's session state holds them, taken apart. Strict: it refuses what is
/// not exactly the known form (several streams, an index of the keys, a length that does not add up), so that
/// it never takes one row for another.
///
/// Form, little-endian (llama.cpp, `llama_kv_cache::state_write`): u32 mark, i32 sequence, u32 streams (1),
/// u32 cells; for each cell i32 position, u32 sequences (1), the coordinates (i32 x, i32 y, i32 token), i32
/// sequence; u32 whether V is transposed, u32
/// layers; for each layer i32 K type, u64 row bytes, the rows; for each layer V alike, or, transposed, i32
/// type, u32 element bytes, u32 rows, and for each row one element of every cell. The tail
/// (`llama_memory_recurrent::state_write`): u32 cells (1), i32 position, u32 0, and what stays as it is.
class StateRows {
 public:
  /// Errors: kUnsupported with what is not as it should be.
  explicit StateRows(std::vector<std::uint8_t> bytes, StateForm form = {});
  explicit StateRows(RawBytes bytes, StateForm form);

  /// The state as it was given.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return bytes_; }

  [[nodiscard]] std::size_t n_cells() const noexcept { return cells_.size(); }
  [[nodiscard]] std::size_t n_layers() const noexcept { return keys_.size(); }

  /// Positions by slot: ascending.
  [[nodiscard]] std::vector<std::int64_t> positions() const;

  /// The K or V row of a layer and slot, gathered from where it lies. Bytes; none if there is no V.
  [[nodiscard]] std::vector<std::uint8_t> key(std::size_t layer, std::size_t slot) const;
  [[nodiscard]] std::vector<std::uint8_t> value(std::size_t layer, std::size_t slot) const;

  /// The keys of a layer as numbers, `[slots, width]`, whatever their type; a rotation that llama.cpp gives
  /// quantised keys stays. `numbers` gets that size. Errors: kUnsupported for a type that ggml cannot read.
  void key_numbers(std::size_t layer, std::vector<float>& numbers) const;

  /// The state in which the slots are arranged anew, for `put_rows`. `rotator` may be null if no key
  /// rotates. Errors: kInvalidArgument if the arrangement has other layers than the state.
  [[nodiscard]] std::vector<std::uint8_t> arranged(const CellArrangement& arrangement,
                                                   const KeyRotator* rotator) const;

 private:
  friend StateWithHoles with_holes(std::span<const std::uint8_t> rows, StateForm form,
                                   std::span<const TokenRange> occupied);

  [[nodiscard]] std::vector<std::uint8_t> row(const StateLayer& rows, std::size_t slot) const;
  /// `source_slots`: whose coordinates the cells get; below 0 for a stand-in.
  void add_head(std::vector<std::uint8_t>& out, std::span<const std::int64_t> positions,
                std::span<const std::int32_t> source_slots) const;
  void add_tail(std::vector<std::uint8_t>& out, std::int64_t position) const;
  void add_rows(std::vector<std::uint8_t>& out, const StateLayer& rows,
                const std::vector<std::int32_t>& source_slots) const;

  void read();

  std::vector<std::uint8_t> vector_;  // this or the next one owns the bytes
  RawBytes raw_;
  std::span<const std::uint8_t> bytes_;
  std::vector<StateCell> cells_;  // by slot
  StateForm form_;
  std::size_t layers_head_ = 0;
  std::size_t tail_ = 0;  // where it begins; the end if there is none
  std::vector<StateLayer> keys_, values_;
};

/// The positions of a state's cells in the order of the cells; nothing for a state that this build does not
/// know, or of cells that several sequences share. An empty state has none. O(cells).
[[nodiscard]] std::optional<std::vector<std::int64_t>> positions_of_rows(std::span<const std::uint8_t> rows,
                                                                         StateForm form);

/// `rows` in the cells `occupied`, with rows of zeros in the cells between them. Errors: kUnsupported as
/// StateRows; kBadData if there are not as many cells as rows.
[[nodiscard]] StateWithHoles with_holes(std::span<const std::uint8_t> rows, StateForm form,
                                        std::span<const TokenRange> occupied);

}  // namespace kvevict
