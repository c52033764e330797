#include <gtest/gtest.h>

#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

std::string slow(KvType k, KvType v, FlashAttention flash = FlashAttention::kAuto) {
  static const auto model = test::load_model(test::tiny_model_path());
  SessionOptions options;
  options.type_k = k;
  options.type_v = v;
  options.flash_attention = flash;
  return slow_kv_types(*model, options);
}

TEST(SlowKvTypes, AreNoneOfThoseThatTheCpuComputesInTiles) {
  EXPECT_EQ(slow(KvType::kF16, KvType::kF16), "");
  EXPECT_EQ(slow(KvType::kF32, KvType::kF32, FlashAttention::kOn), "");
}

TEST(SlowKvTypes, AreNamedWithWhatWouldBeFaster) {
  EXPECT_EQ(slow(KvType::kBf16, KvType::kBf16),
            "K and V of type bf16 make a prefill with flash attention two to three times as slow on a CPU as "
            "f16: use f16, or turn flash attention off");
  EXPECT_EQ(slow(KvType::kQ8_0, KvType::kQ8_0),
            "K and V of type q8_0 make a prefill with flash attention two to three times as slow on a CPU as "
            "f16: use f16 where memory allows");
  EXPECT_EQ(
      slow(KvType::kF16, KvType::kF32),
      "K of type f16 and V of type f32 make a prefill with flash attention two to three times as slow on "
      "a CPU as f16: use f16, or turn flash attention off");
}

TEST(SlowKvTypes, AreFastWithoutFlashAttention) {
  EXPECT_EQ(slow(KvType::kBf16, KvType::kBf16, FlashAttention::kOff), "");
}

}  // namespace
}  // namespace kvevict
