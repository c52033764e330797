#include "http/text_answer_json.h"

#include <algorithm>
#include <utility>

#include "http/json_body.h"
#include "http/logprobs.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

Json framed_text(const AnswerFrame& frame) {
  return {{"id", frame.id},
          {"object", "text_completion"},
          {"created", frame.created},
          {"model", frame.model},
          {"system_fingerprint", frame.fingerprint}};
}

const char* end_of(const TextChoice& choice) {
  return choice.result.answer.end == AnswerEnd::kAtLength ? "length" : "stop";
}

std::size_t count_characters(std::string_view bytes) {
  return static_cast<std::size_t>(
      std::ranges::count_if(bytes, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

/// Four lists with an entry for each token; nothing is said of one that nothing stood before.
Json text_logprobs(const TextChoice& choice) {
  Json tokens = Json::array(), values = Json::array(), best = Json::array(), offsets = Json::array();
  std::size_t n_characters = 0;
  for (std::size_t i = 0; i < choice.drawn.size(); ++i) {
    const DrawnToken& token = choice.drawn[i];
    const bool is_known = i > 0 || !choice.has_first;
    tokens.push_back(token.drawn.bytes);
    values.push_back(is_known ? Json(json_logprob(token.drawn.log_probability)) : Json());
    Json entry = Json::object();
    for (const TokenProbability& one : token.best) entry[one.bytes] = json_logprob(one.log_probability);
    best.push_back(is_known ? std::move(entry) : Json());
    offsets.push_back(n_characters);
    n_characters += count_characters(token.drawn.bytes);
  }
  return {{"tokens", std::move(tokens)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(best)},
          {"text_offset", std::move(offsets)}};
}

Json text_usage(std::span<const TextChoice> choices) {
  std::int64_t n_prompt = 0, n_made = 0;
  for (const TextChoice& choice : choices) {
    if (choice.is_first_of_text) n_prompt += choice.result.answer.n_cached + choice.result.answer.n_new;
    n_made += choice.result.answer.n_made;
  }
  return {{"prompt_tokens", n_prompt}, {"completion_tokens", n_made}, {"total_tokens", n_prompt + n_made}};
}

Json held(const serving::ConversationFigures& figures) {
  return {{"strategy", figures.strategy},
          {"kept", figures.n_kept},
          {"evicted", figures.n_evicted},
          {"cells", figures.n_cells},
          {"bytes", figures.kv_bytes}};
}

std::string text_chunk(const AnswerFrame& frame, std::size_t index, const std::string& text, Json reason) {
  Json json = framed_text(frame);
  json["choices"] = Json::array(
      {Json{{"index", index}, {"text", text}, {"logprobs", nullptr}, {"finish_reason", std::move(reason)}}});
  return "data: " + json_text(json) + "\n\n";
}

}  // namespace

std::string text_completion(const AnswerFrame& frame, std::span<const TextChoice> choices) {
  Json json = framed_text(frame);
  json["choices"] = Json::array();
  for (std::size_t i = 0; i < choices.size(); ++i) {
    json["choices"].push_back({{"index", i},
                               {"text", choices[i].echo + choices[i].result.answer.text},
                               {"logprobs", frame.has_logprobs ? text_logprobs(choices[i]) : Json()},
                               {"finish_reason", end_of(choices[i])}});
  }
  json["usage"] = text_usage(choices);
  json["kvevict"] = held(choices.back().result.conversation);
  return json_text(json);
}

std::string text_event(const AnswerFrame& frame, std::size_t index, const std::string& text) {
  return text_chunk(frame, index, text, nullptr);
}

std::string text_end_event(const AnswerFrame& frame, std::size_t index, const TextChoice& choice) {
  return text_chunk(frame, index, "", end_of(choice));
}

std::string text_usage_event(const AnswerFrame& frame, std::span<const TextChoice> choices) {
  Json json = framed_text(frame);
  json["choices"] = Json::array();
  json["usage"] = text_usage(choices);
  return "data: " + json_text(json) + "\n\n";
}

}  // namespace kvevict::http
