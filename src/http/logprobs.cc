#include "http/logprobs.h"

#include <algorithm>
#include <utility>

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

/// OpenAI's −9999: as good as never; JSON has no infinity.
constexpr double kLeast = -9999.0;

Json token_json(const TokenProbability& one) {
  Json bytes = Json::array();
  for (const char byte : one.bytes) bytes.push_back(static_cast<unsigned char>(byte));
  return {
      {"token", one.bytes}, {"logprob", std::max(one.log_probability, kLeast)}, {"bytes", std::move(bytes)}};
}

}  // namespace

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
