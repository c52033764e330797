#include "http/http_server.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <future>
#include <regex>
#include <thread>
#include <utility>

#include "http/listener.h"
#include "http/service.h"
#include "kvevict/engine_info.h"
#include "kvevict/version.h"

namespace kvevict::http {
namespace {

constexpr std::size_t kOtherThreads = 1024;    // beside those that wait for answers
constexpr std::chrono::seconds kLastBytes{2};  // for clients to take the end of their answers
constexpr const char* kMethods = "GET, POST, DELETE, OPTIONS";
constexpr const char* kPreflightSeconds = "600";  // that a browser need not ask again

struct Path {
  const char* pattern;
  const char* methods;
};
constexpr Path kPaths[] = {
    {"(/v1)?/chat/completions|(/v1)?/completions|(/v1)?/responses|/tokenize|/detokenize|/apply-template",
     "POST"},
    {"/|/health|(/v1)?/models|/props|/metrics|/conversations", "GET, HEAD"},
    {"/conversations/[^/]+", "GET, HEAD, DELETE"}};

/// A path that is there, asked for in another way.
void set_not_found(const httplib::Request& request, httplib::Response& response) {
  for (const Path& path : kPaths) {
    if (!std::regex_match(request.path, std::regex(path.pattern))) continue;
    response.set_header("Allow", path.methods);
    return set_error(
        response, {.status = 405,
                   .message = fmt::format("{} takes {}, not {}", request.path, path.methods, request.method),
                   .code = "method_not_allowed"});
  }
  set_error(response, api_error_of_status(404));
}

void set_exception(httplib::Response& response, const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    set_error(response, api_error_of(error));
  } catch (const std::bad_alloc&) {
    set_error(response, {.status = 500, .message = "there is not enough memory", .type = "server_error"});
  } catch (...) {
    set_error(response, api_error_of_status(500));
  }
}

/// The rest of a body that nobody reads would be taken for the next request.
void close_behind(const httplib::Request& request) {
  const bool has_body =
      request.has_header("Transfer-Encoding") ||
      (request.has_header("Content-Length") && request.get_header_value("Content-Length") != "0");
  if (has_body && Connection::current() != nullptr) Connection::current()->close_after_answer();
}

/// With several keys, none may fill the queue alone.
serving::SchedulerLimits limits_of(const HttpOptions& options, const Served& served) {
  return {.n_running = served.pool->n_live(),
          .n_waiting = options.n_waiting,
          .n_waiting_each = options.keys.size() > 1 ? (options.n_waiting + 1) / 2 : 0,
          .n_chunk_tokens = served.pool->n_chunk()};
}

std::shared_ptr<const Tls> tls_of(const HttpOptions& options) {
  return options.tls_certificate.empty() ? nullptr
                                         : std::make_shared<Tls>(options.tls_certificate, options.tls_key);
}

using Handled = httplib::Server::HandlerResponse;

/// For pages of the origin that may ask. A page names the headers that it will send beforehand, and OpenAI's
/// package for browsers sends many of its own: none of them does anything here, so all are allowed.
void allow_origin(const std::string& origin, const httplib::Request& request, httplib::Response& response) {
  response.set_header("Access-Control-Allow-Origin", origin);
  response.set_header("Access-Control-Expose-Headers", "Retry-After");
  response.set_header("Vary", "Origin");
  if (request.method != "OPTIONS") return;
  const std::string asked = request.get_header_value("Access-Control-Request-Headers");
  response.set_header("Access-Control-Allow-Methods", kMethods);
  response.set_header("Access-Control-Allow-Headers", asked.empty() ? "Authorization, Content-Type" : asked);
  response.set_header("Access-Control-Max-Age", kPreflightSeconds);
}

Handled look_before(const Service& service, const httplib::Request& request, httplib::Response& response) {
  if (!service.options.cors.empty()) {
    allow_origin(service.options.cors, request, response);
    if (request.method == "OPTIONS") {
      response.status = 204;
      return Handled::Handled;
    }
  }
  const std::string key = request.get_header_value("Authorization");
  const bool is_public = request.path == "/health" || request.path == "/";  // the page itself knows nothing
  if (is_public || service.keys.owner_of(key)) return Handled::Unhandled;
  response.set_header("WWW-Authenticate", "Bearer");
  set_error(response,
            {.status = 401,
             .message = key.empty() ? "an API key is needed: send the header \"Authorization: Bearer KEY\""
                                    : "this API key is not known here",
             .type = "authentication_error",
             .code = "invalid_api_key"});
  close_behind(request);
  return Handled::Handled;
}

}  // namespace

std::string owner_of(const Service& service, const httplib::Request& request) {
  return service.keys.owner_of(request.get_header_value("Authorization")).value_or("");
}

