#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/export.h"
#include "kvevict/prompt_template.h"
#include "kvevict/session.h"

namespace KVEVICT_PUBLIC kvevict {

/// The strategy of documents where nothing else is asked for, and that of models whose keys it cannot
/// compare. Both choose without any question, and hold 1,024 tokens a layer.
inline constexpr std::string_view kDocumentStrategy = "keydiff:4:64:956";
inline constexpr std::string_view kPositionalDocumentStrategy = "sink_recent_uniform:64:192:768:block=32";

struct DocumentOptions {
  /// The document and a question are one message of a user, in the chat template; else a text that goes on.
  bool is_chat = false;
  std::string system{};               ///< Of a chat: system prompt; may be empty.
  TemplateOptions prompt_template{};  ///< Of a chat.
  /// Of a text: control tokens that it and its questions write out are read as such.
  bool parse_special = false;
  std::int64_t n_room = 512;  ///< Tokens of a question and its answer that need no larger context later.
  /// Full: the whole document, then one eviction; bounded: chunk by chunk, and an eviction at the end.
  /// `n_sequences` is chosen here.
  SessionOptions session{};
  /// Called with the number of the document's tokens that are in so far, batch by batch or chunk by chunk.
  std::function<void(std::int64_t n_done)> on_progress{};
};

/// How a document went in. Tokens per layer, seconds.
struct DocumentReport {
  std::int64_t n_tokens = 0;
  std::int64_t n_kept = 0;
  double seconds_prefill = 0;   ///< 0 for a document that was loaded.
  double seconds_eviction = 0;  ///< The last one, and the move to the cells that stay.
  double seconds_load = 0;      ///< 0 for a document that was not.
  SessionStats stats{};         ///< Of the session right after.
};

struct DocumentAnswer {
  Generation generation;
  std::int64_t n_question = 0;  ///< Tokens of the question, with what stands before and behind it.
  double seconds_to_first = 0;  ///< From the call to the first token of the answer, or to its end.
  double seconds = 0;           ///< Of the whole call.
};

/// A document that was evicted once, by a policy that knew no question, and is then asked any number of them.
///
/// The document goes in as a beginning that all questions share, is evicted down to the policy's budget, and
/// stays so. A question and its answer come behind a fork of it: nothing of them is evicted, they are on top
/// of the budget, and the next question sees none of them.
///
/// Owner: owns its session, shares the model. Thread safety: one thread at a time, as Session.
class Document {
 public:
  /// An empty line ("\n\n") comes before each question. Errors: those of Session and PromptTemplate;
  /// kBadData for text that is not UTF-8; kInvalidArgument for an empty one; kUnsupported for a policy that
  /// chooses by attention, which is recorded only for a session that is neither forked nor saved, and for a
  /// template that leaves a message out.
  Document(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy, std::string_view text,
           const DocumentOptions& options = {});

  /// A text that is tokens already; nothing is put between them and a question. Errors: as above;
  /// kInvalidArgument for a chat.
  Document(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
           std::vector<Token> tokens, const DocumentOptions& options = {});
  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;

  /// Answers a question about the document, as if it was the only one ever asked. `options.recent`: empty:
  /// the document's last tokens and the question. Errors: those of Session::generate; kInvalidArgument for an
  /// empty question, and if document, question and answer would hold more than the trained context; kBadData
  /// for a question that is not UTF-8.
  DocumentAnswer ask(std::string_view question, const GenerateOptions& options = {});

  /// A session that goes on behind the document by `policy`, in a context of its own with room for `n_room`
  /// more tokens. Errors: those of Session::fork and Session::detach.
  [[nodiscard]] Session fork(std::shared_ptr<const Policy> policy, std::int64_t n_room = 0);

  /// Writes what is held, 4 bytes for each token of the document, and how its questions end, in one step.
  /// Errors: those of `save_session`.
  void save(const std::filesystem::path& path);

  /// The document that `save` wrote. Of `options`, `positions` are the saved ones if they are left open.
  /// Errors: those of `load_session`; kBadData for a saved session that is not one of a document.
  [[nodiscard]] static Document load(std::shared_ptr<const Model> model, const std::filesystem::path& path,
                                     const SessionOptions& options = {});

  [[nodiscard]] const std::shared_ptr<const Model>& model() const noexcept;

  /// The document as it is held.
  [[nodiscard]] const Session& session() const noexcept;
  [[nodiscard]] const DocumentReport& report() const noexcept;

  /// All tokens of the document, evicted ones too, up to what comes before a question.
  [[nodiscard]] const std::vector<Token>& tokens() const noexcept;
  [[nodiscard]] bool is_chat() const noexcept;
  [[nodiscard]] const std::string& system() const noexcept;

 private:
  struct Impl;
  explicit Document(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
