/* Policies and plans from C: what a strategy keeps of a prompt, and what of a stream as it grows.
 *
 *   09_plain_c [STRATEGY [TOKENS [LAYERS]]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "kvevict/kvevict_c.h"

/* One place for all errors: says what went wrong, and whether something did. */
static bool failed(kvevict_status status) {
  if (status == KVEVICT_OK) return false;
  fprintf(stderr, "%s\n", kvevict_last_error());
  return true;
}

static bool print_layer(const kvevict_plan* plan, int64_t layer) {
  const kvevict_range* ranges = NULL;
  size_t n_ranges = 0;
  if (failed(kvevict_plan_ranges(plan, layer, &ranges, &n_ranges))) return false;
  for (size_t i = 0; i < n_ranges; ++i) {
    printf(" [%" PRId64 ",%" PRId64 ")", ranges[i].begin, ranges[i].end);
  }
  printf("\n");
  return true;
}

static bool print_plan(const kvevict_plan* plan) {
  int64_t n_layers = 0;
  if (failed(kvevict_plan_layers(plan, &n_layers))) return false;
  if (n_layers == 0) { /* one set, whatever the layer */
    printf("  every layer");
    return print_layer(plan, 0);
  }
  for (int64_t layer = 0; layer < n_layers; ++layer) {
    printf("  layer %" PRId64, layer);
    if (!print_layer(plan, layer)) return false;
  }
  return true;
}

/* A prompt that is cached as a whole, then cut once. */
static bool plan_once(const kvevict_policy* policy, int64_t n_tokens, int64_t n_layers) {
  kvevict_plan* plan = NULL;
  int64_t n_kept = 0;
  if (failed(kvevict_plan_make(policy, n_tokens, KVEVICT_ONE_SHOT, n_layers, &plan))) return false;
  bool ok = !failed(kvevict_plan_count(plan, &n_kept));
  if (ok) printf("of %" PRId64 " tokens %" PRId64 " stay:\n", n_tokens, n_kept);
  ok = ok && print_plan(plan);
  kvevict_plan_free(plan);
  return ok;
}

/* A stream whose cache never holds more than the budget: one memory for all of its plans. */
static bool plan_stream(const kvevict_policy* policy, int64_t n_tokens, int64_t n_layers) {
  kvevict_sequence* sequence = NULL;
  int64_t n_budget = 0;
  if (failed(kvevict_sequence_make(policy, KVEVICT_STREAMING, n_layers, &sequence))) return false;
  bool ok = !failed(kvevict_sequence_budget(sequence, &n_budget));
  if (ok) printf("as a stream, with a budget of %" PRId64 " tokens:\n", n_budget);
  for (int64_t n_seen = n_tokens / 4; ok && n_seen > 0 && n_seen <= n_tokens; n_seen *= 2) {
    kvevict_plan* plan = NULL;
    ok = !failed(kvevict_sequence_plan(sequence, n_seen, &plan));
    if (ok) printf(" after %" PRId64 " tokens\n", n_seen);
    ok = ok && print_plan(plan);
    kvevict_plan_free(plan);
  }
  kvevict_sequence_free(sequence);
  return ok;
}

int main(int argc, char** argv) {
  const char* strategy = argc > 1 ? argv[1] : "sink_recent_uniform:4:28:32:block=16";
  const int64_t n_tokens = argc > 2 ? strtoll(argv[2], NULL, 10) : 256;
  const int64_t n_layers = argc > 3 ? strtoll(argv[3], NULL, 10) : 4;
  kvevict_policy* policy = NULL;
  kvevict_policy_info info;
  if (failed(kvevict_policy_make(strategy, &policy))) return 2;
  bool ok = !failed(kvevict_policy_describe(policy, &info));
  if (ok) printf("kvevict %s, %s (%s)\n", kvevict_version(), info.strategy, info.name);
  ok = ok && plan_once(policy, n_tokens, n_layers) && plan_stream(policy, n_tokens, n_layers);
  kvevict_policy_free(policy);
  return ok ? 0 : 1;
}