void set_error(httplib::Response& response, const ApiError& error) {
  response.status = error.status;
  if (error.seconds_to_wait > 0) response.set_header("Retry-After", std::to_string(error.seconds_to_wait));
  response.set_content(error.json(), kJson);
}

void set_json(httplib::Response& response, const JsonReader::Json& json) {
  response.set_content(json_text(json), kJson);
}

void add_post(httplib::Server& server, Service& service, const std::string& path,
              void (*handler)(Service&, const httplib::Request&, const std::string& body,
                              httplib::Response&)) {
  server.Post(path, [&service, handler](const httplib::Request& request, httplib::Response& response,
                                        const httplib::ContentReader& content) {
    std::string body;
    const std::size_t most = service.options.most_body_bytes;
    bool is_too_large = false;
    const bool is_read = content([&](const char* data, std::size_t n_bytes) {
      is_too_large = is_too_large || body.size() + n_bytes > most;  // unpacked, if it came packed
      if (!is_too_large) body.append(data, n_bytes);
      return !is_too_large;
    });
    if (is_too_large || !is_read) {
      close_behind(request);
      const int status = is_too_large || response.status == 413 ? 413 : 400;
      ApiError error = api_error_of_status(status);
      if (status == 413) error.message = fmt::format("the body is larger than {} bytes", most);
      if (status == 400) error.message = "the body did not come in full";
      return set_error(response, error);
    }
    handler(service, request, body, response);
  });
}

struct HttpServer::Impl {
  Service service;
  Listener listener;
  int port = 0;
  std::thread thread{};
  std::promise<void> ending{};
  std::future<void> end = ending.get_future();

  Impl(HttpOptions options, Served served)
      : service{.options = options,
                .served = served,
                .keys = ApiKeys(options.keys),
                .created = static_cast<std::int64_t>(std::time(nullptr)),
                .fingerprint = fmt::format("b{}-{}", KVEVICT_VERSION, engine_info().llama_version),
                .scheduler{*served.pool, limits_of(options, served)}},
        listener({.n_threads = options.n_waiting + served.pool->n_live() + kOtherThreads}, tls_of(options)) {}

  void add_routes() {
    listener.set_payload_max_length(service.options.most_body_bytes);
    listener.set_pre_routing_handler(
        [this](const auto& request, auto& response) { return look_before(service, request, response); });
    listener.set_error_handler(
        httplib::Server::Handler([](const httplib::Request& request, httplib::Response& response) {
          if (!response.body.empty() || response.content_provider_) return;
          if (response.status == 404) return set_not_found(request, response);
          set_error(response, api_error_of_status(response.status));
        }));
    listener.set_exception_handler(
        [](const auto&, auto& response, const std::exception_ptr& error) { set_exception(response, error); });
    listener.set_logger([this](const httplib::Request&, const httplib::Response& response) {
      service.metrics.count_request(response.status);
    });
    add_model_routes(listener, service);
    add_text_routes(listener, service);
    add_conversation_routes(listener, service);
    for (const std::string base : {"/v1", ""}) {  // clients name one of them as the server's address
      add_post(listener, service, base + "/chat/completions", answer_chat);
      add_post(listener, service, base + "/completions", complete_text);
      add_post(listener, service, base + "/responses", respond);
    }
  }

  void listen() {
    const HttpOptions& options = service.options;
    errno = 0;
    port = options.port == 0 ? listener.bind_to_any_port(options.host)
                             : (listener.bind_to_port(options.host, options.port) ? options.port : -1);
    if (port < 0) {
      const int error = errno;
      throw Error(ErrorCode::kIo,
                  fmt::format("cannot listen on {}:{}: {}", options.host, options.port,
                              error == 0 ? "there is no such address here" : std::strerror(error)));
    }
    listener.let_many_wait();
    thread = std::thread([this] {
      listener.listen_after_bind();
      ending.set_value();
    });
  }
};

HttpServer::HttpServer(HttpOptions options, Served served) {
  if (options.port < 0 || options.port > 65535)
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the port {} is out of its range: one from 0 to 65535 is needed", options.port),
                "port");
  impl_ = std::make_unique<Impl>(std::move(options), std::move(served));
  impl_->add_routes();
  impl_->listen();
}

HttpServer::~HttpServer() {
  stop(std::chrono::seconds(0));
}

int HttpServer::port() const noexcept {
  return impl_->port;
}

void HttpServer::stop(std::chrono::seconds drain) {
  if (!impl_ || !impl_->thread.joinable()) return;
  impl_->service.scheduler.close();
  impl_->listener.close();
  (void)impl_->service.scheduler.wait_until_idle(drain);
  impl_->service.scheduler.cancel_all();
  if (impl_->end.wait_for(kLastBytes) != std::future_status::ready) impl_->listener.cut();
  impl_->thread.join();
}

}  // namespace kvevict::http
