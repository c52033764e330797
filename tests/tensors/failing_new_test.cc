#include "support/failing_new.h"

#include <gtest/gtest.h>

#include <new>
#include <vector>

namespace kvevict::test {

TEST(FailingNewTest, FailsTheAllocationThatWasNamedAndOnlyThat) {
  constexpr std::size_t kBytes = 32;
  const auto allocate = [] { return ::operator new(kBytes); };  // a call, which a compiler may not leave out
  std::vector<void*> memory = {nullptr, nullptr};
  fail_allocation(2);
  memory[0] = allocate();
  EXPECT_THROW(memory[1] = allocate(), std::bad_alloc);
  memory[1] = allocate();
  EXPECT_GE(allocated_bytes(), static_cast<std::int64_t>(2 * kBytes));
  for (void* const piece : memory) ::operator delete(piece);
}

}  // namespace kvevict::test
