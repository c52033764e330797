#include "engine/kv_context.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>

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
  EXPECT_TRUE(context.waiting_shifts(sequence).empty());
  EXPECT_EQ(context.count_occupied(sequence), 17);
  EXPECT_THROW(decode(17), Error);  // rotates none, and is
  EXPECT_EQ(context.count_occupied(sequence), 17);
  cancel = false;
  EXPECT_NO_THROW(decode(17));
}

/// Two sequences with cells of their own, of 20 tokens each.
class KvContextOfStreams : public testing::Test {
 protected:
  KvContextOfStreams() {
    options_.type_k = options_.type_v = KvType::kF32;
    options_.cancel = &cancel_;
    context_.emplace(model_, options_, 64, std::nullopt, 0, 2);
    for (llama_seq_id s : {context_->take_sequence(), context_->take_sequence()}) {
      for (std::int64_t position = 0; position < 20; ++position) batch_.push_back(token(position, s));
    }
    context_->decode(batch_);
  }

  [[nodiscard]] BatchToken token(std::int64_t position, llama_seq_id sequence) const {
    return {.token = text_[static_cast<std::size_t>(position)],
            .position = position,
            .sequence = sequence,
            .wants_logits = false};
  }

  std::shared_ptr<const Model> model_ = test::load_model(test::shallow_model_path());
  std::vector<Token> text_ = test::prose_tokens(*model_, 40);
  std::atomic<bool> cancel_{false};
  SessionOptions options_;
  std::optional<KvContext> context_;
  std::vector<BatchToken> batch_;
};

TEST_F(KvContextOfStreams, ABatchThatIsCancelledLeavesAllSequencesAsTheyWere) {
  const auto first = context_->copy(0);
  const auto second = context_->copy(1);
  const BatchToken batch[] = {token(20, 0), token(21, 0), token(20, 1)};
  cancel_ = true;
  EXPECT_THROW(context_->decode(batch), Error);
  cancel_ = false;
  EXPECT_EQ(context_->copy(0), first);
  EXPECT_EQ(context_->copy(1), second);
  EXPECT_NO_THROW(context_->decode(batch));
  EXPECT_EQ(context_->count_occupied(0), 22);
  EXPECT_EQ(context_->count_occupied(1), 21);
}

TEST_F(KvContextOfStreams, ShiftsOfSeveralSequencesWaitForOneDecode) {
  const auto second = context_->copy(1);
  context_->carry_out(0, {.removed = {{4, 12}}, .shifts = {{{12, 20}, -8}}});
  EXPECT_EQ(context_->copy(1), second);
  context_->carry_out(1, {.removed = {{2, 5}}, .shifts = {{{5, 20}, -3}}});
  EXPECT_EQ(context_->waiting_shifts(0).size(), 1U);
  EXPECT_EQ(context_->waiting_shifts(1).size(), 1U);
  const BatchToken batch[] = {token(12, 0)};
  context_->decode(batch);
  EXPECT_TRUE(context_->waiting_shifts(0).empty());
  EXPECT_TRUE(context_->waiting_shifts(1).empty()) << "turned with the other's";
  EXPECT_EQ(context_->count_occupied(0), 13);
  EXPECT_EQ(context_->count_occupied(1), 17);
}

TEST_F(KvContextOfStreams, APlaceThatIsGivenBackIsEmptyForTheNext) {
  context_->carry_out(1, {.removed = {{4, 12}}, .shifts = {{{12, 20}, -8}}});
  const auto first = context_->copy(0);
  context_->release_sequence(1);
  EXPECT_EQ(context_->count_occupied(1), 0);
  EXPECT_TRUE(context_->waiting_shifts(1).empty());
  EXPECT_EQ(context_->take_sequence(), 1);
  EXPECT_EQ(context_->copy(0), first);
}

}  // namespace
}  // namespace kvevict
