#include "engine/cpu_backend.h"

#include "base/processors.h"
#include "kvevict/error.h"

namespace kvevict {

GgmlBackendHandle make_cpu_backend(int n_threads) {
  GgmlBackendHandle backend(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
  if (!backend) throw Error(ErrorCode::kEngine, "ggml has no CPU back end");
  // The CPU back end may be a library that ggml loads at run time: its functions are asked for by name.
  using SetThreads = void (*)(ggml_backend_t, int);
  auto* const set_threads = reinterpret_cast<SetThreads>(ggml_backend_reg_get_proc_address(
      ggml_backend_dev_backend_reg(ggml_backend_get_device(backend.get())), "ggml_backend_set_n_threads"));
  if (set_threads != nullptr) set_threads(backend.get(), n_threads > 0 ? n_threads : usable_cores());
  return backend;
}

}  // namespace kvevict
