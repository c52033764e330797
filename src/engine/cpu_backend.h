#pragma once

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <memory>

namespace kvevict {

struct FreeGgml {
  void operator()(ggml_backend* backend) const noexcept { ggml_backend_free(backend); }
  void operator()(ggml_context* context) const noexcept { ggml_free(context); }
  void operator()(ggml_backend_buffer* buffer) const noexcept { ggml_backend_buffer_free(buffer); }
};
using GgmlBackendHandle = std::unique_ptr<ggml_backend, FreeGgml>;
using GgmlContextHandle = std::unique_ptr<ggml_context, FreeGgml>;
using GgmlBufferHandle = std::unique_ptr<ggml_backend_buffer, FreeGgml>;

/// ggml's CPU back end, for small graphs of our own. `n_threads`: 0: the processors that this process may
/// use. Errors: kEngine if this ggml has none.
[[nodiscard]] GgmlBackendHandle make_cpu_backend(int n_threads);

}  // namespace kvevict
