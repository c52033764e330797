// A project outside of kvevict's tree: sees nothing but what was installed.
#include <kvevict/error.h>
#include <kvevict/llama_cache.h>
#include <kvevict/session_file.h>
#include <kvevict/simple_evict.h>

#include <cstdio>

/// The header needs no llama.h, and the library has what it declares.
bool refuses_no_context(std::shared_ptr<const kvevict::Policy> policy) {
  try {
    static_cast<void>(kvevict::LlamaCache::bind(nullptr, std::move(policy)));
  } catch (const kvevict::Error& error) {
    return error.code() == kvevict::ErrorCode::kInvalidArgument;
  }
  return false;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto policy = kvevict::make_policy("sink_recent:4:20");
  const auto model = kvevict::Model::load({.path = argv[1]});
  kvevict::Session session(model, policy, {.n_chunk = 16, .prefill = kvevict::PrefillMode::kBounded});
  session.append(model->tokenize(
      "The quick brown fox jumps over the lazy dog, again and again and again, until the evening "
      "comes and everyone goes home to sleep, the fox and the dog as well as the hunter.",
      true, false));
  kvevict::save_session(session, argv[2]);
  const auto loaded = load_session(model, argv[2], {.n_chunk = 16});
  std::printf("%lld of %lld tokens\n", static_cast<long long>(loaded.session.held().count()),
              static_cast<long long>(loaded.session.stats().n_tokens_seen));
  if (!refuses_no_context(policy)) return 1;
  return loaded.session.held() == session.held() && session.held().count() <= 40 ? 0 : 1;
}
