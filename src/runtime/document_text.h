#pragma once

#include <string_view>
#include <vector>

#include "kvevict/document.h"

namespace kvevict {

/// Between a document and a question: an empty line. It is read with the question, so that the document's
/// tokens are those of its text.
inline constexpr std::string_view kBeforeQuestion = "\n\n";

/// What stands before every question about a document, and what behind it.
struct DocumentText {
  std::vector<Token> tokens;      ///< The document, up to `kBeforeQuestion`.
  std::vector<TextPart> closing;  ///< What the chat template puts behind a question; empty without one.
};

/// `text` as `options` ask for it. In a chat the template is cut behind it, so that the tokens in front are
/// the same for every question. Errors: those of
/// PromptTemplate; kUnsupported (field "chat_template") for a template that leaves the message out.
[[nodiscard]] DocumentText document_text(const Model& model, std::string_view text,
                                         const DocumentOptions& options);

}  // namespace kvevict
