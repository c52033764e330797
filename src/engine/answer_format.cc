#include "kvevict/answer_format.h"

#include <exception>
#include <random>
#include <utility>

#include "engine/answer_format_impl.h"

namespace kvevict {
namespace {

/// "call_" and 24 hexadecimal digits.
std::string random_call_id() {
  static thread_local std::random_device device;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id = "call_";
  for (int i = 0; i < 3; ++i) {
    std::uint32_t bits = device();
    for (int j = 0; j < 8; ++j, bits >>= 4U) id += kDigits[bits & 15U];
  }
  return id;
}

/// What `now` has behind `before`; nothing if it does not begin with that: what was given out stays.
std::string behind(const std::string& before, const std::string& now) {
  return now.starts_with(before) ? now.substr(before.size()) : std::string();
}

/// What was given out of `before`, and now is `now`; of the calls from the last one that was there on.
std::vector<AnswerDelta> deltas_between(const ChatMessage& before, const ChatMessage& now) {
  std::vector<AnswerDelta> deltas;
  if (const std::string added = behind(before.reasoning, now.reasoning); !added.empty())
    deltas.push_back({.reasoning = added});
  if (const std::string added = behind(before.content, now.content); !added.empty())
    deltas.push_back({.content = added});
  const std::size_t n_before = before.tool_calls.size();
  for (std::size_t i = n_before == 0 ? 0 : n_before - 1; i < now.tool_calls.size(); ++i) {
    const ToolCall& call = now.tool_calls[i];
    if (i >= n_before) {
      deltas.push_back({.call = i, .part = call});
    } else if (const std::string added = behind(before.tool_calls[i].arguments, call.arguments);
               !added.empty()) {
      deltas.push_back({.call = i, .part = {.arguments = added}});
    }
  }
  return deltas;
}

}  // namespace

const std::string& AnswerFormat::grammar() const noexcept {
  return impl_->grammar;
}
const GrammarStart& AnswerFormat::grammar_start() const noexcept {
  return impl_->start;
}
const std::vector<std::string>& AnswerFormat::stops() const noexcept {
  return impl_->stops;
}
const std::vector<Token>& AnswerFormat::shown_tokens() const noexcept {
  return impl_->shown_tokens;
}

ChatMessage AnswerFormat::read(const std::string& text) const {
  try {
    return impl_->parser->parse(text, true);
  } catch (const std::exception&) {
    return {"assistant", text};
  }
}

struct AnswerReader::Impl {
  std::shared_ptr<const AnswerFormat> format;
  std::string text{};
  ChatMessage message{"assistant", ""};

  /// Calls have the ids that they were given first.
  std::vector<AnswerDelta> take(ChatMessage now) {
    for (std::size_t i = 0; i < now.tool_calls.size(); ++i) {
      std::string& id = now.tool_calls[i].id;
      if (i < message.tool_calls.size()) {
        id = message.tool_calls[i].id;
      } else if (id.empty()) {
        id = random_call_id();
      }
    }
    std::vector<AnswerDelta> deltas = deltas_between(message, now);
    message = std::move(now);
    return deltas;
  }
};

AnswerReader::AnswerReader(std::shared_ptr<const AnswerFormat> format)
    : impl_(std::make_unique<Impl>(Impl{.format = std::move(format)})) {}
AnswerReader::~AnswerReader() = default;
AnswerReader::AnswerReader(AnswerReader&&) noexcept = default;
AnswerReader& AnswerReader::operator=(AnswerReader&&) noexcept = default;

std::vector<AnswerDelta> AnswerReader::add(std::string_view text) {
  if (text.empty()) return {};
  if (!impl_->format) {
    impl_->message.content += text;
    return {{.content = std::string(text)}};
  }
  impl_->text += text;
  try {
    return impl_->take(impl_->format->impl_->parser->parse(impl_->text, false));
  } catch (const std::exception&) {
    return {};  // the end says what it is
  }
}

std::vector<AnswerDelta> AnswerReader::finish() {
  if (!impl_->format) return {};
  return impl_->take(impl_->format->read(impl_->text));
}

const ChatMessage& AnswerReader::message() const noexcept {
  return impl_->message;
}

}  // namespace kvevict
