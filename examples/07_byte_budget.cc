// Reads the standard input for as long as it goes on, and never holds more bytes of K and V than it is told.
// The strategy gets the longest recent window that fits.
//
//   07_byte_budget MODEL.gguf 8MiB < TEXT
#include <iostream>

#include "kvevict/error.h"
#include "kvevict/memory.h"
#include "kvevict/session.h"
#include "kvevict/token_stream.h"

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::cerr << "usage: 07_byte_budget MODEL.gguf SIZE < TEXT\n";
    return 1;
  }
  const auto model = kvevict::Model::load({.path = argv[1]});
  const kvevict::SessionOptions options{.n_chunk = 64, .prefill = kvevict::PrefillMode::kBounded};
  const auto strategy = kvevict::fit_to_memory(kvevict::parse_strategy("sink_recent:4"),
                                               kvevict::parse_bytes(argv[2]), *model, options);
  kvevict::Session session(model, kvevict::make_policy(strategy), options);
  kvevict::TokenStream tokens(*model, std::cin, "standard input");
  for (auto chunk = tokens.take(64); !chunk.empty(); chunk = tokens.take(64)) session.append(chunk);
  const kvevict::SessionStats stats = session.stats();
  std::cout << to_string(strategy) << ": " << stats.n_tokens_seen << " tokens seen, " << stats.n_tokens_held
            << " held, at most " << stats.kv_bytes_peak << " bytes\n";
} catch (const kvevict::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
