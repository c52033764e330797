#include "http/text_call.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "http/answer_fields.h"
#include "http/json_body.h"
#include "http/unused_fields.h"

namespace kvevict::http {
namespace {

/// Beside those of every path.
constexpr std::array<std::string_view, 2> kTextFields = {"prompt", "echo"};

Token token_of(const JsonReader& value, const Model& model) {
  const std::int64_t token = value.integer();
  const std::int64_t n_vocab = model.info().n_vocab;
  if (token < 0 || token >= n_vocab)
    value.refuse(fmt::format("{} is no token: a number from 0 to {} is needed", token, n_vocab - 1));
  return static_cast<Token>(token);
}

std::vector<Token> tokens_of(const JsonReader& prompt, const Model& model) {
  std::vector<Token> tokens;
  if (prompt.json().is_string()) {
    tokens = model.tokenize(prompt.text(), true, true);
  } else {
    prompt.for_each_item([&](const JsonReader& item) { tokens.push_back(token_of(item, model)); });
  }
  if (tokens.empty()) prompt.refuse("a text of one token or more is needed");
  return tokens;
}

/// A text, tokens, or a list of either.
std::vector<std::vector<Token>> prompts_of(const JsonReader& prompt, const Model& model) {
  const JsonReader::Json& json = prompt.json();
  const bool is_list = json.is_array() && !json.empty() && !json.front().is_number();
  if (!is_list) return {tokens_of(prompt, model)};
  std::vector<std::vector<Token>> all;
  prompt.for_each_item([&](const JsonReader& item) { all.push_back(tokens_of(item, model)); });
  return all;
}

}  // namespace

TextCall parse_text_call(std::string_view text, const AnswerDefaults& defaults, const Model& model) {
  const JsonReader::Json json = parse_body(text);
  const JsonReader body(json, "");
  refuse_unused_fields(body, kTextFields);
  TextCall call{.has_echo = flag(body, "echo")};
  serving::ChatRequest request{.form = defaults.form};
  AnswerOptions& form = request.form;
  form.grammar.clear();
  form.max_new_tokens = whole_number(body, "max_tokens", 0, kLongestAnswer).value_or(kDefaultTextTokens);
  if (const auto model_name = field(body, "model")) (void)model_name->text();
  read_stream(body, call.is_streamed, call.includes_usage);
  read_sampling(body, defaults, form.sampling);
  read_stops(body, form.stop);
  read_extension(body, request);
  if (!request.conversation.empty())
    body.member("kvevict").refuse("a text belongs to no conversation: leave \"conversation\" out");
  const auto n_best = whole_number(body, "logprobs", 0, kMostBest);
  call.has_logprobs = n_best.has_value();
  form.n_best = static_cast<int>(n_best.value_or(0));
  if (call.is_streamed && (call.has_echo || call.has_logprobs))
    body.member("stream").refuse("a stream has neither \"echo\" nor \"logprobs\": set it to false");
  const std::vector<std::vector<Token>> prompts = prompts_of(body.member("prompt"), model);
  call.n_each = static_cast<std::size_t>(whole_number(body, "n", 1, kMostChoices).value_or(1));
  if (prompts.size() * call.n_each > kMostTexts)
    body.member("prompt").refuse(fmt::format("{} texts are more than the {} that one request may have",
                                             prompts.size() * call.n_each, kMostTexts));
  for (const std::vector<Token>& prompt : prompts) {
    for (std::size_t i = 0; i < call.n_each; ++i) {
      call.requests.push_back(request);
      call.requests.back().form.sampling.seed += static_cast<std::uint32_t>(i);
      call.requests.back().text = {.tokens = prompt, .n_best = form.n_best};
    }
  }
  return call;
}

}  // namespace kvevict::http
