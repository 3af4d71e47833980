#include "state/row_tree.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>

#include "base/random.h"

namespace millrace::state::row_tree_test {
namespace {

class RowTreeTest : public testing::Test {
 protected:
  void SetUp() override { arena_ = Arena::Create().value(); }

  Arena::Ref NewRow(const std::string& bytes) {
    const Arena::Ref ref = arena_->Allocate(RowRecord::Bytes(bytes.size()));
    auto* row = arena_->At<RowRecord>(ref);
    row->weight = 1;
    row->group = 0;
    row->flags = 0;
    row->row_bytes = static_cast<uint32_t>(bytes.size()) & RowRecord::kRowBytesMax;
    bytes.copy(reinterpret_cast<char*>(row + 1), bytes.size());
    return ref;
  }
  void Insert(const std::string& bytes) {
    RowTree::Path path;
    ASSERT_EQ(tree_.Locate(*arena_, bytes, path), 0u);
    const Arena::Ref ref = NewRow(bytes);
    tree_.Insert(*arena_, path, ref);
    model_[bytes] = ref;
  }
  void Remove(const std::string& bytes) {
    RowTree::Path path;
    const Arena::Ref ref = tree_.Locate(*arena_, bytes, path);
    ASSERT_EQ(ref, model_[bytes]);
    tree_.Remove(*arena_, path);
    arena_->Free(ref, RowRecord::Bytes(bytes.size()));
    model_.erase(bytes);
  }
  void ExpectEqualFrom(const std::string& from) {
    auto expected = model_.lower_bound(from);
    tree_.Scan(*arena_, from, [&](Arena::Ref ref) {
      EXPECT_NE(expected, model_.end());
      if (expected == model_.end()) return false;
      EXPECT_EQ(ref, expected->second);
      ++expected;
      return true;
    });
    EXPECT_EQ(expected, model_.end());
    EXPECT_EQ(tree_.entries, model_.size());
  }

  std::unique_ptr<Arena> arena_;
  RowTree tree_;
  std::map<std::string, Arena::Ref> model_;
};

TEST_F(RowTreeTest, OrdersRowsThatArePrefixesOfOneAnotherOrDifferInZeroBytes) {
  const std::string zeros(12, '\0');
  for (const size_t length : {3, 0, 12, 8, 1, 7, 9}) Insert(zeros.substr(0, length));
  Insert("a");
  Insert(zeros.substr(0, 8) + "a");
  for (size_t length = 0; length <= 12; ++length) ExpectEqualFrom(zeros.substr(0, length));
  ExpectEqualFrom("b");
}

TEST_F(RowTreeTest, KeepsItsOrderWhenARowDoesNotShareTheSkippedBytes) {
  for (int i = 0; i < 300; ++i) Insert("common prefix " + std::to_string(1000 + i));
  ExpectEqualFrom("common");
  ExpectEqualFrom("a");
  ExpectEqualFrom("z");
  Insert("another");
  Insert("zebra");
  for (const char* from : {"", "a", "another", "b", "common prefix 1100", "zebra", "zz"}) {
    ExpectEqualFrom(from);
  }
}

TEST_F(RowTreeTest, HoldsWhatAMapHoldsThroughGrowthAndDecay) {
  const char* text = std::getenv("MILLRACE_SEED");
  const uint64_t seed =
      text == nullptr ? static_cast<uint64_t>(getpid()) : std::strtoull(text, nullptr, 10);
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  Random random(seed);
  for (const uint64_t space : {20, 3000, 100000}) {
    for (const bool growing : {true, false, true, false}) {
      for (int i = 0; i < 6000; ++i) {
        const uint64_t id = random.Below(space);
        std::string row(random.OneIn(200) ? "" : "head");
        row += std::to_string(id);
        if (const auto found = model_.find(row); found != model_.end()) {
          if (!growing || random.OneIn(8)) Remove(row);
        } else if (growing || random.OneIn(8)) {
          Insert(row);
        } else if (const auto next = model_.lower_bound(row); next != model_.end()) {
          Remove(std::string(next->first));
        }
        if (i % 1000 == 0) ExpectEqualFrom(random.OneIn(2) ? "" : row);
      }
      ExpectEqualFrom("");
    }
    while (!model_.empty()) Remove(std::string(model_.begin()->first));
    ExpectEqualFrom("");
    EXPECT_EQ(arena_->live_bytes(), 0u) << "nodes were not freed";
  }
}

TEST_F(RowTreeTest, TakesRowsInOrderFromEitherEnd) {
  for (int i = 0; i < 20000; ++i) Insert(std::to_string(500000 + i));
  for (int i = 0; i < 20000; ++i) Insert(std::to_string(500000 - 1 - i));
  ExpectEqualFrom("");
  ExpectEqualFrom("499999");
  tree_.Scan(*arena_, {}, [&](Arena::Ref ref) {
    arena_->Free(ref, RowRecord::Bytes(6));
    return true;
  });
  tree_.Clear(*arena_);
  EXPECT_EQ(arena_->live_bytes(), 0u);
}

}  // namespace
}  // namespace millrace::state::row_tree_test
