#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/longbench_reader.h"

namespace kvevict::eval {

/// One of `n` equal parts of the work, `number` from 1 to n.
struct Shard {
  std::int64_t number = 1;
  std::int64_t n = 1;
};

/// "2/4". Errors: kInvalidArgument that says what a shard looks like.
[[nodiscard]] Shard parse_shard(const std::string& text);

/// Leaves the examples whose id is in `ids`, in the file's order; all if `ids` is empty. What it finds
/// is taken out of `missing` (which begins as all of the ids, over all data sets).
void keep_ids(std::vector<LongBenchExample>& examples, const std::vector<std::string>& ids,
              std::vector<std::string>& missing);

/// Leaves the shard's examples: those of every n-th document, so that long and short data sets are spread
/// alike; questions on one document that stand next to each other go to the same shard. `n_documents`
/// counts the documents over all data sets, from 0.
void keep_shard(std::vector<LongBenchExample>& examples, const Shard& shard, std::int64_t& n_documents);

}  // namespace kvevict::eval
