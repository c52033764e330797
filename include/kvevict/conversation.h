#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/export.h"
#include "kvevict/prompt_template.h"
#include "kvevict/session.h"

namespace KVEVICT_PUBLIC kvevict {

/// How an answer ended.
enum class AnswerEnd { kByModel, kAtLength, kStopped };

struct ConversationOptions {
  std::string system{};               ///< System prompt; may be empty.
  TemplateOptions prompt_template{};  ///< How messages are written; the model's own way by default.
  std::int64_t max_new_tokens = 256;  ///< Of an answer.
  SamplingOptions sampling{};
  std::vector<std::string> stop{};  ///< Texts that end an answer where one begins; not empty.
  /// Of the session. Bounded: a message of any length goes in by chunks. `cancel` stops an answer.
  SessionOptions session{.prefill = PrefillMode::kBounded};
};

/// A chat of any number of turns in a cache of fixed size: every token is decoded once, when it is new.
///
/// Owner: shares the model. Thread safety: one thread at a time.
class Conversation {
 public:
  /// Errors: those of Session and of PromptTemplate; kUnsupported for a template that leaves messages or
  /// answers out; kBadData for a system prompt that is not UTF-8.
  Conversation(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
               ConversationOptions options = {});
  ~Conversation();
  Conversation(Conversation&&) noexcept;
  Conversation& operator=(Conversation&&) noexcept;

  /// Appends the message and streams the answer to `on_text`. If it is stopped, the conversation keeps the
  /// part of the answer that was made. If it is stopped while the message goes in, the conversation keeps the
  /// whole message, with an empty answer. Errors: kBadData (not UTF-8), those of Session and what `on_text`
  /// throws; the conversation can go on.
  AnswerEnd answer(std::string_view message, const std::function<void(std::string_view)>& on_text);

  /// Forgets all turns. The system prompt comes again with the next message.
  void reset();

  /// Writes everything to a file in one step: the session, and 4 bytes for each token of the conversation.
  /// Errors: kIo; kUnsupported for a policy that chooses by attention.
  void save(const std::filesystem::path& path);

  /// Goes on with a saved conversation: its system prompt, strategy, positions and sampling are taken up.
  /// Errors: those of load_session; kBadData (not a saved chat). The running one is then as it was.
  void load(const std::filesystem::path& path);

  [[nodiscard]] const Session& session() const noexcept;
  [[nodiscard]] std::int64_t n_turns() const noexcept;

  /// The conversation as text. What was evicted stands between "[-" and "-]", or is dimmed for a terminal;
  /// long evicted parts are shortened.
  [[nodiscard]] std::string kept_text(bool for_terminal = false) const;

  /// All tokens of the conversation that the cache has seen, in order.
  [[nodiscard]] const std::vector<Token>& seen() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Tokens of `system` and what the model's chat template puts before the first message: sink tokens that
/// always keep the system prompt. Errors: as the constructor of Conversation.
[[nodiscard]] std::int64_t count_system_tokens(const Model& model, std::string_view system,
                                               const TemplateOptions& prompt_template = {});

}  // namespace kvevict
