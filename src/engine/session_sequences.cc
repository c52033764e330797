// Several sessions in one context: forks; and going back.
#include <string>

#include "engine/session_impl.h"
#include "kvevict/error.h"

namespace kvevict {

Session Session::fork(std::shared_ptr<const Policy> policy) {
  const bool is_rebound = policy != nullptr && policy != impl_->record.shared_policy();
  if (is_rebound && policy->score_request()) impl_->require_recorded(*policy);
  SessionOptions options = impl_->options;
  options.n_recorded_queries = 0;
  if (is_rebound && policy->score_request()) options.n_sequences = 1;  // recorded attention is of one alone
  if (is_rebound) options.positions = impl_->asked_positions;
  if (is_rebound) options = resolved_options(*impl_->model, *policy, options);
  auto twin = std::make_unique<Impl>(impl_->model, impl_->record.shared_policy(), options);
  twin->record = impl_->record;
  twin->asked_positions = impl_->asked_positions;
  if (is_rebound) {
    twin->record.rebind(std::move(policy), *options.positions);
    twin->require_rotations();
  }
  twin->logits = impl_->logits;
  if (impl_->key_rotator) twin->key_rotator = std::make_unique<KeyRotator>(*impl_->key_rotator);
  if (impl_->context) {
    twin->sequence = impl_->context->take_sequence();
    twin->context = impl_->context;
    twin->context->share(impl_->sequence, twin->sequence);
    if (twin->policy().score_request()) twin->move_out(twin->record.map().n_held());
  }
  return Session(std::move(twin));
}

void Session::detach(std::int64_t n_reserve) {
  if (impl_->context && !impl_->has_own_context()) impl_->move_out(impl_->record.map().n_held() + n_reserve);
}

void Session::trim(std::int64_t n_tokens) {
  if (n_tokens == impl_->record.map().n_seen()) return;
  if (impl_->model->info().has_state && n_tokens != 0) {
    throw Error(ErrorCode::kUnsupported,
                impl_->model->info().name +
                    " keeps a state that cannot go back to an earlier token: go back to a snapshot that was "
                    "taken there, or clear the session and append the tokens again");
  }
  impl_->require_windows(n_tokens);
  impl_->change([&] { return impl_->record.trim(n_tokens); });
  impl_->logits.clear();
}

void Session::clear() {
  impl_->record.clear();
  impl_->logits.clear();
  if (!impl_->context) return;
  impl_->context->empty_sequence(impl_->sequence);
}

}  // namespace kvevict
