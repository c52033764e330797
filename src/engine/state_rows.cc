#include "engine/state_rows.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/half_floats.h"
#include "engine/key_rotator.h"
#include "engine/state_writer.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr std::size_t kHeadBytes = 3 * sizeof(std::uint32_t);  // mark, sequence, streams

}  // namespace

StateRows::StateRows(std::vector<std::uint8_t> bytes, StateForm form)
    : vector_(std::move(bytes)), bytes_(vector_), form_(form) {
  read();
}

StateRows::StateRows(RawBytes bytes, StateForm form)
    : raw_(std::move(bytes)), bytes_(raw_.data.get(), raw_.size), form_(form) {
  read();
}

void StateRows::read() {
  const StateForm form = form_;
  if (form.has_index) refuse_state("has an index of its keys");
  StateReader in(bytes_);
  if (in.read<std::uint32_t>() != kStateMark) refuse_state("begins with an unknown mark");
  in.read<std::int32_t>();
  if (in.read<std::uint32_t>() != 1) refuse_state("has several streams");
  const auto n_cells = in.read<std::uint32_t>();
  StateCache cache = read_cache(in, form, n_cells);
  cells_ = std::move(cache.cells);
  keys_ = std::move(cache.keys);
  values_ = std::move(cache.values);
  layers_head_ = cache.layers_head;
  tail_ = in.at();
  // Slots ascend in positions, cells need not: freed cells are filled with newer tokens.
  std::sort(cells_.begin(), cells_.end(),
            [](const StateCell& a, const StateCell& b) { return a.position < b.position; });
  if (form.ends_at_keys) return;
  if (form.has_tail) {
    if (in.read<std::uint32_t>() != 1) refuse_state("has not one fixed state behind its cells");
    if (cells_.empty() || in.read<std::int32_t>() != cells_.back().position)
      refuse_state("has a fixed state of another token than the newest");
    if (in.read<std::uint32_t>() != 0) refuse_state("has a fixed state of several sequences");
    return;  // the rest is llama.cpp's own, and stays
  }
  // Another version may add something behind: a state that is understood in part would be put back in part.
  if (!in.is_at_end()) refuse_state("goes on behind its last layer");
}

std::vector<std::int64_t> StateRows::positions() const {
  std::vector<std::int64_t> positions;
  for (const StateCell& cell : cells_) positions.push_back(cell.position);
  return positions;
}

std::vector<std::uint8_t> StateRows::row(const StateLayer& rows, std::size_t slot) const {
  std::vector<std::uint8_t> out;
  for (std::size_t r = 0; r < rows.n_rows; ++r) {
    const std::size_t from = rows.data + (r * n_cells() + cells_[slot].place) * rows.row_bytes;
    add_bytes(out, std::span(bytes_).subspan(from, rows.row_bytes));
  }
  return out;
}

std::vector<std::uint8_t> StateRows::key(std::size_t layer, std::size_t slot) const {
  return row(keys_[layer], slot);
}

void StateRows::key_numbers(std::size_t layer, std::vector<float>& numbers) const {
  const StateLayer& rows = keys_[layer];
  const auto type = static_cast<ggml_type>(rows.type);
  if (rows.type < 0 || rows.type >= GGML_TYPE_COUNT || ggml_type_size(type) == 0)
    refuse_state("has keys of an unknown type");
  const ggml_to_float_t to_float = ggml_get_type_traits(type)->to_float;
  if (type != GGML_TYPE_F32 && to_float == nullptr) refuse_state("has keys that ggml cannot read");
  const auto block = static_cast<std::size_t>(ggml_blck_size(type));
  const std::size_t width = rows.row_bytes / ggml_type_size(type) * block;
  numbers.resize(n_cells() * width);
  for (std::size_t slot = 0; slot < n_cells();) {  // slots whose cells follow each other at once
    std::size_t end = slot + 1;
    while (end < n_cells() && cells_[end].place == cells_[end - 1].place + 1) ++end;
    const std::uint8_t* const from = bytes_.data() + rows.data + cells_[slot].place * rows.row_bytes;
    float* const to = numbers.data() + slot * width;
    if (type == GGML_TYPE_F32) {
      std::memcpy(to, from, (end - slot) * rows.row_bytes);
    } else if (type ==
               GGML_TYPE_F16) {  // several times as fast as ggml-base, which has no processor's own way
      floats_from_halves(reinterpret_cast<const std::byte*>(from),
                         static_cast<std::int64_t>((end - slot) * width), to);
    } else {
      to_float(from, to, static_cast<std::int64_t>((end - slot) * width));
    }
    slot = end;
  }
}

