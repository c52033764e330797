#include "http/chat_answer.h"

#include <fmt/format.h>

#include <ctime>
#include <random>

#include "http/json_body.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

std::string event(const Json& json) {
  return "data: " + json_text(json) + "\n\n";
}

const char* finish_reason(const serving::ChatResult& result) {
  return result.answer.end == AnswerEnd::kAtLength ? "length" : "stop";
}

Json usage(const MessagesAnswer& answer) {
  const std::int64_t n_prompt = answer.n_cached + answer.n_new;
  return {{"prompt_tokens", n_prompt},
          {"completion_tokens", answer.n_made},
          {"total_tokens", n_prompt + answer.n_made},
          {"prompt_tokens_details", {{"cached_tokens", answer.n_cached}}}};
}

Json extension(const serving::ConversationFigures& figures) {
  return {{"conversation", figures.id},   {"strategy", figures.strategy}, {"kept", figures.n_kept},
          {"evicted", figures.n_evicted}, {"cells", figures.n_cells},     {"bytes", figures.kv_bytes}};
}

Json framed(const AnswerFrame& frame, const char* object) {
  return {{"id", frame.id}, {"object", object}, {"created", frame.created}, {"model", frame.model}};
}

Json chunk(const AnswerFrame& frame, Json delta, const Json& reason = nullptr) {
  Json json = framed(frame, "chat.completion.chunk");
  json["choices"] = Json::array(
      {Json{{"index", 0}, {"delta", std::move(delta)}, {"logprobs", nullptr}, {"finish_reason", reason}}});
  return json;
}

}  // namespace

AnswerFrame make_frame(const std::string& model) {
  std::random_device device;
  return {.id = fmt::format("chatcmpl-{:08x}{:08x}{:08x}", device(), device(), device()),
          .created = static_cast<std::int64_t>(std::time(nullptr)),
          .model = model};
}

std::string completion(const AnswerFrame& frame, const serving::ChatResult& result) {
  Json json = framed(frame, "chat.completion");
  const Json message = {{"role", "assistant"}, {"content", result.answer.text}, {"refusal", nullptr}};
  json["choices"] = Json::array({Json{
      {"index", 0}, {"message", message}, {"logprobs", nullptr}, {"finish_reason", finish_reason(result)}}});
  json["usage"] = usage(result.answer);
  json["kvevict"] = extension(result.conversation);
  return json_text(json);
}

std::string first_event(const AnswerFrame& frame) {
  return event(chunk(frame, {{"role", "assistant"}, {"content", ""}}));
}

std::string text_event(const AnswerFrame& frame, std::string_view text) {
  return event(chunk(frame, {{"content", text}}));
}

std::string last_event(const AnswerFrame& frame, const serving::ChatResult& result) {
  Json json = chunk(frame, Json::object(), finish_reason(result));
  json["kvevict"] = extension(result.conversation);
  return event(json);
}

std::string usage_event(const AnswerFrame& frame, const serving::ChatResult& result) {
  Json json = framed(frame, "chat.completion.chunk");
  json["choices"] = Json::array();
  json["usage"] = usage(result.answer);
  return event(json);
}

std::string error_event(const ApiError& error) {
  return "data: " + error.json() + "\n\n";
}

}  // namespace kvevict::http
