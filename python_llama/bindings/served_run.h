#pragma once

#include <memory>
#include <string>

#include "options.h"
#include "runtime/model_run.h"

namespace kvevict::python {

/// How a server's conversations begin.
struct ServedRuns {
  std::shared_ptr<const Model> model;
  std::string strategy;  ///< The server's own.
  EngineArguments engine;
  bool is_stored = false;  ///< Conversations rest in a store.

  /// Of a conversation by `named` (empty: the server's own strategy) with that system prompt. Throws
  /// `Error(kInvalidArgument)` (field "strategy") for a strategy without a bound, for one that holds more
  /// than the server's own, and for one that chooses by attention if conversations are stored.
  [[nodiscard]] ModelRun run_for(const std::string& named, const std::string& system) const;

  /// Of a text: its strategy as it stands.
  [[nodiscard]] ModelRun text_run_for(const std::string& named) const;

 private:
  [[nodiscard]] ModelRun run_of(const StrategySpec& spec) const;
};

}  // namespace kvevict::python
