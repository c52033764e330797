// POST /tokenize, /detokenize, /apply-template.
#include "http/chat_messages.h"
#include "http/chat_tools.h"
#include "http/json_body.h"
#include "http/service.h"
#include "http/unused_fields.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

void tokenize(Service& service, const httplib::Request&, const std::string& text,
              httplib::Response& response) {
  const Json json = parse_body(text);
  const JsonReader body(json, "");
  refuse_fields_beside({"content", "add_special", "parse_special", "with_pieces", "model"}, body, is_null);
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
  const JsonReader body(json, "");
  refuse_fields_beside({"tokens", "model"}, body, is_null);
  const Model& model = *service.served.model;
  std::vector<Token> tokens;
  body.member("tokens").for_each_item([&](const JsonReader& item) {
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
    refuse_fields_beside({"messages", "tools", "add_generation_prompt"}, body, is_null);
  } else {
    refuse_fields_beside({"messages", "tools"}, body, is_null);
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
