#include "cli/attention_mask.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"

namespace kvevict::cli {
namespace {

constexpr std::int64_t kMostNpyTokens = 16384;
constexpr std::int64_t kMostPixels = 2048;

/// Calls `visit` with every row's number and the ranges of columns that it sees.
void for_each_row(const BoundedPrefill& prefill,
                  const std::function<void(std::int64_t, const KeepSet&)>& visit) {
  for_each_bounded_chunk(*prefill.policy, prefill.n_tokens, prefill.n_chunk, prefill.n_layers,
                         [&](const BoundedChunk& chunk) {
                           for (std::int64_t i = chunk.tokens.begin; i < chunk.tokens.end; ++i) {
                             KeepSet seen = chunk.cached.layer(static_cast<std::size_t>(prefill.layer));
                             seen.append(chunk.tokens.begin, i + 1);
                             visit(i, seen);
                           }
                         });
}

std::string npy_header(std::int64_t n_tokens) {
  std::string text =
      fmt::format("{{'descr': '|b1', 'fortran_order': False, 'shape': ({0}, {0}), }}", n_tokens);
  constexpr std::size_t kPrefix = 10;
  constexpr std::size_t kAlignment = 64;
  text.append(kAlignment - (kPrefix + text.size() + 1) % kAlignment, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xFF);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

std::string npy_file(const BoundedPrefill& prefill) {
  const std::int64_t n_tokens = prefill.n_tokens;
  if (n_tokens > kMostNpyTokens) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("a mask of {} tokens is too large for an .npy file: "
                                                         "--total_len of at most {} is needed, or a .png",
                                                         n_tokens, kMostNpyTokens));
  }
  std::string file = npy_header(n_tokens);
  for_each_row(prefill, [&](std::int64_t, const KeepSet& seen) {
    const std::size_t begin = file.size();
    file.append(static_cast<std::size_t>(n_tokens), '\0');
    for (const TokenRange& range : seen.ranges()) {
      const auto first = file.begin() + static_cast<std::ptrdiff_t>(begin) + range.begin;
      std::fill(first, first + range.count(), '\1');
    }
  });
  return file;
}

/// Rows and columns of tokens, summed over squares of `n_per_pixel` tokens.
class Pixels {
 public:
  explicit Pixels(std::int64_t n_tokens)
      : n_tokens_(n_tokens),
        n_per_pixel_(std::max<std::int64_t>(1, (n_tokens + kMostPixels - 1) / kMostPixels)),
        n_side_((n_tokens + n_per_pixel_ - 1) / n_per_pixel_),
        sums_(static_cast<std::size_t>(n_side_ * n_side_), 0) {}

  void add(std::int64_t row, TokenRange seen) {
    for (std::int64_t from = seen.begin; from < seen.end;) {
      const std::int64_t column = from / n_per_pixel_;
      const std::int64_t to = std::min(seen.end, (column + 1) * n_per_pixel_);
      sums_[static_cast<std::size_t>(row / n_per_pixel_ * n_side_ + column)] +=
          static_cast<std::uint32_t>(to - from);
      from = to;
    }
  }

  /// 8-bit gray levels, row by row: 255 where nothing is seen, 0 where all is.
  [[nodiscard]] std::vector<std::uint8_t> levels() const {
    std::vector<std::uint8_t> levels(sums_.size());
    for (std::int64_t y = 0; y < n_side_; ++y) {
      for (std::int64_t x = 0; x < n_side_; ++x) {
        const auto i = static_cast<std::size_t>(y * n_side_ + x);
        levels[i] = static_cast<std::uint8_t>(255 - 255 * std::uint64_t{sums_[i]} /
                                                        static_cast<std::uint64_t>(extent(y) * extent(x)));
      }
    }
    return levels;
  }

  [[nodiscard]] std::int64_t side() const { return n_side_; }

 private:
  /// Tokens that pixel `number` stands for: fewer in the last one.
  [[nodiscard]] std::int64_t extent(std::int64_t number) const {
    return std::min(n_per_pixel_, n_tokens_ - number * n_per_pixel_);
  }

  std::int64_t n_tokens_, n_per_pixel_, n_side_;
  std::vector<std::uint32_t> sums_;
};

std::string png_file(const BoundedPrefill& prefill) {
  Pixels pixels(prefill.n_tokens);
  for_each_row(prefill, [&](std::int64_t row, const KeepSet& seen) {
    for (const TokenRange& range : seen.ranges()) pixels.add(row, range);
  });
  const std::vector<std::uint8_t> levels = pixels.levels();
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = image.height = static_cast<png_uint_32>(pixels.side());
  image.format = PNG_FORMAT_GRAY;
  std::string file(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t n_bytes = file.size();
  if (png_image_write_to_memory(&image, file.data(), &n_bytes, 0, levels.data(), 0, nullptr) == 0) {
    throw Error(ErrorCode::kIo, std::string("the mask cannot be written as PNG: ") + image.message);
  }
  file.resize(n_bytes);
  return file;
}

}  // namespace

void write_attention_mask(const BoundedPrefill& prefill, const std::filesystem::path& path) {
  if (prefill.layer < 0 || prefill.layer >= prefill.n_layers) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("--layer is {}: a number from 0 to {} is needed",
                                                         prefill.layer, prefill.n_layers - 1));
  }
  if (prefill.n_tokens < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "a mask of no tokens has no picture: a --total_len of 1 or more is needed");
  }
  if (path.extension() == ".npy") {
    write_file_atomically(path, npy_file(prefill));
  } else if (path.extension() == ".png") {
    write_file_atomically(path, png_file(prefill));
  } else {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("--mask is \"{}\": a file name that ends in .png or .npy is needed", path.string()));
  }
}

}  // namespace kvevict::cli
