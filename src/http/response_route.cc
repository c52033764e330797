// POST /v1/responses: a thin form over the answers of chats.
#include <memory>
#include <utility>

#include "http/chat_exchange.h"
#include "http/listener.h"
#include "http/outcome.h"
#include "http/response_call.h"
#include "http/response_items.h"
#include "http/service.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

/// A response under way: what its client gets, and what is kept for those that go on with it.
class Responding {
 public:
  Responding(Service& service, ResponseCall call, std::string owner)
      : service_(service),
        owner_(std::move(owner)),
        echoed_(std::move(call.echoed)),
        is_stored_(call.is_stored) {
    std::vector<ChatMessage> history;
    if (!call.previous.empty()) history = said_before(call.previous);
    said_ = history;
    for (const ChatMessage& one : call.chat.request.messages) said_.push_back(one);
    for (ChatMessage& one : said_) one.tools.clear();
    go_on_from(call, history);
    exchange_ = std::make_unique<ChatExchange>(service, with_format(service, std::move(call.chat)), owner_);
  }

  [[nodiscard]] ChatExchange& exchange() { return *exchange_; }

  /// The events before the answer.
  [[nodiscard]] std::string begin() {
    const Json response = {{"response", response_json("in_progress")}};
    std::string events = items_.event("response.created", response);
    return events += items_.event("response.in_progress", response);
  }

  /// What `piece` adds, and at the end of the answer what ends the response.
  [[nodiscard]] std::string events_of(const AnswerPipe::Piece& piece) {
    std::string events;
    for (const AnswerDelta& delta : exchange_->take(piece)) events += items_.add(delta);
    if (!piece.outcome) return events;
    if (const auto failure = failure_of(*piece.outcome)) return events + error_event_of(*failure);
    events += items_.finish(is_whole());
    keep();
    return events + items_.event(is_whole() ? "response.completed" : "response.incomplete",
                                 {{"response", response_json(status())}});
  }

  /// The whole response. REQUIRES: the answer has ended.
  [[nodiscard]] Json whole() {
    const ChatMessage& message = exchange_->choices().front().message;
    (void)items_.add({.content = {}, .reasoning = message.reasoning});
    (void)items_.add({.content = message.content});
    for (std::size_t i = 0; i < message.tool_calls.size(); ++i)
      (void)items_.add({.call = i, .part = message.tool_calls[i]});
    (void)items_.finish(is_whole());
    keep();
    return response_json(status());
  }

 private:
  [[nodiscard]] std::vector<ChatMessage> said_before(const std::string& id) const {
    if (auto said = service_.responses.find(owner_, id)) return *std::move(said);
    throw Error(
        ErrorCode::kBadData,
        "the response \"" + id + "\" is not known here, or no longer: send what was said as \"input\"",
        "previous_response_id");
  }

  [[nodiscard]] const serving::ChatResult& result() const { return exchange_->choices().front().result; }
  [[nodiscard]] bool is_whole() const { return result().answer.end != AnswerEnd::kAtLength; }
  [[nodiscard]] const char* status() const { return is_whole() ? "completed" : "incomplete"; }

  void keep() {
    if (!is_stored_) return;
    said_.push_back(exchange_->choices().front().message);
    service_.responses.put(owner_, id_, std::move(said_));
  }

  [[nodiscard]] std::string error_event_of(const ApiError& error) {
    Json fields = Json::parse(error.json());
    fields.update({{"code", error.code}, {"message", error.message}, {"param", error.param}});
    return items_.event("error", fields);
  }

  [[nodiscard]] Json usage() const {
    const MessagesAnswer& answer = result().answer;
    const std::int64_t n_prompt = answer.n_cached + answer.n_new;
    return {{"input_tokens", n_prompt},
            {"input_tokens_details", {{"cached_tokens", answer.n_cached}}},
            {"output_tokens", answer.n_made},
            {"output_tokens_details", {{"reasoning_tokens", 0}}},
            {"total_tokens", n_prompt + answer.n_made}};
  }

  [[nodiscard]] Json response_json(const std::string& status) const {
    const AnswerFrame& frame = exchange_->frame();
    Json json = {{"id", id_},
                 {"object", "response"},
                 {"created_at", frame.created},
                 {"status", status},
                 {"background", false},
                 {"error", nullptr},
                 {"incomplete_details", nullptr},
                 {"model", frame.model}};
    if (status == "incomplete") json["incomplete_details"] = {{"reason", "max_output_tokens"}};
    json["output"] = items_.output();
    json.update(echoed_);
    const bool is_over = status != "in_progress";
    json["usage"] = is_over ? usage() : Json();
    if (is_over) json["kvevict"] = extension_json(result().conversation);
    return json;
  }

  Service& service_;
  std::string owner_;
  std::string id_ = make_id("resp");
  Json echoed_;
  bool is_stored_;
  std::vector<ChatMessage> said_{};
  std::unique_ptr<ChatExchange> exchange_{};
  ResponseItems items_{};
};

void send_response_events(const std::shared_ptr<Responding>& responding, AnswerPipe::Piece first,
                          httplib::Response& response) {
  response.set_header("Cache-Control", "no-cache");
  const auto next = std::make_shared<std::optional<AnswerPipe::Piece>>(std::move(first));
  response.set_chunked_content_provider(
      "text/event-stream", [responding, next](std::size_t offset, httplib::DataSink& sink) {
        std::optional<AnswerPipe::Piece> piece = std::exchange(*next, std::nullopt);
        if (!piece) piece = responding->exchange().next();
        if (!piece) return false;
        std::string events = offset == 0 ? responding->begin() : "";
        events += responding->events_of(*piece);
        if (!events.empty() && !sink.write(events.data(), events.size())) return false;
        if (!responding->exchange().is_under_way()) sink.done();
        return true;
      });
}

}  // namespace

void respond(Service& service, const httplib::Request& request, const std::string& body,
             httplib::Response& response) {
  const auto responding = std::make_shared<Responding>(
      service, parse_response_call(body, service.served.answer), owner_of(service, request));
  ChatExchange& exchange = responding->exchange();
  if (const serving::Submission submission = exchange.submit(); !submission.ticket)
    return refuse(submission, response);
  while (exchange.is_under_way()) {
    std::optional<AnswerPipe::Piece> piece = exchange.next();
    if (!piece) return leave(response);
    const auto failure = piece->outcome ? failure_of(*piece->outcome) : std::nullopt;
    if (!failure && exchange.call().is_streamed)
      return send_response_events(responding, std::move(*piece), response);
    (void)exchange.take(*piece);
    if (failure) return set_error(response, *failure);
  }
  set_json(response, responding->whole());
}

}  // namespace kvevict::http
