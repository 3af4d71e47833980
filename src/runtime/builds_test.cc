#include "runtime/builds.h"

#include <gtest/gtest.h>

namespace millrace::runtime::builds_test {
namespace {

using std::chrono::milliseconds;

TEST(BuildsTest, AnEndThatFailsIsTriedAgainAndHoldsUpNoOther) {
  std::atomic<int> tries = 0;
  std::atomic<bool> full = true;
  std::atomic<bool> other = false;
  Builds builds(
      [&](uint64_t build) -> Status {
        if (build == 2) {
          other = true;
          return Ok();
        }
        ++tries;
        if (full) return Error(Code::kIo, "no space left");
        return Ok();
      },
      milliseconds(1));
  builds.Complete(1);
  EXPECT_TRUE(builds.WaitUntil([&] { return tries >= 3; }, milliseconds(10'000), nullptr));
  builds.Complete(2);
  EXPECT_TRUE(builds.WaitUntil([&] { return other.load(); }, milliseconds(10'000), nullptr));
  full = false;
  const int before = tries;
  EXPECT_TRUE(builds.WaitUntil([&] { return tries > before; }, milliseconds(10'000), nullptr));
  builds.Stop();
  const int last = tries;
  EXPECT_LE(last, before + 2) << "what has ended is not tried again";
}

TEST(BuildsTest, StopsWhileAnEndFails) {
  Builds builds([](uint64_t) -> Status { return Error(Code::kIo, "no space left"); },
                std::chrono::hours(1));
  builds.Complete(1);
  builds.Stop();
}

}  // namespace
}  // namespace millrace::runtime::builds_test
