#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kvevict/answer_format.h"
#include "kvevict/chat_message.h"
#include "text/json_reader.h"

namespace kvevict::http {

/// The output of a response, item by item: thoughts, a message, calls; and the events that tell of it, each
/// with its "event: ", "data: " and the empty line behind it, and numbered.
///
/// Thread safety: one thread at a time.
class ResponseItems {
 public:
  using Json = JsonReader::Json;

  /// What `delta` adds.
  [[nodiscard]] std::string add(const AnswerDelta& delta);

  /// The end of the last item. Of an answer without a word: an empty message. `is_whole`: whether the answer
  /// ended by itself.
  [[nodiscard]] std::string finish(bool is_whole);

  /// All items as they are now.
  [[nodiscard]] Json output() const;

  /// An event of this type with `fields`.
  [[nodiscard]] std::string event(const char* type, const Json& fields);

 private:
  enum class Kind { kReasoning, kMessage, kCall };
  struct Item {
    Kind kind = Kind::kMessage;
    std::string id{};
    std::string text{};  // of a call: its arguments
    ToolCall call{};
    std::size_t index_of_call = 0;
    const char* status = "in_progress";
  };

  [[nodiscard]] std::string add_text(Kind kind, const std::string& text);
  [[nodiscard]] std::string open(Item item);
  [[nodiscard]] std::string close(const char* status);
  [[nodiscard]] Json place() const;
  [[nodiscard]] static Json part_json(const Item& item);
  [[nodiscard]] static Json item_json(const Item& item);

  std::vector<Item> items_;
  bool is_open_ = false;  // the last one goes on
  std::int64_t n_events_ = 0;
};

/// An id of its own: `prefix` and random letters.
[[nodiscard]] std::string make_id(const char* prefix);

}  // namespace kvevict::http
