#include "http/chat_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <random>
#include <utility>

#include "http/json_body.h"
#include "http/logprobs.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

std::string event(const Json& json) {
  return "data: " + json_text(json) + "\n\n";
}

const char* finish_reason(const AnsweredChoice& choice) {
  if (choice.result.answer.end == AnswerEnd::kAtLength) return "length";
  return choice.message.tool_calls.empty() ? "stop" : "tool_calls";
}

/// The list counts once, by what its first answer found; answers add up.
Json usage(std::span<const AnsweredChoice> choices) {
  const MessagesAnswer& first = choices.front().result.answer;
  const std::int64_t n_prompt = first.n_cached + first.n_new;
  std::int64_t n_made = 0;
  for (const AnsweredChoice& choice : choices) n_made += choice.result.answer.n_made;
  return {{"prompt_tokens", n_prompt},
          {"completion_tokens", n_made},
          {"total_tokens", n_prompt + n_made},
          {"prompt_tokens_details", {{"cached_tokens", first.n_cached}}}};
}

/// As the last answer that was made in the conversation left it.
const serving::ConversationFigures& conversation_of(std::span<const AnsweredChoice> choices) {
  const auto is_in_it = [](const AnsweredChoice& one) { return !one.result.conversation.id.empty(); };
  const auto found = std::ranges::find_if(choices.rbegin(), choices.rend(), is_in_it);
  return (found == choices.rend() ? choices.back() : *found).result.conversation;
}

Json logprobs(const AnswerFrame& frame, std::span<const DrawnToken> drawn) {
  return frame.has_logprobs ? logprobs_json(drawn) : Json();
}

Json call_json(const ToolCall& call) {
  return {{"id", call.id},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

Json message_json_of(const ChatMessage& message) {
  const bool has_calls = !message.tool_calls.empty();
  Json json = {{"role", "assistant"},
               {"content", has_calls && message.content.empty() ? Json() : Json(message.content)},
               {"refusal", nullptr}};
  if (!message.reasoning.empty()) json["reasoning_content"] = message.reasoning;
  for (const ToolCall& call : message.tool_calls) json["tool_calls"].push_back(call_json(call));
  return json;
}

/// A call's id, type and name come with its first part.
Json delta_json(const AnswerDelta& delta) {
  Json json = Json::object();
  if (!delta.reasoning.empty()) json["reasoning_content"] = delta.reasoning;
  if (!delta.content.empty()) json["content"] = delta.content;
  if (!delta.call) return json;
  Json call = {{"index", *delta.call}};
  if (delta.part.name.empty()) {
    call["function"] = {{"arguments", delta.part.arguments}};
  } else {
    call.update(call_json(delta.part));
  }
  json["tool_calls"] = Json::array({std::move(call)});
  return json;
}

Json framed(const AnswerFrame& frame, const char* object) {
  return {{"id", frame.id},
          {"object", object},
          {"created", frame.created},
          {"model", frame.model},
          {"system_fingerprint", frame.fingerprint}};
}

Json chunk(const AnswerFrame& frame, std::size_t index, Json delta, Json logprobs = nullptr,
           Json reason = nullptr) {
  Json json = framed(frame, "chat.completion.chunk");
  json["choices"] = Json::array({Json{{"index", index},
                                      {"delta", std::move(delta)},
                                      {"logprobs", std::move(logprobs)},
                                      {"finish_reason", std::move(reason)}}});
  return json;
}

}  // namespace

/// An answer beside another one to the same list is in no conversation.
Json extension_json(const serving::ConversationFigures& figures) {
  Json json = Json::object();
  if (!figures.id.empty()) json["conversation"] = figures.id;
  json.update({{"strategy", figures.strategy},
               {"kept", figures.n_kept},
               {"evicted", figures.n_evicted},
               {"cells", figures.n_cells},
               {"bytes", figures.kv_bytes}});
  return json;
}

AnswerFrame make_frame(const std::string& model, const std::string& fingerprint) {
  std::random_device device;
  return {.id = fmt::format("chatcmpl-{:08x}{:08x}{:08x}", device(), device(), device()),
          .created = static_cast<std::int64_t>(std::time(nullptr)),
          .model = model,
          .fingerprint = fingerprint};
}

std::string completion(const AnswerFrame& frame, std::span<const AnsweredChoice> choices) {
  Json json = framed(frame, "chat.completion");
  json["choices"] = Json::array();
  for (std::size_t i = 0; i < choices.size(); ++i) {
    json["choices"].push_back({{"index", i},
                               {"message", message_json_of(choices[i].message)},
                               {"logprobs", logprobs(frame, choices[i].drawn)},
                               {"finish_reason", finish_reason(choices[i])}});
  }
  json["usage"] = usage(choices);
  json["kvevict"] = extension_json(conversation_of(choices));
  return json_text(json);
}

std::string first_event(const AnswerFrame& frame, std::size_t index) {
  return event(chunk(frame, index, {{"role", "assistant"}, {"content", ""}}));
}

std::string delta_event(const AnswerFrame& frame, std::size_t index, const AnswerDelta& delta,
                        std::span<const DrawnToken> drawn) {
  return event(chunk(frame, index, delta_json(delta), logprobs(frame, drawn)));
}

std::string last_event(const AnswerFrame& frame, std::size_t index, const AnsweredChoice& choice,
                       std::span<const DrawnToken> drawn) {
  Json json = chunk(frame, index, Json::object(), drawn.empty() ? Json() : logprobs(frame, drawn),
                    finish_reason(choice));
  json["kvevict"] = extension_json(choice.result.conversation);
  return event(json);
}

std::string usage_event(const AnswerFrame& frame, std::span<const AnsweredChoice> choices) {
  Json json = framed(frame, "chat.completion.chunk");
  json["choices"] = Json::array();
  json["usage"] = usage(choices);
  return event(json);
}

std::string error_event(const ApiError& error) {
  return "data: " + error.json() + "\n\n";
}

}  // namespace kvevict::http
