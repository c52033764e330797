#include "runtime/chat_template.h"

#include <algorithm>

#include "kvevict/error.h"

namespace kvevict {
namespace {

// Texts of turns whose places in the template are looked for.
constexpr const char* kMessage = "message";
constexpr const char* kAnswer = "answer";

}  // namespace

ChatTemplate::ChatTemplate(const Model& model, std::string system)
    : model_(&model), system_(std::move(system)) {
  const std::vector<TextPart> one = first_parts(kMessage);
  const std::vector<TextPart> two = model.chat_parts(two_turns(kMessage));
  const bool goes_on = two.size() > one.size() && std::equal(one.begin(), one.end(), two.begin()) &&
                       two[one.size()] == TextPart{kAnswer, false};
  if (!goes_on) {
    throw Error(ErrorCode::kUnsupported,
                "the chat template of " + model.info().name + " cannot be applied turn by turn",
                "chat_template");
  }
  n_parts_before_next_ = one.size() + 1;
  const auto message = std::find(one.rbegin(), one.rend(), TextPart{kMessage, false});
  const auto n_before = static_cast<std::size_t>(one.rend() - message) - 1;
  n_system_tokens_ = static_cast<std::int64_t>(model.tokenize(std::span(one).first(n_before), true).size());
}

std::vector<ChatMessage> ChatTemplate::one_turn(std::string_view message) const {
  std::vector<ChatMessage> messages;
  if (!system_.empty()) messages.push_back({"system", system_});
  messages.push_back({"user", std::string(message)});
  return messages;
}

std::vector<ChatMessage> ChatTemplate::two_turns(std::string_view message) const {
  std::vector<ChatMessage> messages = one_turn(kMessage);
  messages.push_back({"assistant", kAnswer});
  messages.push_back({"user", std::string(message)});
  return messages;
}

std::vector<TextPart> ChatTemplate::first_parts(std::string_view message) const {
  return model_->chat_parts(one_turn(message));
}

std::vector<Token> ChatTemplate::first_turn(std::string_view message) const {
  return model_->tokenize(first_parts(message), true);
}

std::vector<Token> ChatTemplate::next_turn(std::string_view message) const {
  const std::vector<TextPart> parts = model_->chat_parts(two_turns(message));
  return model_->tokenize(std::span(parts).subspan(n_parts_before_next_), false);
}

}  // namespace kvevict
