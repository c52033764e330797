#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "engine/state_form.h"

namespace kvevict {

/// The mark that llama.cpp's session state begins with.
inline constexpr std::uint32_t kStateMark = 0xaf143cd8;

/// Throws `Error(kUnsupported)`: the state `why` ("ends too early").
[[noreturn]] void refuse_state(const std::string& why);

/// Reads numbers off the state and refuses one that ends too early. Sizes come from the state itself, which
/// may be of a file: each is held against the bytes that are left before it is used, so that no sum
/// overflows. Borrows the bytes.
class StateReader {
 public:
  explicit StateReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
  T read() {
    T value{};
    const std::size_t from = skip(sizeof(T));
    std::memcpy(&value, bytes_.data() + from, sizeof(T));
    return value;
  }

  /// Steps over `n` bytes and returns where they begin.
  std::size_t skip(std::size_t n) {
    if (n > bytes_.size() - at_) refuse_state("ends too early");
    const std::size_t from = at_;
    at_ += n;
    return from;
  }

  /// Steps over n x m bytes.
  std::size_t skip(std::size_t n, std::size_t m) {
    if (m != 0 && n > (bytes_.size() - at_) / m) refuse_state("ends too early");
    return skip(n * m);
  }

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t n_left() const { return bytes_.size() - at_; }
  [[nodiscard]] bool is_at_end() const { return at_ == bytes_.size(); }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

/// A cell in the state.
struct StateCell {
  std::int32_t position = 0;
  std::size_t place = 0;        ///< Among the cells of the state.
  std::size_t coordinates = 0;  ///< Where they lie.
};

/// The K or V rows of a layer in the state.
struct StateLayer {
  std::size_t head = 0;       ///< Where the layer's description begins.
  std::size_t data = 0;       ///< Where its rows begin.
  std::size_t n_rows = 0;     ///< Transposed: elements of a cell; else 1.
  std::size_t row_bytes = 0;  ///< Of a cell; transposed: of an element.
  std::int32_t type = 0;      ///< ggml's.
};

/// Where the parts of one cache lie in the state.
struct StateCache {
  std::vector<StateCell> cells;  ///< In their order.
  std::size_t layers_head = 0;
  std::vector<StateLayer> keys, values;
};

/// Reads a cell. Errors: kUnsupported, also for one that several sequences share.
[[nodiscard]] StateCell read_cell(StateReader& in, StateForm form, std::size_t place);

/// Reads the cells and rows of a cache of `n_cells` cells, 1 or more; behind its number of cells. Errors:
/// kUnsupported with what is not as it should be.
[[nodiscard]] StateCache read_cache(StateReader& in, StateForm form, std::uint32_t n_cells);

}  // namespace kvevict
