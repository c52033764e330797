#include "serving/random_name.h"

#include <cstdint>
#include <random>
#include <string_view>

namespace kvevict::serving {

std::string random_name() {
  static thread_local std::random_device device;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string name;
  for (int i = 0; i < 4; ++i) {
    std::uint32_t bits = device();
    for (int j = 0; j < 4; ++j, bits >>= 4U) name += kDigits[bits & 15U];
  }
  return name;
}

}  // namespace kvevict::serving
