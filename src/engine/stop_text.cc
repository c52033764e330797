#include "engine/stop_text.h"

#include <algorithm>
#include <utility>

namespace kvevict {

/// Where the longest end of the text begins that some stop begins with; its size if there is none.
std::size_t StopText::begin_of_possible_stop() const {
  const std::string_view text = held_back_;
  std::size_t begin = text.size();
  for (const std::string& stop : stops_) {
    for (std::size_t n = std::min(stop.size() - 1, text.size()); n > text.size() - begin; --n) {
      if (text.ends_with(std::string_view(stop).substr(0, n))) begin = text.size() - n;
    }
  }
  return begin;
}

std::string StopText::add(std::string_view text) {
  if (is_reached_) return {};
  held_back_ += text;
  std::size_t end = std::string::npos;
  for (const std::string& stop : stops_) end = std::min(end, held_back_.find(stop));
  is_reached_ = end != std::string::npos;
  std::string out = held_back_.substr(0, is_reached_ ? end : begin_of_possible_stop());
  held_back_ = is_reached_ ? "" : held_back_.substr(out.size());
  return out;
}

std::string StopText::take_rest() {
  return std::exchange(held_back_, {});
}

}  // namespace kvevict
