// Sessions at rest: taking one down and setting one up again.
#include "engine/session_snapshot.h"

#include <fmt/format.h>

#include "engine/session_impl.h"
#include "kvevict/engine_info.h"
#include "kvevict/error.h"

namespace kvevict {

std::string engine_version() {
  const EngineInfo info = engine_info();
  return fmt::format("llama.cpp {}, ggml {} {}", info.llama_version, info.ggml_version, info.ggml_commit);
}

namespace {

constexpr std::int64_t kMostOutputs = 4096;

std::string identity_of(const ModelInfo& info) {
  return fmt::format("{} ({}, {} parameters, {} layers, {} tokens in the vocabulary, {} bytes)", info.name,
                     info.architecture, info.n_parameters, info.n_layers, info.n_vocab, info.file_bytes);
}

void require_same(const char* what, std::string_view saved, std::string_view now) {
  if (saved == now) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("the session was saved with {} {}, and this is {}: the same is needed", what, saved, now));
}

void require_fitting(const Model& model, const Policy& policy, const SessionOptions& options,
                     const SessionSnapshot& snapshot) {
  if (policy.score_request()) {
    throw Error(ErrorCode::kUnsupported,
                "a saved session has no attention that a strategy could go on from: use one that goes by "
                "position");
  }
  require_same("the model", snapshot.model_identity, identity_of(model.info()));
  require_same("the engine", snapshot.engine_version, engine_version());
  require_same("K of type", to_string(snapshot.type_k), to_string(options.type_k));
  require_same("V of type", to_string(snapshot.type_v), to_string(options.type_v));
  require_same("positions", to_string(snapshot.positions), to_string(*options.positions));
  require_same("the strategy", snapshot.strategy, to_string(policy.spec()));
  require_same("the policy", snapshot.policy, policy.versioned_name());
  const std::size_t n_logits = snapshot.logits.size();
  if (n_logits != 0 && n_logits != static_cast<std::size_t>(model.info().n_vocab)) {
    throw Error(ErrorCode::kBadData, fmt::format("the saved session has {} logits, the vocabulary {} tokens",
                                                 n_logits, model.info().n_vocab));
  }
}

void restore_record(SequenceRecord& record, const SessionSnapshot& snapshot) {
  std::vector<CacheMap> maps;
  for (const std::vector<HeldRun>& runs : snapshot.runs)
    maps.emplace_back(runs, snapshot.n_tokens_seen, snapshot.next_position);
  if (maps.empty() || (maps.size() > 1 && snapshot.runs_of_layer.empty()))
    throw Error(ErrorCode::kBadData, "the saved session has no record of its cells");
  std::optional<LayeredMap> layers;
  CacheMap map = maps.front();
  if (!snapshot.runs_of_layer.empty()) layers = LayeredMap(std::move(maps), snapshot.runs_of_layer);
  record.restore(std::move(map), std::move(layers), snapshot.policy_state);
}

}  // namespace

SessionSnapshot Session::snapshot() {
  const SequenceRecord& record = impl_->record;
  if (impl_->policy().score_request()) {
    throw Error(ErrorCode::kUnsupported,
                "a session that records attention cannot be saved: use a strategy "
                "that goes by position");
  }
  SessionSnapshot snapshot;
  snapshot.engine_version = engine_version();
  snapshot.model_identity = identity_of(impl_->model->info());
  snapshot.type_k = impl_->options.type_k;
  snapshot.type_v = impl_->options.type_v;
  snapshot.positions = *impl_->options.positions;
  snapshot.n_tokens_seen = record.map().n_seen();
  snapshot.next_position = record.map().next_position();
  const auto add_runs = [&](const CacheMap& map) {
    snapshot.runs.emplace_back(map.runs().begin(), map.runs().end());
  };
  if (record.layers()) {
    for (const CacheMap& map : record.layers()->distinct_maps()) add_runs(map);
    snapshot.runs_of_layer = record.layers()->map_of_layer();
  } else {
    add_runs(record.map());
  }
  snapshot.strategy = to_string(record.policy().spec());
  snapshot.policy = record.policy().versioned_name();
  snapshot.policy_state = record.state();
  snapshot.logits = impl_->logits;
  if (impl_->context) {
    KvContext& context = *impl_->context;
    snapshot.cells = context.copy(impl_->sequence);
    if (impl_->has_own_cells()) {
      snapshot.occupied = context.occupied_cells(impl_->sequence, snapshot.cells);
      // Cells whose places are not known are moved together here, as they will be when they are loaded: so
      // that both go on alike from now on, if not as a session that was never saved. A pool moves nothing.
      const bool is_unknown = snapshot.occupied.empty() && !snapshot.cells.empty();
      if (is_unknown && !impl_->is_pooled()) context.close_holes();
    }
    snapshot.n_cells = context.n_cells();
    snapshot.n_outputs = impl_->is_pooled() ? 1 : context.n_outputs();  // a pool has them for all sessions
    const auto waiting = context.waiting_shifts(impl_->sequence);
    snapshot.waiting_shifts.clear();
    for (const PositionShift& s : waiting)
      snapshot.waiting_shifts.push_back({s.positions.begin, s.positions.end, s.delta});
  }
  return snapshot;
}

Session Session::restore(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
                         const SessionOptions& options, const SessionSnapshot& snapshot) {
  Session session(std::move(model), std::move(policy), options);
  session.impl_->restore(snapshot);
  return session;
}

void Session::Impl::restore(const SessionSnapshot& snapshot) {
  require_fitting(*model, policy(), options, snapshot);
  restore_record(record, snapshot);
  logits = snapshot.logits;
  const std::int64_t n_held = record.map().n_held();
  if (n_held == 0) return;
  if (snapshot.n_cells < n_held || snapshot.n_cells > kMaxTokens || snapshot.n_outputs > kMostOutputs)
    throw Error(ErrorCode::kBadData, "the saved session's context has another size than its cells need");
  if (context) {
    ensure_cells(n_held);
  } else {
    context = std::make_shared<KvContext>(model, options, snapshot.n_cells, std::nullopt,
                                          static_cast<int>(snapshot.n_outputs));
    sequence = context->take_sequence();
  }
  std::vector<PositionShift> shifts;
  for (const SavedShift& s : snapshot.waiting_shifts) shifts.push_back({{s.begin, s.end}, s.delta});
  const bool is_within = snapshot.occupied.empty() || snapshot.occupied.back().end <= context->n_cells();
  if (is_pooled() && !is_within) {  // of a larger context: the holes are closed
    context->put(sequence, snapshot.cells, shifts);
  } else {
    context->put_into(sequence, snapshot.cells, snapshot.occupied, shifts);
  }
  const std::int64_t n_found = context->count_occupied(sequence);
  if (!model->info().cache_layers.empty() && n_found != n_held) {
    throw Error(ErrorCode::kBadData,
                fmt::format("the saved session's record says {} tokens, its cells hold {}", n_held, n_found));
  }
}

}  // namespace kvevict
