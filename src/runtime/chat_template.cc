#include "runtime/chat_template.h"

#include "kvevict/error.h"

namespace kvevict {
namespace {

// Texts that stand for messages while the template is taken apart; no template has them.
constexpr std::string_view kMessage = "kvevict-message-1";
constexpr std::string_view kAnswer = "kvevict-answer-1";
constexpr std::string_view kNextMessage = "kvevict-message-2";

[[noreturn]] void refuse(const Model& model) {
  throw Error(ErrorCode::kUnsupported,
              "the chat template of " + model.info().name + " cannot be applied turn by turn");
}

}  // namespace

ChatTemplate::ChatTemplate(const Model& model, std::string system) : model_(&model) {
  std::vector<ChatMessage> messages;
  if (!system.empty()) messages.push_back({"system", std::move(system)});
  messages.push_back({"user", std::string(kMessage)});
  const std::string one = model.apply_chat_template(messages);
  messages.push_back({"assistant", std::string(kAnswer)});
  messages.push_back({"user", std::string(kNextMessage)});
  const std::string two = model.apply_chat_template(messages);

  const std::size_t message = one.rfind(kMessage);
  const std::size_t answer = two.rfind(kAnswer);
  const std::size_t next = two.rfind(kNextMessage);
  const bool is_incremental = message != std::string::npos && answer != std::string::npos &&
                              next != std::string::npos && two.starts_with(one) && answer == one.size();
  if (!is_incremental) refuse(model);
  first_ = {one.substr(0, message), one.substr(message + kMessage.size())};
  const std::size_t answer_end = answer + kAnswer.size();
  next_ = {two.substr(answer_end, next - answer_end), two.substr(next + kNextMessage.size())};
  n_system_tokens_ = static_cast<std::int64_t>(model.tokenize(first_.before, true, true).size());
}

std::vector<Token> ChatTemplate::tokens(const Frame& frame, std::string_view message, bool is_first) const {
  std::vector<Token> tokens = model_->tokenize(frame.before, is_first, true);
  for (const Token token : model_->tokenize(message, false, false)) tokens.push_back(token);
  for (const Token token : model_->tokenize(frame.after, false, true)) tokens.push_back(token);
  return tokens;
}

std::vector<Token> ChatTemplate::first_turn(std::string_view message) const {
  return tokens(first_, message, true);
}
std::vector<Token> ChatTemplate::next_turn(std::string_view message) const {
  return tokens(next_, message, false);
}

}  // namespace kvevict
