#include "engine/kv_context.h"

#include <gtest/gtest.h>

#include <atomic>

#include "kvevict/error.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

TEST(KvContext, AKeyShiftIsNeverCancelledHalfWay) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 33);
  std::atomic<bool> cancel{false};
  SessionOptions options;
  options.positions = PositionMode::kPacked;
  options.cancel = &cancel;
  KvContext context(model, options, 64);
  const llama_seq_id sequence = context.take_sequence();
  const auto decode = [&](std::int64_t position) {
    const BatchToken token{.token = text[static_cast<std::size_t>(position)],
                           .position = position,
                           .sequence = sequence,
                           .wants_logits = true};
    context.decode({&token, 1});
  };
  for (std::int64_t position = 0; position < 32; ++position) decode(position);
  context.carry_out(sequence, {.removed = {{4, 20}}, .shifts = {{{20, 32}, -16}}});

  cancel = true;
  EXPECT_NO_THROW(decode(16));  // rotates the keys, and is not stopped
  EXPECT_TRUE(context.waiting_shifts().empty());
  EXPECT_EQ(context.count_occupied(), 17);
  EXPECT_THROW(decode(17), Error);  // rotates none, and is
  EXPECT_EQ(context.count_occupied(), 17);
  cancel = false;
  EXPECT_NO_THROW(decode(17));
}

}  // namespace
}  // namespace kvevict
