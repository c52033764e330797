// libFuzzer target over bodies of /v1/chat/completions: whatever bytes come, they are a call within its
// limits, or an error of ours with a sentence.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "http/chat_call.h"
#include "kvevict/error.h"

namespace {

using kvevict::http::ChatCall;

void require(bool holds) {
  if (!holds) std::abort();
}

/// The input as a body, or as the fields of one, so that fields are reached that nobody finds by chance.
std::string body_of(std::string_view input) {
  if (input.empty() || (input.front() & 1) == 0) return std::string(input);
  return R"({"messages":[{"role":"user","content":"hi"}],)" + std::string(input.substr(1)) + "}";
}

void check(const ChatCall& call) {
  require(!call.request.messages.empty());
  require(call.n_choices >= 1 && call.n_choices <= kvevict::http::kMostChoices);
  require(call.request.form.n_best >= 0 && call.request.form.n_best <= kvevict::http::kMostBest);
  require(call.request.form.max_new_tokens >= 1);
  for (const kvevict::LogitBias& one : call.request.form.sampling.logit_bias)
    require(one.token >= 0 && one.token < 1000 && one.bias >= -100 && one.bias <= 100);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string input(size, '\0');
  if (size > 0) std::memcpy(input.data(), data, size);
  try {
    check(kvevict::http::parse_chat_call(body_of(input), {.n_vocab = 1000}));
  } catch (const kvevict::Error& error) {
    require(error.what()[0] != '\0');
  }
  return 0;
}
