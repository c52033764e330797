// GET /conversations, GET and DELETE /conversations/{id}: an owner's own.
#include "http/service.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;
using serving::ConversationPool;

Json figures_json(const serving::ConversationFigures& figures) {
  return {{"id", figures.id},          {"strategy", figures.strategy}, {"turns", figures.n_turns},
          {"kept", figures.n_kept},    {"evicted", figures.n_evicted}, {"cells", figures.n_cells},
          {"bytes", figures.kv_bytes}, {"live", figures.is_live}};
}

void set_unknown(httplib::Response& response, const std::string& id) {
  set_error(response, {.status = 404,
                       .message = "there is no conversation \"" + id + "\"",
                       .code = "conversation_not_found"});
}

void set_busy(httplib::Response& response, const std::string& id) {
  set_error(response, {.status = 409,
                       .message = "the conversation \"" + id +
                                  "\" is being answered: ask again when its answer has ended",
                       .code = "conversation_busy",
                       .seconds_to_wait = 1});
}

void list(const Service& service, const httplib::Request& request, httplib::Response& response) {
  Json data = Json::array();
  for (const auto& figures : service.pool().list(owner_of(service, request)))
    data.push_back(figures_json(figures));
  set_json(response, {{"object", "list"}, {"data", data}});
}

void show(const Service& service, const httplib::Request& request, httplib::Response& response) {
  const std::string id = request.matches[1];
  const auto view = service.pool().view(owner_of(service, request), id);
  if (!view) return set_unknown(response, id);
  Json json = figures_json(view->figures);
  json["busy"] = view->is_busy;
  if (view->is_busy || !view->figures.is_live) return set_json(response, json);
  Json ranges = Json::array();
  for (const TokenRange& range : view->kept) ranges.push_back({range.begin, range.end});
  json["kept_ranges"] = ranges;
  json["text"] = view->text;
  set_json(response, json);
}

void forget(const Service& service, const httplib::Request& request, httplib::Response& response) {
  const std::string id = request.matches[1];
  switch (service.pool().forget(owner_of(service, request), id)) {
    case ConversationPool::Forgotten::kUnknown:
      return set_unknown(response, id);
    case ConversationPool::Forgotten::kBusy:
      return set_busy(response, id);
    case ConversationPool::Forgotten::kYes:
      set_json(response, {{"id", id}, {"object", "conversation.deleted"}, {"deleted", true}});
  }
}

}  // namespace

void add_conversation_routes(httplib::Server& server, Service& service) {
  constexpr const char* kOne = R"(/conversations/([^/]+))";
  server.Get("/conversations",
             [&service](const auto& request, auto& response) { list(service, request, response); });
  server.Get(kOne, [&service](const auto& request, auto& response) { show(service, request, response); });
  server.Delete(kOne,
                [&service](const auto& request, auto& response) { forget(service, request, response); });
}

}  // namespace kvevict::http
