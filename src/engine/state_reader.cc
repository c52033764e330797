#include "engine/state_reader.h"

#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr std::uint32_t kMostLayers = 4096;
constexpr std::size_t kCoordinateBytes = 3 * sizeof(std::int32_t);  // x, y, token

StateLayer read_rows(StateReader& in, std::uint32_t n_cells) {
  StateLayer rows{.head = in.at(), .n_rows = 1};
  rows.type = in.read<std::int32_t>();
  rows.row_bytes = in.read<std::uint64_t>();
  rows.data = in.skip(rows.row_bytes, n_cells);
  return rows;
}

/// Without flash attention llama.cpp keeps V transposed: a row is one element of every cell.
StateLayer read_transposed(StateReader& in, std::uint32_t n_cells) {
  StateLayer rows{.head = in.at()};
  in.read<std::int32_t>();
  rows.row_bytes = in.read<std::uint32_t>();
  rows.n_rows = in.read<std::uint32_t>();
  rows.data = in.skip(rows.row_bytes * rows.n_rows, n_cells);
  return rows;
}

}  // namespace

void refuse_state(const std::string& why) {
  throw Error(ErrorCode::kUnsupported,
              "the rows of this model's cache cannot be told apart: its state " + why);
}

StateCell read_cell(StateReader& in, StateForm form, std::size_t place) {
  StateCell cell{.position = in.read<std::int32_t>(), .place = place};
  if (in.read<std::uint32_t>() != 1) refuse_state("has cells of several sequences, or of several positions");
  cell.coordinates = in.skip(form.has_coordinates ? kCoordinateBytes : 0);
  in.read<std::int32_t>();
  return cell;
}

StateCache read_cache(StateReader& in, StateForm form, std::uint32_t n_cells) {
  StateCache cache;
  if (n_cells > in.n_left()) refuse_state("ends too early");  // before room is made for so many
  cache.cells.reserve(n_cells);
  for (std::size_t place = 0; place < n_cells; ++place) cache.cells.push_back(read_cell(in, form, place));
  cache.layers_head = in.at();
  const auto is_transposed = in.read<std::uint32_t>();
  const auto n_layers = in.read<std::uint32_t>();
  if (is_transposed > 1 || n_layers == 0 || n_layers > kMostLayers) refuse_state("does not say its layers");
  for (std::uint32_t l = 0; l < n_layers; ++l) cache.keys.push_back(read_rows(in, n_cells));
  if (form.ends_at_keys) return cache;
  for (std::uint32_t l = 0; l < n_layers && form.has_values; ++l)
    cache.values.push_back(is_transposed ? read_transposed(in, n_cells) : read_rows(in, n_cells));
  return cache;
}

}  // namespace kvevict
