// GET /, /health, /v1/models, /props, /metrics.
#include "http/page.h"
#include "http/service.h"
#include "kvevict/version.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

Json model_json(const Service& service) {
  const ModelInfo& info = service.served.model->info();
  return {{"id", info.name},
          {"object", "model"},
          {"created", service.created},
          {"owned_by", "kvevict"},
          {"meta",
           {{"n_vocab", info.n_vocab},
            {"n_ctx_train", info.n_context_trained},
            {"n_params", info.n_parameters},
            {"size", info.weight_bytes}}}};
}

Json props_json(const Service& service) {
  const ModelInfo& info = service.served.model->info();
  const AnswerOptions& form = service.served.answer.form;
  return {{"version", KVEVICT_VERSION},
          {"model", info.name},
          {"architecture", info.architecture},
          {"has_chat_template", info.has_chat_template},
          {"n_ctx_train", info.n_context_trained},
          {"strategy", service.served.strategy},
          {"live_conversations", service.pool().n_live()},
          {"queue", service.options.n_waiting},
          {"default_generation_settings",
           {{"max_tokens", form.max_new_tokens},
            {"temperature", form.sampling.temperature},
            {"top_k", form.sampling.top_k},
            {"top_p", form.sampling.top_p},
            {"min_p", form.sampling.min_p},
            {"repeat_penalty", form.sampling.repeat_penalty},
            {"presence_penalty", form.sampling.presence_penalty},
            {"frequency_penalty", form.sampling.frequency_penalty}}}};
}

}  // namespace

void add_model_routes(httplib::Server& server, Service& service) {
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_header("Content-Security-Policy", kPagePolicy);
    response.set_header("X-Content-Type-Options", "nosniff");
    response.set_content(chat_page(), "text/html; charset=utf-8");
  });
  server.Get("/health", [](const httplib::Request&, httplib::Response& response) {
    set_json(response, {{"status", "ok"}});
  });
  server.Get("(/v1)?/models", [&service](const httplib::Request&, httplib::Response& response) {
    set_json(response, {{"object", "list"}, {"data", Json::array({model_json(service)})}});
  });
  server.Get("/props", [&service](const httplib::Request&, httplib::Response& response) {
    set_json(response, props_json(service));
  });
  server.Get("/metrics", [&service](const httplib::Request&, httplib::Response& response) {
    response.set_content(service.metrics.text(service.scheduler.figures(), service.pool().list(std::nullopt)),
                         "text/plain; version=0.0.4; charset=utf-8");
  });
}

}  // namespace kvevict::http
