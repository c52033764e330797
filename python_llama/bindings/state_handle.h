#pragma once

#include <memory>
#include <utility>

#include "kvevict/model.h"
#include "worker.h"

namespace kvevict::python {

/// What a Python object holds of a state that one worker alone touches, from its making to its end.
template <typename State>
class StateHandle {
 public:
  StateHandle(std::shared_ptr<const Model> model, std::shared_ptr<Worker> worker,
              std::shared_ptr<State> state)
      : model_(std::move(model)), worker_(std::move(worker)), state_(std::move(state)) {}
  ~StateHandle() {
    if (state_) worker_->post([state = std::move(state_)] {});
  }
  StateHandle(StateHandle&&) noexcept = default;
  StateHandle& operator=(StateHandle&&) = delete;

  [[nodiscard]] const Model& model() const { return *model_; }

  /// `work(state)` on its thread, and what it returns.
  template <typename Work>
  auto on_worker(const Work& work) const {
    return worker_->result_of([&] { return work(*state_); });
  }

 protected:
  std::shared_ptr<const Model> model_;
  std::shared_ptr<Worker> worker_;
  std::shared_ptr<State> state_;
};

}  // namespace kvevict::python
