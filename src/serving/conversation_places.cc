#include "serving/conversation_places.h"

#include <utility>

#include "engine/trained_context.h"
#include "kvevict/memory.h"
#include "kvevict/registry.h"
#include "serving/strategy_limit.h"

namespace kvevict::serving {
namespace {

constexpr std::int64_t kLeastCells = 256;  // of a model that has none: its places are there for its states

/// Whether sessions of these options, both as a session has them, go the same way.
bool are_alike(const SessionOptions& a, const SessionOptions& b) {
  return a.positions == b.positions && a.past_trained_context == b.past_trained_context &&
         a.flash_attention == b.flash_attention && a.type_k == b.type_k && a.type_v == b.type_v &&
         a.n_batch == b.n_batch && a.n_ubatch == b.n_ubatch && a.n_chunk == b.n_chunk &&
         a.n_decode_slack == b.n_decode_slack && a.prefill == b.prefill;
}

}  // namespace

std::int64_t cells_of_place(const ModelRun& run) {
  if (run.model->info().cache_layers.empty()) return kLeastCells;
  if (!stream_budget(run)) return context_limit(*run.model);
  return memory_needed(*run.model, *run.policy, run.options, {}).n_cells;
}

ConversationPlaces::ConversationPlaces(std::shared_ptr<const Model> model, const PlaceOptions& options,
                                       std::size_t n_places)
    : model_(std::move(model)), options_(options) {
  if (options_.n_cells == 0) return;
  try {
    pool_ = std::make_shared<SessionPool>(
        model_, options_.session,
        PoolSize{.n_sessions = static_cast<int>(n_places), .n_cells = options_.n_cells});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    refusal_ = error;
  }
}

bool ConversationPlaces::fits(const ModelRun& run) const {
  if (!pool_ || run.policy->score_request()) return false;
  const SessionOptions in_pool = Session(model_, run.policy, options_.session).options();
  if (!are_alike(in_pool, Session(model_, run.policy, run.options).options())) return false;
  if (!stream_budget(run) && options_.is_limited) return true;
  const std::int64_t n_cells = cells_of_place(run);
  return n_cells > 0 && n_cells <= pool_->n_cells();
}

void ConversationPlaces::require_place(const ModelRun& run) const {
  if (!pool_ || !options_.is_limited || fits(run)) return;
  throw Error(ErrorCode::kInvalidArgument,
              "the strategy " + to_string(run.policy->spec()) +
                  " needs a context of its own, and this server's limit for K and V leaves none: choose one "
                  "that goes by position or keys and holds no more than the server's own",
              "strategy");
}

std::unique_ptr<Conversation> ConversationPlaces::make(const ModelRun& run, ConversationOptions options,
                                                       std::shared_ptr<SessionPool> pool) const {
  options.session = run.options;
  options.pool = std::move(pool);
  return std::make_unique<Conversation>(model_, run.policy, std::move(options));
}

std::unique_ptr<Conversation> ConversationPlaces::begin(const ModelRun& run,
                                                        ConversationOptions options) const {
  require_place(run);
  return make(run, std::move(options), fits(run) ? pool_ : nullptr);
}

PlacedSession ConversationPlaces::open(const ModelRun& run) const {
  require_place(run);
  if (fits(run)) return {.session = pool_->open(run.policy), .is_in_pool = true};
  return {.session = Session(model_, run.policy, run.options)};
}

std::unique_ptr<Conversation> ConversationPlaces::load(const ModelRun& run,
                                                       const ConversationOptions& options,
                                                       const std::filesystem::path& file) const {
  std::unique_ptr<Conversation> chat = begin(run, options);
  if (!fits(run)) {
    chat->load(file);
    return chat;
  }
  try {
    chat->load(file);
    // It goes on by the strategy that it was stored with.
    const ModelRun stored{model_, make_policy(chat->session().policy().spec()), chat->session().options()};
    if (fits(stored)) return chat;
    require_place(stored);
  } catch (const Error& error) {  // of other positions, or with more tokens than a place takes
    if (options_.is_limited || error.code() != ErrorCode::kInvalidArgument) throw;
  }
  chat = make(run, options, nullptr);
  chat->load(file);
  return chat;
}

}  // namespace kvevict::serving
