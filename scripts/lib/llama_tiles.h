// Read before llama.cpp's ggml-cpu/amx/mmq.cpp. GCC before 13 is not told that _tile_loadconfig reads the 64 bytes of the
// configuration: it drops the stores that write them, and the first use of a tile ends with an illegal instruction.
#pragma once
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#include <immintrin.h>
static inline void kvevict_load_tile_configuration(const void* configuration) {
  __asm__ volatile("ldtilecfg %0" : : "m"(*static_cast<const char (*)[64]>(configuration)));
}
#undef _tile_loadconfig
#define _tile_loadconfig kvevict_load_tile_configuration
#endif
