/* A llama.cpp loop in C that writes more tokens than its context has cells: the lines marked with "kvevict"
 * are all that was added to it.
 *
 *   10_llama_context MODEL.gguf [PROMPT [TOKENS]]
 */
#include <llama.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvevict/kvevict_c.h" /* kvevict */

enum { BATCH = 64, CONTEXT = 256, MOST_PROMPT_TOKENS = 4096 };

static void no_log(enum ggml_log_level level, const char* text, void* user_data) {
  (void)level, (void)text, (void)user_data;
}

/* Before every llama_decode: keeps the cache within the policy's budget plus the batch. */
static bool decode(struct llama_context* context, kvevict_llama_cache* cache, llama_token* tokens,
                   int n_tokens) {
  for (int from = 0; from < n_tokens; from += BATCH) {
    const int n = n_tokens - from < BATCH ? n_tokens - from : BATCH;
    if (kvevict_llama_cache_before_decode(cache, n, NULL) != KVEVICT_OK) { /* kvevict */
      fprintf(stderr, "%s\n", kvevict_last_error());
      return false;
    }
    if (llama_decode(context, llama_batch_get_one(tokens + from, n)) != 0) return false;
  }
  return true;
}

static bool write_text(struct llama_context* context, kvevict_llama_cache* cache, const char* prompt,
                       int n_tokens) {
  static llama_token tokens[MOST_PROMPT_TOKENS];
  const struct llama_vocab* vocab = llama_model_get_vocab(llama_get_model(context));
  const int n_prompt =
      llama_tokenize(vocab, prompt, (int32_t)strlen(prompt), tokens, MOST_PROMPT_TOKENS, true, true);
  struct llama_sampler* sampler = llama_sampler_init_greedy();
  bool ok = n_prompt > 0 && decode(context, cache, tokens, n_prompt);
  for (int i = 0; ok && i < n_tokens; ++i) {
    char piece[256];
    llama_token next = llama_sampler_sample(sampler, context, -1);
    const int n = llama_token_to_piece(vocab, next, piece, (int32_t)sizeof piece, 0, false);
    if (n > 0) fwrite(piece, 1, (size_t)n, stdout);
    ok = decode(context, cache, &next, 1);
  }
  printf("\n");
  llama_sampler_free(sampler);
  return ok;
}

static bool report(const kvevict_llama_cache* cache) {
  kvevict_llama_stats stats;
  if (kvevict_llama_cache_stats(cache, &stats) != KVEVICT_OK) return false;
  fprintf(stderr, "%lld tokens seen, %lld in a context of %d, %lld evictions\n",
          (long long)stats.n_tokens_seen, (long long)stats.n_tokens_held, CONTEXT,
          (long long)stats.n_evictions);
  return true;
}

/* kvevict: the cache of the context is bound to a policy once. */
static kvevict_llama_cache* bind_cache(struct llama_context* context) {
  kvevict_llama_cache* cache = NULL;
  kvevict_policy* policy = NULL;
  kvevict_llama_options options;
  if (kvevict_llama_options_init(&options) == KVEVICT_OK) options.positions = KVEVICT_PACKED;
  if (kvevict_policy_make("streaming_llm:4:124", &policy) != KVEVICT_OK ||
      kvevict_llama_cache_bind(context, policy, &options, &cache) != KVEVICT_OK) {
    fprintf(stderr, "%s\n", kvevict_last_error());
  }
  kvevict_policy_free(policy);
  return cache;
}

static bool run(struct llama_model* model, const char* prompt, int n_tokens) {
  struct llama_context_params params = llama_context_default_params();
  params.n_ctx = CONTEXT;
  params.n_batch = BATCH;
  struct llama_context* context = llama_init_from_model(model, params);
  if (context == NULL) return false;
  kvevict_llama_cache* cache = bind_cache(context);
  const bool ok = cache != NULL && write_text(context, cache, prompt, n_tokens) && report(cache);
  kvevict_llama_cache_free(cache);
  llama_free(context);
  return ok;
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: 10_llama_context MODEL.gguf [PROMPT [TOKENS]]\n");
    return 2;
  }
  llama_log_set(no_log, NULL);
  struct llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (model == NULL) {
    fprintf(stderr, "llama.cpp cannot load %s\n", argv[1]);
    return 1;
  }
  const bool ok = run(model, argc > 2 ? argv[2] : "Once upon a time", argc > 3 ? atoi(argv[3]) : 400);
  llama_model_free(model);
  return ok ? 0 : 1;
}