std::vector<std::uint8_t> StateRows::value(std::size_t layer, std::size_t slot) const {
  if (values_.empty()) return {};
  return row(values_[layer], slot);
}

void StateRows::add_rows(std::vector<std::uint8_t>& out, const StateLayer& rows,
                         const std::vector<std::int32_t>& source_slots) const {
  add_bytes(out, std::span(bytes_).subspan(rows.head, rows.data - rows.head));
  std::size_t to = out.size();
  out.resize(to + rows.n_rows * source_slots.size() * rows.row_bytes);
  for (std::size_t r = 0; r < rows.n_rows; ++r) {
    for (const std::int32_t slot : source_slots) {
      if (slot >= 0) {  // else a stand-in's row of zeros, which it is already
        const std::size_t place = cells_[static_cast<std::size_t>(slot)].place;
        std::memcpy(out.data() + to, bytes_.data() + rows.data + (r * n_cells() + place) * rows.row_bytes,
                    rows.row_bytes);
      }
      to += rows.row_bytes;
    }
  }
}

void StateRows::add_head(std::vector<std::uint8_t>& out, std::span<const std::int64_t> positions,
                         std::span<const std::int32_t> source_slots) const {
  add_bytes(out, std::span(bytes_).first(kHeadBytes));
  add(out, static_cast<std::uint32_t>(positions.size()));
  std::int32_t sequence = 0;
  std::memcpy(&sequence, bytes_.data() + sizeof(std::uint32_t), sizeof sequence);
  for (std::size_t k = 0; k < positions.size(); ++k) {
    const auto position = static_cast<std::int32_t>(positions[k]);
    add(out, position);
    add(out, std::uint32_t{1});
    if (form_.has_coordinates) {
      const std::int32_t slot = source_slots[k];
      const std::size_t token =
          (slot < 0 ? 0 : cells_[static_cast<std::size_t>(slot)].coordinates) + 2 * sizeof(std::int32_t);
      add(out, position);  // of text, all coordinates are the position
      add(out, position);
      if (slot < 0) {
        add(out, std::int32_t{0});
      } else {
        add_bytes(out, std::span(bytes_).subspan(token, sizeof(std::int32_t)));
      }
    }
    add(out, sequence);
  }
  add_bytes(out, std::span(bytes_).subspan(layers_head_, 2 * sizeof(std::uint32_t)));
}

void StateRows::add_tail(std::vector<std::uint8_t>& out, std::int64_t position) const {
  if (!form_.has_tail) return;
  add(out, std::uint32_t{1});
  add(out, static_cast<std::int32_t>(position));  // llama.cpp takes the next token only right behind it
  add_bytes(out, std::span(bytes_).subspan(tail_ + 2 * sizeof(std::uint32_t)));
}

