// Answers outside of every conversation: to texts, and others to the prompt of one that runs.
#include <utility>

#include "kvevict/export.h"
#include "serving/conversation_pool.h"
#include "serving/text_answer.h"

namespace kvevict::serving {

/// The place in memory of a text. What had to go for it is gone when it is there.
class KVEVICT_PRIVATE ConversationPool::TextPlace {
 public:
  explicit TextPlace(ConversationPool& pool) : pool_(pool) {
    std::vector<std::unique_ptr<Conversation>> gone;
    const std::lock_guard lock(pool_.mutex_);
    if (const auto dropped = pool_.table_.take_place()) pool_.let_go(*dropped);
    gone.swap(pool_.gone_);
  }
  ~TextPlace() {
    const std::lock_guard lock(pool_.mutex_);
    pool_.table_.give_place();
  }
  TextPlace(const TextPlace&) = delete;
  TextPlace& operator=(const TextPlace&) = delete;

 private:
  ConversationPool& pool_;
};

ModelRun ConversationPool::run_of_text(const ChatRequest& request) const {
  if (request.strategy.empty()) return options_.run_for("", "");
  return options_.text_run_for(to_string(parse_strategy(request.strategy)));
}

std::unique_ptr<RunningAnswer> ConversationPool::begin_text(const ChatRequest& request, OnText on_text) {
  const ModelRun run = run_of_text(request);
  auto place = std::make_shared<TextPlace>(*this);
  return std::make_unique<TextAnswer>(options_.model, places_.open(run), std::move(place), request,
                                      std::move(on_text));
}

std::unique_ptr<RunningAnswer> ConversationPool::branch(RunningAnswer& first, const ChatRequest& request,
                                                        OnText on_text) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): `begin` makes no others
  auto& source = static_cast<SessionAnswer&>(first);
  Session* const session = source.pooled_session();
  if (session == nullptr) return nullptr;
  ChatRequest text = request;
  text.text = TextPrompt{.tokens = {source.prompt().begin(), source.prompt().end()}};
  auto place = std::make_shared<TextPlace>(*this);
  return std::make_unique<TextAnswer>(options_.model, PlacedSession{session->fork(), true}, std::move(place),
                                      text, std::move(on_text));
}

}  // namespace kvevict::serving
