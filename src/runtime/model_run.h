#pragma once

#include <memory>

#include "kvevict/session.h"

namespace kvevict {

/// What runs one strategy over one text.
struct ModelRun {
  std::shared_ptr<const Model> model;
  std::shared_ptr<const Policy> policy;
  SessionOptions options;
};

}  // namespace kvevict
