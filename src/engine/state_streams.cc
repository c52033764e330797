#include "engine/state_streams.h"

#include <cstring>

#include "engine/state_reader.h"
#include "engine/state_writer.h"

namespace kvevict {
namespace {

constexpr std::size_t kWord = sizeof(std::uint32_t);
constexpr std::size_t kBeforeStreams = 2 * kWord;  // the mark and the sequence

/// Most caches behind the mark and the sequence: two, if layers with a window may have one of their own
/// behind the others. Not each model that names a window has it, least of all one with a fixed state: where
/// both come together, the rest stays as it is, and a pool refuses the model.
int n_caches(StateForm form) {
  return form.has_windows && !form.has_tail && !form.ends_at_keys ? 2 : 1;
}

StateReader behind_sequence(std::span<const std::uint8_t> state) {
  StateReader in(state);
  if (in.read<std::uint32_t>() != kStateMark) refuse_state("begins with an unknown mark");
  in.read<std::int32_t>();
  return in;
}

void require_streams(StateReader& in, int n_streams) {
  if (in.read<std::uint32_t>() != static_cast<std::uint32_t>(n_streams))
    refuse_state("has another number of streams than its context");
}

/// Where a word of the state lies that says of a stream that it is empty.
using Places = std::vector<std::size_t>;

/// Notes the empty streams of one cache, of which one is left if there is no other, and steps over its cells.
void find_empty_streams(StateReader& in, StateForm form, int n_streams, Places& empty) {
  require_streams(in, n_streams);
  bool is_found = false;
  for (int stream = 0; stream < n_streams; ++stream) {
    const std::size_t at = in.at();
    const auto n_cells = in.read<std::uint32_t>();
    if (n_cells == 0) {
      empty.push_back(at);
      continue;
    }
    if (is_found) refuse_state("has cells of several streams");
    is_found = true;
    if (form.ends_at_keys) return;
    static_cast<void>(read_cache(in, form, n_cells));
  }
  if (!is_found) empty.pop_back();
}

/// Takes the words at `places`, ascending, out of `state`: in place, for it may be most of the memory.
void take_out(std::vector<std::uint8_t>& state, const Places& places) {
  std::size_t to = places.empty() ? 0 : places.front();
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::size_t from = places[i] + kWord;
    const std::size_t end = i + 1 < places.size() ? places[i + 1] : state.size();
    std::memmove(state.data() + to, state.data() + from, end - from);
    to += end - from;
  }
  if (!places.empty()) state.resize(to);
}

}  // namespace

std::vector<std::uint8_t> as_of_one_stream(std::vector<std::uint8_t> state, StateForm form, int n_streams) {
  StateReader in = behind_sequence(state);
  Places empty;
  for (int cache = 0; cache < n_caches(form) && !in.is_at_end(); ++cache) {
    const std::size_t at = in.at();
    find_empty_streams(in, form, n_streams, empty);
    const std::uint32_t one = 1;
    std::memcpy(state.data() + at, &one, sizeof one);
  }
  take_out(state, empty);
  return state;
}

std::vector<std::uint8_t> as_of_streams(std::span<const std::uint8_t> state, StateForm form, int n_streams,
                                        int stream) {
  StateReader in = behind_sequence(state);
  std::vector<std::uint8_t> out;
  out.reserve(state.size() + static_cast<std::size_t>(n_streams * n_caches(form)) * kWord);
  add_bytes(out, state.first(kBeforeStreams));
  for (int cache = 0; cache < n_caches(form) && !in.is_at_end(); ++cache) {
    require_streams(in, 1);
    add(out, static_cast<std::uint32_t>(n_streams));
    const auto n_cells = in.read<std::uint32_t>();
    for (int s = 0; s < n_streams; ++s) {
      add(out, s == stream ? n_cells : std::uint32_t{0});
      if (s != stream || n_cells == 0) continue;
      const std::size_t from = in.at();
      static_cast<void>(read_cache(in, form, n_cells));
      add_bytes(out, state.subspan(from, in.at() - from));
    }
  }
  add_bytes(out, state.subspan(in.at()));
  return out;
}

}  // namespace kvevict
