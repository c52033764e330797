#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/session.h"
#include "runtime/chat_template.h"
#include "runtime/model_run.h"

namespace kvevict {

/// How an answer ended.
enum class AnswerEnd { kByModel, kAtLength, kStopped };

/// A chat of any number of turns in a cache of fixed size: every token is decoded once, when it is new.
class Conversation {
 public:
  struct Options {
    std::string system;
    std::int64_t max_new_tokens = 256;
    SamplingOptions sampling;
  };

  /// `run` is what the chat runs on; `options.cancel` there stops an answer.
  /// Errors: those of ChatTemplate and Session.
  Conversation(ModelRun run, Options options);

  /// Appends the message and streams the answer to `on_text`. Stopping leaves the part of the answer that was
  /// made in the conversation, and of a message that was begun all of it, with an empty answer.
  /// Errors: kBadData (not UTF-8), those of Session; the conversation can go on.
  AnswerEnd answer(std::string_view message, const std::function<void(std::string_view)>& on_text);

  /// Forgets all turns. The system prompt comes again with the next message.
  void reset();

  /// Writes everything to a file in one step. Errors: kIo.
  void save(const std::filesystem::path& path);

  /// Goes on with a saved conversation: its system prompt, strategy, positions and sampling are taken up.
  /// Errors: those of load_session; kBadData (not a saved chat). The running one is then as it was.
  void load(const std::filesystem::path& path);

  [[nodiscard]] const Session& session() const { return session_; }
  [[nodiscard]] const ModelRun& run() const { return run_; }
  [[nodiscard]] std::int64_t n_turns() const { return n_turns_; }

  /// The conversation as text, with what was evicted marked (cli/kept_text.h).
  [[nodiscard]] std::string kept_text(bool for_terminal) const;

  /// All tokens of the conversation that the cache has seen, in order.
  [[nodiscard]] const std::vector<Token>& seen() const { return seen_; }

 private:
  /// Appends what waits and a message behind it, which `turn` begins with; false if it was stopped. What of a
  /// begun message was not appended then waits for the next turn; a message that was not begun is dropped.
  bool append_turn(std::span<const Token> turn);
  [[nodiscard]] std::string strategy() const { return to_string(run_.policy->spec()); }

  ModelRun run_;
  Options options_;
  std::optional<ChatTemplate> template_;
  Session session_;
  std::vector<Token> seen_;
  std::vector<Token> waiting_;  // of the conversation, not yet in the cache
  std::int64_t n_turns_ = 0;
  std::string model_sha256_;
};

}  // namespace kvevict
