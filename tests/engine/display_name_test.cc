// What a model is called, by the names that real files carry.
#include "engine/display_name.h"

#include <gtest/gtest.h>

namespace kvevict {
namespace {

struct Case {
  const char* general_name;
  const char* stem;
  const char* shown;
};

TEST(DisplayName, ANameThatSaysWhatTheModelIsStays) {
  for (const char* name :
       {"Qwen2.5 0.5B Instruct", "Meta Llama 3.1 8B Instruct", "Mixtral 8x7B Instruct v0.1", "LLaMA v2",
        "mistralai_mistral-7b-instruct-v0.2", "tinyllama_tinyllama-1.1b-chat-v1.0", "Gemma 3 4b It",
        "Phi 3 Mini 128k Instruct", "Step 3 VL 10B", "Step3.5 Flash", "Hermes 2 Mix", "Deep Seek EP",
        "通义千问 7B", "Epigraph 2", "MixLM 2"}) {
    EXPECT_EQ(display_name(name, "some-file.Q4_K_M"), name);
    EXPECT_EQ(display_name(name, name), name);
  }
}

TEST(DisplayName, ALabelOfATrainingRunGivesWayToTheFileOfTheSameModel) {
  for (const Case& c :
       {Case{"Smollm2 135M 8k Lc100K Mix1 Ep2", "SmolLM2-135M-Instruct.Q8_0", "SmolLM2-135M-Instruct"},
        {"Smollm2 135M 8k Lc100K Mix1 Ep2", "SmolLM2-135M-Instruct.Q4_1", "SmolLM2-135M-Instruct"},
        {"Smollm2 1.7B 8k Mix7 Ep2 v2", "smollm2-1.7b-instruct-q4_k_m", "smollm2-1.7b-instruct"},
        {"Pythia 1.4b step143000", "pythia-1.4b-f16", "pythia-1.4b"},
        {"OLMo 7B step 556000", "OLMo-7B.IQ2_XXS", "OLMo-7B"},
        {"zephyr checkpoint-12000", "zephyr-7b-beta-00001-of-00002", "zephyr-7b-beta"}}) {
    EXPECT_EQ(display_name(c.general_name, c.stem), c.shown);
  }
}

TEST(DisplayName, ALabelStaysInAFileThatIsCalledSomethingElse) {
  EXPECT_EQ(display_name("Smollm2 135M 8k Lc100K Mix1 Ep2", "model"), "Smollm2 135M 8k Lc100K Mix1 Ep2");
  EXPECT_EQ(display_name("Smollm2 135M 8k Lc100K Mix1 Ep2", "ggml-model-q4_0"),
            "Smollm2 135M 8k Lc100K Mix1 Ep2");
}

TEST(DisplayName, WithoutANameTheFileHasIt) {
  EXPECT_EQ(display_name("", "SmolLM2-135M-Instruct.Q8_0"), "SmolLM2-135M-Instruct");
  EXPECT_EQ(display_name("", "tiny"), "tiny");
  EXPECT_EQ(display_name(".", "gpt2.f32"), "gpt2");
  EXPECT_EQ(display_name("", "-f16"), "-f16");
  EXPECT_EQ(display_name("", "yi-34b-200k-mxfp4_moe"), "yi-34b-200k");
}

}  // namespace
}  // namespace kvevict
