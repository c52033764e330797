#pragma once

#include <httplib.h>

#include <string>

#include "http/api_error.h"
#include "http/api_keys.h"
#include "http/http_server.h"
#include "http/json_body.h"
#include "http/metrics.h"
#include "http/response_history.h"
#include "serving/scheduler.h"

namespace kvevict::http {

/// What the routes work on.
struct Service {
  HttpOptions options;
  Served served;
  ApiKeys keys;
  std::int64_t created = 0;  ///< When the server began, in seconds since 1970.
  std::string fingerprint{};
  Metrics metrics{};
  serving::Scheduler scheduler;  // counts in `metrics` until it ends
  ResponseHistory responses{};

  [[nodiscard]] serving::ConversationPool& pool() const { return *served.pool; }
  [[nodiscard]] std::string model_name() const { return served.model->info().name; }
};

/// Whose request it is. REQUIRES: its key was accepted.
[[nodiscard]] std::string owner_of(const Service& service, const httplib::Request& request);

void set_error(httplib::Response& response, const ApiError& error);
void set_json(httplib::Response& response, const JsonReader::Json& json);
inline constexpr const char* kJson = "application/json";

/// POST /v1/chat/completions.
void answer_chat(Service& service, const httplib::Request& request, const std::string& body,
                 httplib::Response& response);

/// POST /v1/responses.
void respond(Service& service, const httplib::Request& request, const std::string& body,
             httplib::Response& response);

/// POST /v1/completions.
void complete_text(Service& service, const httplib::Request& request, const std::string& body,
                   httplib::Response& response);

/// Each adds its paths. What a handler throws becomes an error's body.
void add_model_routes(httplib::Server& server, Service& service);
void add_text_routes(httplib::Server& server, Service& service);
void add_conversation_routes(httplib::Server& server, Service& service);

/// A path that takes a body.
void add_post(httplib::Server& server, Service& service, const std::string& path,
              void (*handler)(Service&, const httplib::Request&, const std::string& body,
                              httplib::Response&));

}  // namespace kvevict::http
