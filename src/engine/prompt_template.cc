#include "kvevict/prompt_template.h"

#include <llama.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/jinja_template.h"
#include "engine/known_template.h"
#include "engine/message_guard.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

std::string piece_of(const llama_vocab* vocab, Token token) {
  return token == LLAMA_TOKEN_NULL ? std::string() : llama_vocab_get_text(vocab, token);
}

/// What renders a prompt, decided once.
std::string source_of(const Model& model, const TemplateOptions& options) {
  if (!options.source.empty()) return options.source;
  const char* const own = llama_model_chat_template(model.handle(), nullptr);
  if (own == nullptr) {
    throw Error(ErrorCode::kUnsupported, model.info().name + " brings no chat template", "chat_template");
  }
  return own;
}

bool is_name(const std::string& source) {
  const std::vector<std::string> known = known_chat_templates();
  return std::find(known.begin(), known.end(), source) != known.end();
}

/// Nothing for a model's own template that is not Jinja which can be read: llama.cpp's list may know it.
std::optional<JinjaTemplate> read_jinja(const Model& model, const std::string& source, bool is_own) {
  const llama_vocab* const vocab = llama_model_get_vocab(model.handle());
  try {
    return JinjaTemplate(source, piece_of(vocab, llama_vocab_bos(vocab)),
                         piece_of(vocab, llama_vocab_eos(vocab)));
  } catch (const Error&) {
    if (!is_own) throw;
    return std::nullopt;
  }
}

}  // namespace

struct PromptTemplate::Impl {
  const Model* model;
  std::string source, values;
  std::optional<JinjaTemplate> jinja;
};

PromptTemplate::PromptTemplate(const Model& model, TemplateOptions options) {
  const bool is_own = options.source.empty();
  impl_ = std::make_unique<Impl>(Impl{.model = &model,
                                      .source = source_of(model, options),
                                      .values = std::move(options.values),
                                      .jinja = {}});
  if (reads_jinja() && !is_name(impl_->source)) impl_->jinja = read_jinja(model, impl_->source, is_own);
  if (!impl_->jinja) require_known_template(impl_->source, model.info().name);
}

PromptTemplate::~PromptTemplate() = default;
PromptTemplate::PromptTemplate(PromptTemplate&&) noexcept = default;
PromptTemplate& PromptTemplate::operator=(PromptTemplate&&) noexcept = default;

std::vector<TextPart> PromptTemplate::render(std::span<const ChatMessage> messages,
                                             bool begins_answer) const {
  if (!impl_->jinja) return render_known_template(impl_->source, messages, begins_answer);
  const GuardedMessages safe = guarded(llama_model_get_vocab(impl_->model->handle()), messages);
  return safe.reveal(impl_->jinja->render(safe.messages, impl_->values, begins_answer));
}

std::vector<Token> PromptTemplate::tokens(std::span<const TextPart> parts, bool is_beginning) const {
  return impl_->model->tokenize(parts, is_beginning);
}

bool PromptTemplate::is_jinja() const noexcept {
  return impl_->jinja.has_value();
}

std::string text_of(std::span<const TextPart> parts) {
  std::string text;
  for (const TextPart& part : parts) text += part.text;
  return text;
}

}  // namespace kvevict
