#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "kvevict/export.h"
#include "kvevict/model.h"

namespace KVEVICT_PUBLIC kvevict {

/// A text of any length as tokens, piece by piece. Memory does not grow with the text.
///
/// Reads at most some tens of KiB at a time. Of a slow source (a pipe) it takes what has come so far, if the
/// stream's buffer can tell that (`in_avail`). Cuts before a space between two words: there the parts have
/// the same tokens as the whole. If a text has no such place within 32 to 64 KiB (Chinese, say), it is cut
/// after a line feed, or else between any two characters. At such a cut a word's tokens may differ from the
/// whole's.
class TokenStream {
 public:
  /// `name` is what errors call the text. Both references must outlive the stream.
  TokenStream(const Model& model, std::istream& text, std::string name);

  /// The next `n_tokens` tokens, or what is left of the text; nothing at its end. The first ones bring
  /// the model's begin-of-text token if it has one. Errors: kBadData at bytes that are not UTF-8,
  /// naming their offset; kIo.
  [[nodiscard]] std::vector<Token> take(std::size_t n_tokens);

 private:
  [[nodiscard]] std::vector<Token> next_part();
  /// Adds what is there to the buffer, at most some tens of KiB; waits if nothing is.
  void read_ready();
  void fill();
  [[nodiscard]] bool is_at_end() const { return !text_.good(); }
  [[nodiscard]] std::size_t limit() const;
  [[nodiscard]] std::size_t cut() const;

  const Model& model_;
  std::istream& text_;
  std::string name_;
  std::string buffer_;          // read, not yet tokenized
  std::size_t n_valid_ = 0;     // bytes of it that are whole characters
  std::int64_t n_before_ = 0;   // bytes of the text before the buffer
  std::vector<Token> waiting_;  // tokenized, not yet taken
  std::size_t n_taken_ = 0;     // of those
  bool is_first_ = true;
};

}  // namespace kvevict
