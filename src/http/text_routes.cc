// POST /tokenize, /detokenize, /apply-template.
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "http/chat_messages.h"
#include "http/chat_tools.h"
#include "http/json_body.h"
#include "http/service.h"
#include "kvevict/error.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

/// A field that asks for something and is not one of `known`.
void refuse_others(const Json& json, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : json.items()) {
    if (!value.is_null() && std::ranges::find(known, name) == known.end())
      throw Error(
          ErrorCode::kBadData,
          fmt::format("the field \"{}\" is not supported: there are {}", name, fmt::join(known, ", ")), name);
  }
}

void tokenize(Service& service, const httplib::Request&, const std::string& text,
              httplib::Response& response) {
  const Json json = parse_body(text);
  const JsonReader body(json, "");
  refuse_others(json, {"content", "add_special", "parse_special", "with_pieces", "model"});
  const Model& model = *service.served.model;
  const std::vector<Token> tokens =
      model.tokenize(body.member("content").text(), flag(body, "add_special"), flag(body, "parse_special"));
  if (!flag(body, "with_pieces")) {
    set_json(response, {{"tokens", tokens}});
    return;
  }
  Json pieces = Json::array();
  for (const Token token : tokens)
    pieces.push_back({{"id", token}, {"piece", model.detokenize(std::span(&token, 1), true)}});
  set_json(response, {{"tokens", pieces}});
}

void detokenize(Service& service, const httplib::Request&, const std::string& text,
                httplib::Response& response) {
  const Json json = parse_body(text);
  refuse_others(json, {"tokens", "model"});
  const Model& model = *service.served.model;
  std::vector<Token> tokens;
  JsonReader(json, "").member("tokens").for_each_item([&](const JsonReader& item) {
    const std::int64_t token = item.integer();
    if (token < 0 || token >= model.info().n_vocab)
      item.refuse(std::to_string(token) + " is no token: the vocabulary has those from 0 to " +
                  std::to_string(model.info().n_vocab - 1));
    tokens.push_back(static_cast<Token>(token));
  });
  set_json(response, {{"content", model.detokenize(tokens, true)}});
}

void apply_template(Service& service, const httplib::Request&, const std::string& text,
                    httplib::Response& response) {
  const Json json = parse_body(text);
  const JsonReader body(json, "");
  if (flag(body, "add_generation_prompt", true)) {
    refuse_others(json, {"messages", "tools", "add_generation_prompt"});
  } else {
    refuse_others(json, {"messages", "tools"});
  }
  std::vector<ChatMessage> messages = parse_messages(body.member("messages"));
  if (has_tools(body)) messages.front().tools = parse_tools(body.member("tools"));
  set_json(response, {{"prompt", service.pool().prompt(messages)}});
}

}  // namespace

void add_text_routes(httplib::Server& server, Service& service) {
  add_post(server, service, "/tokenize", tokenize);
  add_post(server, service, "/detokenize", detokenize);
  add_post(server, service, "/apply-template", apply_template);
}

}  // namespace kvevict::http
