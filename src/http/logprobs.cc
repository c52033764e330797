#include "http/logprobs.h"

#include <algorithm>
#include <utility>

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

Json token_json(const TokenProbability& one) {
  Json bytes = Json::array();
  for (const char byte : one.bytes) bytes.push_back(static_cast<unsigned char>(byte));
  return {{"token", one.bytes}, {"logprob", json_logprob(one.log_probability)}, {"bytes", std::move(bytes)}};
}

}  // namespace

double json_logprob(double log_probability) {
  return std::max(log_probability, -9999.0);
}

Json logprobs_json(std::span<const DrawnToken> tokens) {
  Json content = Json::array();
  for (const DrawnToken& token : tokens) {
    Json json = token_json(token.drawn);
    json["top_logprobs"] = Json::array();
    for (const TokenProbability& one : token.best) json["top_logprobs"].push_back(token_json(one));
    content.push_back(std::move(json));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace kvevict::http
