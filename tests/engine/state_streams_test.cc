#include "engine/state_streams.h"

#include <gtest/gtest.h>

#include "engine/state_reader.h"
#include "engine/state_writer.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// The head of a state, and its caches behind it.
Bytes head() {
  Bytes state;
  add(state, kStateMark);
  add(state, std::int32_t{5});
  return state;
}

void add_words(Bytes& state, std::initializer_list<std::uint32_t> words) {
  for (const std::uint32_t word : words) add(state, word);
}

/// Two cells, one layer of rows of two bytes.
void add_cells(Bytes& state) {
  for (const std::int32_t position : {7, 9}) {
    add(state, position);
    add(state, std::uint32_t{1});
    add(state, std::int32_t{5});
  }
  add_words(state, {0, 1});  // not transposed, one layer
  for (const std::uint8_t value : {std::uint8_t{10}, std::uint8_t{20}}) {
    add(state, std::int32_t{0});
    add(state, std::uint64_t{2});
    add_bytes(state, Bytes{value, 1, 2, 3});
  }
}

/// Of one cache or two, in stream `stream` of `n_streams`.
Bytes state_of(std::uint32_t n_streams, std::uint32_t stream, int n_caches) {
  Bytes state = head();
  for (int cache = 0; cache < n_caches; ++cache) {
    add(state, n_streams);
    for (std::uint32_t s = 0; s < n_streams; ++s) {
      add(state, s == stream ? std::uint32_t{2} : std::uint32_t{0});
      if (s == stream) add_cells(state);
    }
  }
  if (n_caches == 1) add_bytes(state, Bytes{42, 43});  // what lies behind it stays
  return state;
}

TEST(StateStreams, AStateGoesFromEachStreamToThatOfASequenceAloneAndBack) {
  for (const bool has_windows : {false, true}) {
    const StateForm form{.has_windows = has_windows, .has_tail = !has_windows};
    const int n_caches = has_windows ? 2 : 1;
    const Bytes of_one = state_of(1, 0, n_caches);
    for (const std::uint32_t stream : {0U, 1U, 3U}) {
      const Bytes of_four = state_of(4, stream, n_caches);
      EXPECT_EQ(as_of_one_stream(of_four, form, 4), of_one);
      EXPECT_EQ(as_of_streams(of_one, form, 4, static_cast<int>(stream)), of_four);
    }
  }
}

TEST(StateStreams, AnEmptySequenceIsEmptyInBoth) {
  Bytes of_three = head();
  add_words(of_three, {3, 0, 0, 0});
  Bytes of_one = head();
  add_words(of_one, {1, 0});
  EXPECT_EQ(as_of_one_stream(of_three, {}, 3), of_one);
  EXPECT_EQ(as_of_streams(of_one, {}, 3, 1), of_three);
}

TEST(StateStreams, TheBeginningOfAStateMayEndAnywhereBehindItsCells) {
  const StateForm form = form_up_to_keys({});
  const Bytes cut = state_of(4, 2, 1);
  const Bytes of_one = state_of(1, 0, 1);
  for (const std::size_t n : {std::size_t{30}, std::size_t{50}}) {
    const Bytes beginning = as_of_one_stream(Bytes(cut.begin(), cut.begin() + static_cast<long>(n)), form, 4);
    ASSERT_EQ(beginning.size(), n - 8) << "without the two empty streams before it";
    EXPECT_TRUE(std::equal(beginning.begin(), beginning.end(), of_one.begin()));
  }
}

TEST(StateStreams, RefusesWhatItDoesNotKnow) {
  const Bytes of_four = state_of(4, 1, 1);
  EXPECT_THROW((void)as_of_one_stream(of_four, {}, 3), Error) << "another number of streams";
  EXPECT_THROW((void)as_of_streams(of_four, {}, 4, 1), Error) << "several streams already";
  EXPECT_THROW((void)as_of_one_stream({1, 2, 3}, {}, 4), Error);
  EXPECT_THROW((void)as_of_one_stream(Bytes(of_four.begin(), of_four.end() - 20), {}, 4), Error);
  Bytes two = head();
  add_words(two, {2, 2});
  add_cells(two);
  add_words(two, {2});
  add_cells(two);
  EXPECT_THROW((void)as_of_one_stream(two, {}, 2), Error) << "of all sequences";
}

}  // namespace
}  // namespace kvevict
