/* Writes a GGUF file anew with weights of eight bits (Q8_0), by llama.cpp's own quantiser: scripts/setup.sh
 * makes the default model with it. Weights of four bits are prefilled at half the speed, for llama.cpp has no
 * fast kernel for Q4_1. Tensors of one dimension stay what they are (f32), and so do those that are Q8_0
 * already.
 *
 *   requantize FROM.gguf TO.gguf
 */
#include <llama.h>
#include <stdio.h>

static void print_failures(enum ggml_log_level level, const char* text, void* nothing) {
  (void)nothing;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fputs("usage: requantize FROM.gguf TO.gguf\n", stderr);
    return 2;
  }
  llama_log_set(print_failures, NULL);
  struct llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = LLAMA_FTYPE_MOSTLY_Q8_0;
  params.allow_requantize = true;
  if (llama_model_quantize(argv[1], argv[2], &params) != 0) {
    fprintf(stderr, "requantize: llama.cpp could not write %s from %s\n", argv[2], argv[1]);
    return 1;
  }
  return 0;
}
