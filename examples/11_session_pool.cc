// Answers a question while another session reads a long text. Both have cells of their own in one context,
// and one llama_decode serves a token of the answer and a chunk of the text.
//
//   11_session_pool MODEL.gguf QUESTION < TEXT
#include <algorithm>
#include <iostream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvevict/answer_draw.h"
#include "kvevict/error.h"
#include "kvevict/prompt_template.h"
#include "kvevict/session_pool.h"

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: 11_session_pool MODEL.gguf QUESTION < TEXT\n";
    return 1;
  }
  const auto model = kvevict::Model::load({.path = argv[1]});
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  const auto long_prompt = model->tokenize(text, true, false);
  const kvevict::PromptTemplate form(*model);
  const std::vector<kvevict::ChatMessage> messages = {{"user", argv[2]}};
  const auto prompt = form.tokens(form.render(messages));
  const auto policy = kvevict::make_policy("sink_recent:4:508");

  kvevict::SessionPool pool(model, {}, {.n_sessions = 8, .n_cells = 1024});
  kvevict::Session first = pool.open(policy), second = pool.open(policy);
  first.append(prompt);
  kvevict::AnswerDraw answer(model, {.max_new_tokens = 64});
  const std::size_t n_chunk = 128;
  std::span<const kvevict::Token> rest = long_prompt;
  while (const std::optional<kvevict::Token> token = answer.next(first)) {
    const auto chunk = rest.first(std::min(rest.size(), n_chunk));
    first.make_room();
    const kvevict::SessionTokens both[] = {{&first, {&*token, 1}},
                                           {&second, chunk, kvevict::PrefillMode::kBounded}};
    kvevict::Session::append_each(both);
    rest = rest.subspan(chunk.size());
  }
  std::cout << answer.finish().text << "\n";

  const kvevict::SessionStats stats = second.stats();
  std::cout << stats.n_tokens_seen << " tokens read, " << stats.n_tokens_held << " held; " << pool.kv_bytes()
            << " bytes for " << pool.n_sessions() << " sessions\n";
} catch (const kvevict::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
