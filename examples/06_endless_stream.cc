// Reads the standard input in fixed memory for as long as it goes on. The cache holds at most the budget of
// 256 tokens and a chunk of 64.
//
//   06_endless_stream MODEL.gguf < TEXT
#include <iostream>

#include "kvevict/error.h"
#include "kvevict/session.h"
#include "kvevict/token_stream.h"

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: 06_endless_stream MODEL.gguf < TEXT\n";
    return 1;
  }
  const auto model = kvevict::Model::load({.path = argv[1]});
  kvevict::Session session(model, kvevict::make_policy("sink_recent:4:252"),
                           {.n_chunk = 64, .prefill = kvevict::PrefillMode::kBounded});
  kvevict::TokenStream tokens(*model, std::cin, "standard input");
  for (auto chunk = tokens.take(64); !chunk.empty(); chunk = tokens.take(64)) {
    session.append(chunk);
    const kvevict::SessionStats stats = session.stats();
    std::cout << stats.n_tokens_seen << " tokens seen, " << stats.n_tokens_held << " held, " << stats.kv_bytes
              << " bytes\n"
              << std::flush;
  }
} catch (const kvevict::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
