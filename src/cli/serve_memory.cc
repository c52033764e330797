#include "cli/serve_memory.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>

#include "base/units.h"
#include "engine/kv_size.h"
#include "engine/trained_context.h"
#include "kvevict/memory.h"
#include "kvevict/session_pool.h"

namespace kvevict::cli {
namespace {

constexpr std::int64_t kMostCopyBytes = std::int64_t{256} << 20;
constexpr int kCopies = 2;  // of a conversation (`ConversationOptions::n_snapshots`)

/// Whether copies of turns are taken of what keeps every token: of models that cannot go back without them.
bool needs_copies(const ModelRun& run) {
  return !run.policy->keeps_all() || run.model->info().has_state || run.model->info().n_window > 0;
}

std::int64_t machine_bytes() {
  return static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

}  // namespace

ServeMemory::ServeMemory(const EngineFlags& engine, int n_live) : engine_(engine), n_live_(n_live) {
  if (!engine.kv_memory.empty()) limit_ = parse_bytes(engine.kv_memory);
}

EngineFlags ServeMemory::engine_for(bool keeps_all) const {
  EngineFlags engine = engine_;
  engine.kv_memory.clear();
  if (limit_ && !keeps_all) engine.kv_memory = fmt::format("{}B", std::max<std::int64_t>(cell_bytes(), 1));
  return engine;
}

Error ServeMemory::as_error_of_flag(const Error& error) const {
  return {
      error.code(),
      fmt::format("--kv_memory {} is too little for {} conversations, each with half of its share for its "
                  "cells and half for copies of its turns: {}; give more, or fewer with --parallel",
                  engine_.kv_memory, n_live_, error.what()),
      error.field()};
}

/// Of a place for conversations that nothing bounds; 0: no pool.
std::int64_t ServeMemory::unbounded_cells(const ModelRun& own) const {
  const std::int64_t n_trained = context_limit(*own.model);
  if (limit_) {
    const std::int64_t bytes = needs_copies(own) ? cell_bytes() : n_each();
    const std::int64_t n_cells = cells_within(*own.model, own.options, bytes);
    const std::int64_t n_most = n_trained > 0 ? std::min(n_cells, padded_cells(n_trained)) : n_cells;
    if (n_most >= kCellPadding) return n_most;
    throw as_error_of_flag(
        Error(ErrorCode::kInvalidArgument,
              fmt::format("{} cells, the fewest that there are, need {:.2f} MiB", kCellPadding,
                          to_mib(kv_bytes_of(*own.model, own.options, kCellPadding))),
              "kv_memory"));
  }
  if (n_trained == 0) return 0;
  const std::int64_t bytes = pool_kv_bytes(*own.model, own.options, {n_live_, n_trained});
  if (bytes <= machine_bytes() / 2) return n_trained;
  spdlog::warn(
      "{} conversations of {} tokens would take {:.0f} MiB: their caches grow one by one, and their answers "
      "are "
      "not decoded in one batch (--kv_memory gives all a limit, and one batch)",
      n_live_, n_trained, to_mib(bytes));
  return 0;
}

serving::PlaceOptions ServeMemory::places_for(const ModelRun& own) const {
  serving::PlaceOptions places{.session = own.options, .is_limited = limit_.has_value()};
  const SessionOptions asked = engine_.session_options();
  places.session.positions = asked.positions;
  places.session.past_trained_context = asked.past_trained_context;
  if (own.policy->score_request()) return places;
  const bool is_unbounded = own.policy->keeps_all() && !own.model->info().cache_layers.empty();
  places.n_cells = is_unbounded ? unbounded_cells(own) : serving::cells_of_place(own);
  return places;
}

std::int64_t ServeMemory::copy_bytes(const ModelRun& own) const {
  if (!limit_) return kMostCopyBytes;
  return needs_copies(own) ? n_each() - cell_bytes() : 0;
}

void ServeMemory::require_limit(const ModelRun& own, bool has_pool) const {
  if (!limit_ || has_pool || !own.policy->keeps_all() || own.model->info().cache_layers.empty()) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("--kv_memory {} cannot be held: {} keeps every token, and {} cannot have its "
                          "conversations in one pool of a fixed size; choose a strategy that evicts",
                          engine_.kv_memory, to_string(own.policy->spec()), own.model->info().name),
              "kv_memory");
}

std::string ServeMemory::text(const ModelRun& own) const {
  const serving::PlaceOptions places = places_for(own);
  const auto mib = [](std::int64_t bytes) { return fmt::format("{:.1f} MiB", to_mib(bytes)); };
  const std::int64_t n_cells = places.n_cells > 0 ? places.n_cells : serving::cells_of_place(own);
  const std::int64_t cell_bytes = kv_bytes_of(*own.model, own.options, padded_cells(n_cells));
  const std::int64_t copies = needs_copies(own) ? std::min(copy_bytes(own), kCopies * cell_bytes) : 0;
  return fmt::format(
      "all together     {} of K and V: {} conversations, {}\n"
      "copies of turns  up to {}\n",
      mib(n_live_ * cell_bytes), n_live_,
      places.n_cells > 0
          ? fmt::format("each in a place of {} cells in one pool", padded_cells(places.n_cells))
          : "each in a context of its own, with compute buffers of its own",
      mib(n_live_ * copies));
}

}  // namespace kvevict::cli