std::vector<std::uint8_t> StateRows::arranged(const CellArrangement& arrangement,
                                              const KeyRotator* rotator) const {
  if (arrangement.rows_of_layer.size() != n_layers()) {
    throw Error(ErrorCode::kInvalidArgument,
                "the plan has " + std::to_string(arrangement.rows_of_layer.size()) +
                    " layers and the model's cache " + std::to_string(n_layers()));
  }
  // Checked before anything is copied: `add_rows` takes a slot below 0 for a stand-in.
  for (const LayerRows& rows : arrangement.rows) {
    for (const std::int32_t slot : rows.source_slots) {
      if (slot >= 0 && static_cast<std::size_t>(slot) < n_cells()) continue;
      throw Error(ErrorCode::kEngine, "slot " + std::to_string(slot) + " was asked for and the cache has " +
                                          std::to_string(n_cells()));
    }
  }
  std::vector<std::uint8_t> out;
  out.reserve(bytes_.size() / std::max<std::size_t>(1, n_cells()) * (arrangement.positions.size() + 1));
  add_head(out, arrangement.positions, arrangement.rows.front().source_slots);
  for (std::size_t l = 0; l < n_layers(); ++l) {
    const LayerRows& rows = arrangement.rows[arrangement.rows_of_layer[l]];
    add_rows(out, keys_[l], rows.source_slots);
    // Keys are never transposed, so the layer's rows are the last bytes; values hold no position.
    const std::size_t n_bytes = rows.source_slots.size() * keys_[l].row_bytes;
    if (rotator != nullptr && !rows.rotations.empty())
      rotator->rotate(l, std::span(out).last(n_bytes), rows.rotations);
  }
  for (std::size_t l = 0; l < values_.size(); ++l) {
    add_rows(out, values_[l], arrangement.rows[arrangement.rows_of_layer[l]].source_slots);
  }
  add_tail(out, arrangement.positions.empty() ? -1 : arrangement.positions.back());
  return out;
}

std::optional<std::vector<std::int64_t>> positions_of_rows(std::span<const std::uint8_t> rows,
                                                           StateForm form) {
  std::vector<std::int64_t> positions;
  if (rows.empty()) return positions;
  if (!form.has_cells || form.has_index) return std::nullopt;
  try {
    StateReader in(rows);
    if (in.read<std::uint32_t>() != kStateMark) return std::nullopt;
    in.read<std::int32_t>();
    if (in.read<std::uint32_t>() != 1) return std::nullopt;
    const auto n_cells = in.read<std::uint32_t>();
    for (std::uint32_t i = 0; i < n_cells; ++i) positions.push_back(read_cell(in, form, i).position);
  } catch (const Error&) {  // it ends too early, or cells are shared
    return std::nullopt;
  }
  return positions;
}

StateWithHoles with_holes(std::span<const std::uint8_t> rows, StateForm form,
                          std::span<const TokenRange> occupied) {
  const StateRows state({rows.begin(), rows.end()}, form);
  // Rows by their places in the state: `slot_at[i]` is the slot of the i-th.
  std::vector<std::int32_t> slot_at(state.n_cells());
  for (std::size_t slot = 0; slot < state.n_cells(); ++slot)
    slot_at[state.cells_[slot].place] = static_cast<std::int32_t>(slot);
  StateWithHoles result;
  // Stand-ins get positions behind all others: they are removed by position, which must not free a real cell.
  std::vector<std::int32_t> source_slots;  // of each cell; a stand-in's source is -1
  std::int64_t stand_in = state.n_cells() == 0 ? 0 : std::int64_t{state.cells_.back().position} + 1;
  result.stand_ins.begin = stand_in;
  std::size_t next = 0;
  for (const TokenRange& run : occupied) {
    while (static_cast<std::int64_t>(source_slots.size()) < run.begin) {
      source_slots.push_back(-1);
      result.positions.push_back(stand_in++);
    }
    for (std::int64_t i = run.begin; i < run.end && next < slot_at.size(); ++i, ++next) {
      source_slots.push_back(slot_at[next]);
      result.positions.push_back(state.cells_[static_cast<std::size_t>(slot_at[next])].position);
    }
  }
  result.stand_ins.end = stand_in;
  if (next != slot_at.size() || static_cast<std::int64_t>(source_slots.size()) != occupied.back().end)
    throw Error(ErrorCode::kBadData, "the saved places of the cells do not fit their rows");
  result.bytes.reserve(rows.size() / std::max<std::size_t>(1, state.n_cells()) * (source_slots.size() + 1));
  state.add_head(result.bytes, result.positions, source_slots);
  for (std::size_t l = 0; l < state.n_layers(); ++l)
    state.add_rows(result.bytes, state.keys_[l], source_slots);
  for (const auto& values : state.values_) state.add_rows(result.bytes, values, source_slots);
  if (state.n_cells() > 0) state.add_tail(result.bytes, state.cells_.back().position);
  return result;
}

}  // namespace kvevict
