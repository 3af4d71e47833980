#include "runtime/node_state.h"

#include <gtest/gtest.h>

#include "runtime/journal.h"

namespace millrace::runtime::node_state_test {
namespace {

ingest::DoorCountMap SomeDoor() {
  return {{{"lines", "http"}, {10, 7, 2, 1}}, {{"lines", "sql"}, {1, 1, 0, 0}}};
}

NodeState SomeState() {
  NodeState state;
  state.step = {42};
  state.clock = {1'700'000'000'000'000};
  state.frame = {99};
  state.catalog_version = 3;
  state.positions[{{7}, 0}] = {{1000}, kNoEventTime, {0}};
  state.positions[{{7}, 1}] = {{0}, -5, {1'700'000'000'000'000}};
  state.watermarks["lines#1"] = {-1};
  state.books["lines#1"] = {14, 6, 2, 1, 1, 1, 4};
  state.door = SomeDoor();
  state.reads[{"lines#1", "view#2"}] = {6, 4, 1, 1};
  state.shared["view#2"] = {{0xfedc, 1}, {8, 7}};
  return state;
}

TEST(NodeState, ComesBackAsItWas) {
  const NodeState before = SomeState();
  const auto after = DecodeNodeState(EncodeNodeState(before));
  ASSERT_TRUE(after.ok()) << after.error().ToString();
  EXPECT_EQ(after->step, before.step);
  EXPECT_EQ(after->positions.at({{7}, 1}).event_time_max, -5);
  EXPECT_EQ(after->positions.at({{7}, 0}).next, log::Offset{1000});
  EXPECT_EQ(after->watermarks, before.watermarks);
  EXPECT_EQ(after->books.at("lines#1").late_diverted, 1);
  EXPECT_EQ(after->books.at("lines#1").aborted, 4);
  EXPECT_EQ(after->door, before.door);
  EXPECT_EQ(after->reads, before.reads);
  EXPECT_EQ(after->shared, before.shared);
  EXPECT_EQ(EncodeNodeState(*after), EncodeNodeState(before));
}

TEST(NodeState, IsCorruptWhenItsEndIsMissing) {
  const std::string bytes = EncodeNodeState(SomeState());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeNodeState(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
}

TEST(NodeState, OfVersion3IsReadWithoutWhatItDidNotCount) {
  NodeState state = SomeState();
  state.books["lines#1"].aborted = 0;
  state.door.clear();
  state.reads.clear();
  state.builds.clear();
  state.shared.clear();
  std::string bytes = EncodeNodeState(state);
  // Behind the one stream's books: its aborted records, then four empty lists.
  bytes.erase(bytes.size() - 5, 1);
  bytes.pop_back();
  bytes[0] = 3;
  const auto decoded = DecodeNodeState(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_EQ(EncodeNodeState(*decoded), EncodeNodeState(state));
}

TEST(NodeState, OfAnotherVersionIsRefused) {
  std::string bytes = EncodeNodeState(SomeState());
  bytes[0] = 1;
  const auto decoded = DecodeNodeState(bytes);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code(), Code::kNotSupported);
}

StepRecord SomeRecord() {
  StepRecord record;
  record.step = {7};
  record.clock = {1'700'000'000'000'000};
  record.frame = {12};
  record.catalog_version = 2;
  record.ends = {{{{5}, 0}, {100}}, {{{5}, 3}, {1}}};
  record.door = SomeDoor();
  return record;
}

TEST(StepRecord, ComesBackAsItWas) {
  const StepRecord before = SomeRecord();
  const auto after = DecodeStepRecord(EncodeStepRecord(before));
  ASSERT_TRUE(after.ok()) << after.error().ToString();
  EXPECT_EQ(after->step, before.step);
  EXPECT_EQ(after->clock.value, before.clock.value);
  EXPECT_EQ(after->frame, before.frame);
  EXPECT_EQ(after->catalog_version, before.catalog_version);
  EXPECT_EQ(after->ends, before.ends);
  EXPECT_EQ(after->door, before.door);
}

TEST(StepRecord, IsCorruptWhenItsEndIsMissing) {
  const std::string bytes = EncodeStepRecord(SomeRecord());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeStepRecord(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
}

TEST(StepRecord, OfOtherSemanticsIsRefusedWithWhatToDo) {
  StepRecord record = SomeRecord();
  record.semantics = kSemantics + 1;
  const auto decoded = DecodeStepRecord(EncodeStepRecord(record));
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code(), Code::kConflict);
  EXPECT_FALSE(decoded.error().hint().empty());
}

}  // namespace
}  // namespace millrace::runtime::node_state_test
