#include "http/response_items.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "http/json_body.h"

namespace kvevict::http {

std::string make_id(const char* prefix) {
  std::random_device device;
  return fmt::format("{}_{:08x}{:08x}{:08x}", prefix, device(), device(), device());
}

std::string ResponseItems::event(const char* type, const Json& fields) {
  Json json = {{"type", type}, {"sequence_number", n_events_++}};
  json.update(fields);
  return fmt::format("event: {}\ndata: {}\n\n", type, json_text(json));
}

/// Where an event of the last item belongs.
ResponseItems::Json ResponseItems::place() const {
  const Item& item = items_.back();
  Json json = {{"item_id", item.id}, {"output_index", items_.size() - 1}};
  if (item.kind != Kind::kCall) json["content_index"] = 0;
  return json;
}

ResponseItems::Json ResponseItems::part_json(const Item& item) {
  if (item.kind == Kind::kReasoning) return {{"type", "reasoning_text"}, {"text", item.text}};
  return {{"type", "output_text"},
          {"text", item.text},
          {"annotations", Json::array()},
          {"logprobs", Json::array()}};
}

ResponseItems::Json ResponseItems::item_json(const Item& item) {
  Json json = {{"id", item.id}, {"status", item.status}};
  if (item.kind == Kind::kCall) {
    json.update({{"type", "function_call"},
                 {"call_id", item.call.id},
                 {"name", item.call.name},
                 {"arguments", item.text}});
    return json;
  }
  const bool is_begun = item.text.empty() && std::string_view(item.status) == "in_progress";
  const Json content = is_begun ? Json::array() : Json::array({part_json(item)});
  if (item.kind == Kind::kReasoning) {
    json.update({{"type", "reasoning"}, {"summary", Json::array()}, {"content", content}});
  } else {
    json.update({{"type", "message"}, {"role", "assistant"}, {"content", content}});
  }
  return json;
}

ResponseItems::Json ResponseItems::output() const {
  Json all = Json::array();
  for (const Item& item : items_) all.push_back(item_json(item));
  return all;
}

std::string ResponseItems::open(Item item) {
  std::string events = close("completed");
  items_.push_back(std::move(item));
  is_open_ = true;
  events += event("response.output_item.added",
                  {{"output_index", items_.size() - 1}, {"item", item_json(items_.back())}});
  if (items_.back().kind == Kind::kCall) return events;
  Json fields = place();
  fields["part"] = part_json(items_.back());
  return events + event("response.content_part.added", fields);
}

std::string ResponseItems::close(const char* status) {
  if (!std::exchange(is_open_, false)) return {};
  Item& item = items_.back();
  item.status = status;
  Json fields = place();
  std::string events;
  if (item.kind == Kind::kCall) {
    fields.update({{"name", item.call.name}, {"arguments", item.text}});
    events = event("response.function_call_arguments.done", fields);
  } else {
    fields["text"] = item.text;
    const bool is_message = item.kind == Kind::kMessage;
    if (is_message) fields["logprobs"] = Json::array();
    events = event(is_message ? "response.output_text.done" : "response.reasoning_text.done", fields);
    Json part = place();
    part["part"] = part_json(item);
    events += event("response.content_part.done", part);
  }
  return events +
         event("response.output_item.done", {{"output_index", items_.size() - 1}, {"item", item_json(item)}});
}

std::string ResponseItems::add_text(Kind kind, const std::string& text) {
  std::string events;
  const bool is_message = kind == Kind::kMessage;
  if (!is_open_ || items_.back().kind != kind)
    events = open({.kind = kind, .id = make_id(is_message ? "msg" : "rs")});
  items_.back().text += text;
  Json fields = place();
  fields["delta"] = text;
  if (is_message) fields["logprobs"] = Json::array();
  return events + event(is_message ? "response.output_text.delta" : "response.reasoning_text.delta", fields);
}

std::string ResponseItems::add(const AnswerDelta& delta) {
  std::string events;
  if (!delta.reasoning.empty()) events += add_text(Kind::kReasoning, delta.reasoning);
  if (!delta.content.empty()) events += add_text(Kind::kMessage, delta.content);
  if (!delta.call) return events;
  const bool is_the_same =
      is_open_ && items_.back().kind == Kind::kCall && items_.back().index_of_call == *delta.call;
  if (!is_the_same)
    events +=
        open({.kind = Kind::kCall, .id = make_id("fc"), .call = delta.part, .index_of_call = *delta.call});
  if (delta.part.arguments.empty()) return events;
  items_.back().text += delta.part.arguments;
  Json fields = place();
  fields["delta"] = delta.part.arguments;
  return events + event("response.function_call_arguments.delta", fields);
}

std::string ResponseItems::finish(bool is_whole) {
  std::string events;
  if (items_.empty()) events = open({.kind = Kind::kMessage, .id = make_id("msg")});
  return events + close(is_whole ? "completed" : "incomplete");
}

}  // namespace kvevict::http
