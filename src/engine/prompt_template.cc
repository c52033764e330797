#include "kvevict/prompt_template.h"

#include <llama.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "engine/control_tokens.h"
#include "engine/jinja_template.h"
#include "engine/known_template.h"
#include "engine/long_list.h"
#include "engine/message_guard.h"
#include "engine/plain_calls.h"
#include "engine/template_format.h"
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
  std::once_flag is_looked_at{}, is_vocabulary_read{};
  std::vector<ControlToken> control_tokens{};
  std::optional<TemplateFormats> looked_at{};

  /// What is known about answers; null without Jinja. Found out when it is first asked for.
  [[nodiscard]] const TemplateFormats* formats() {
    if (!jinja) return nullptr;
    std::call_once(is_looked_at, [&] {
      const llama_vocab* const vocab = llama_model_get_vocab(model->handle());
      looked_at.emplace(source, piece_of(vocab, llama_vocab_bos(vocab)),
                        piece_of(vocab, llama_vocab_eos(vocab)), values);
    });
    return &*looked_at;
  }

  /// All of the model, looked for when they are first asked for.
  [[nodiscard]] std::span<const ControlToken> controls() {
    std::call_once(is_vocabulary_read,
                   [&] { control_tokens = all_control_tokens(llama_model_get_vocab(model->handle())); });
    return control_tokens;
  }

  /// The messages as the template has a place for them.
  [[nodiscard]] bool needs_plain_calls(std::span<const ChatMessage> messages) {
    return have_calls(messages) && (formats() == nullptr || !formats()->has_calls());
  }
};

PromptTemplate::PromptTemplate(const Model& model, TemplateOptions options) {
  const bool is_own = options.source.empty();
  impl_ = std::make_unique<Impl>();
  impl_->model = &model;
  impl_->source = source_of(model, options);
  impl_->values = std::move(options.values);
  if (reads_jinja() && !is_name(impl_->source)) impl_->jinja = read_jinja(model, impl_->source, is_own);
  if (!impl_->jinja) require_known_template(impl_->source, model.info().name);
}

PromptTemplate::~PromptTemplate() = default;
PromptTemplate::PromptTemplate(PromptTemplate&&) noexcept = default;
PromptTemplate& PromptTemplate::operator=(PromptTemplate&&) noexcept = default;

std::vector<TextPart> PromptTemplate::render(std::span<const ChatMessage> messages,
                                             bool begins_answer) const {
  std::vector<ChatMessage> plain;
  if (impl_->needs_plain_calls(messages)) {
    plain = with_plain_calls(messages);
    messages = plain;
  }
  if (!impl_->jinja) return render_known_template(impl_->source, messages, begins_answer);
  const GuardedMessages safe = guarded(impl_->controls(), messages);
  return safe.reveal(impl_->jinja->render(safe.messages, impl_->values, begins_answer));
}

std::shared_ptr<const AnswerFormat> PromptTemplate::answer_format(std::span<const ChatMessage> messages,
                                                                  const AnswerFormatOptions& options) const {
  const std::string tools = tools_in(messages);
  const TemplateFormats* const formats = impl_->formats();
  const bool has_thoughts = options.separates_reasoning && formats != nullptr && formats->has_thoughts();
  if (tools.empty() && !has_thoughts) return nullptr;
  std::vector<std::string> shown;
  AnswerFormat::Impl format = formats == nullptr ? plain_call_format(tools, options)
                                                 : formats->format(shortened(messages), options, shown);
  for (const std::string& text : shown) {
    const std::vector<Token> tokens = impl_->model->tokenize(text, false, true);
    if (tokens.size() == 1) format.shown_tokens.push_back(tokens.front());
  }
  return std::make_shared<AnswerFormat>(std::make_shared<const AnswerFormat::Impl>(std::move(format)));
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
