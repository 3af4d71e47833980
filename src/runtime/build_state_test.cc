#include "runtime/build_state.h"

#include <gtest/gtest.h>

#include "state/view_table.h"

namespace millrace::runtime::build_state_test {
namespace {

constexpr uint32_t kParts = state::ViewTable::kParts;

BuildState OfBoth() {
  BuildState build;
  build.started = {77};
  BuildInput& stream = build.inputs["s#1"];
  stream.ranges[0] = {log::Offset{5}, log::Offset{5}, log::Offset{105}};
  stream.ranges[3] = {log::Offset{0}, log::Offset{0}, log::Offset{7}};
  BuildInput& table = build.inputs["t#1"];
  table.content = true;
  table.rows = 4096;
  return build;
}

TEST(BuildState, IsFedContentsFirstThenStreamsUntilAllIsIn) {
  BuildState build = OfBoth();
  std::vector<std::string> order;
  int slices = 0;
  for (double before = -1; auto slice = NextSlice(9, build, 50); ++slices) {
    EXPECT_EQ(slice->build, 9u);
    if (order.empty() || order.back() != slice->relation) order.push_back(slice->relation);
    EXPECT_GT(RowsOf(*slice, build), 0);
    ASSERT_TRUE(TakeSlice(*slice, build).ok());
    EXPECT_GT(build.fraction(), before);
    before = build.fraction();
    ASSERT_LT(slices, 1000);
  }
  EXPECT_EQ(order, (std::vector<std::string>{"t#1", "s#1"}));
  EXPECT_TRUE(build.complete());
  EXPECT_EQ(build.fraction(), 1.0);
  EXPECT_EQ(build.inputs["s#1"].rows_done(), 107);
}

TEST(BuildState, TakesAboutAsManyRowsAsAskedFor) {
  BuildState build = OfBoth();
  EXPECT_EQ(NextSlice(9, build, 40)->parts, 10u);  // 4 rows a part
  EXPECT_EQ(NextSlice(9, build, 1)->parts, 1u);
  EXPECT_EQ(NextSlice(9, build, 1'000'000)->parts, kParts);
  build.inputs["t#1"].parts = kParts;
  const auto slice = NextSlice(9, build, 20);
  ASSERT_EQ(slice->ends.size(), 2u);
  EXPECT_EQ(slice->ends[0].second.value, 15);
  EXPECT_EQ(slice->ends[1].second.value, 7);
}

// A part in which no row is would cost a step like any other, and look like no progress.
TEST(BuildState, TakesNoMoreSlicesOfAContentThanItHasRows) {
  for (const int64_t rows : {1, 3, 50, 1000, 1024, 1025, 5000}) {
    BuildState build;
    build.inputs["t#1"].content = true;
    build.inputs["t#1"].rows = rows;
    int64_t slices = 0;
    for (; const auto slice = NextSlice(9, build, 1); ++slices) {
      const double before = build.fraction();
      ASSERT_TRUE(TakeSlice(*slice, build).ok());
      EXPECT_GT(build.fraction(), before) << rows;
    }
    EXPECT_LE(slices, rows);
  }
}

TEST(BuildState, OfNothingIsComplete) {
  const BuildState build;
  EXPECT_TRUE(build.complete());
  EXPECT_EQ(build.fraction(), 1.0);
  EXPECT_FALSE(NextSlice(1, build, 10));
}

TEST(BuildState, ASliceOfWhatItDoesNotReadIsCorruption) {
  BuildState build = OfBoth();
  HistorySlice slice{9, "other#1", {}, 4};
  EXPECT_EQ(TakeSlice(slice, build).error().code(), Code::kCorruption);
  slice = {9, "s#1", {{1, log::Offset{3}}}, 0};
  EXPECT_EQ(TakeSlice(slice, build).error().code(), Code::kCorruption);
}

TEST(BuildState, ComesBackAsItWas) {
  BuildState build = OfBoth();
  build.inputs["s#1"].ranges[3].next = log::Offset{4};
  build.inputs["u#1"] = build.inputs["t#1"];
  build.inputs["u#1"].parts_by = {2, 0};
  std::string bytes;
  PutBuild(bytes, build);
  Reader reader(bytes);
  const auto read = ReadBuild(reader);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->inputs.at("u#1").parts_by, (std::vector<size_t>{2, 0}));
  EXPECT_TRUE(read->inputs.at("t#1").parts_by.empty());
  std::string again;
  PutBuild(again, *read);
  EXPECT_EQ(again, bytes);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    Reader shorter(std::string_view(bytes).substr(0, cut));
    EXPECT_FALSE(ReadBuild(shorter).ok()) << cut;
  }
}

TEST(HistorySlice, ComesBackAsItWas) {
  const HistorySlice slice{300, "s#1", {{0, log::Offset{12}}, {7, log::Offset{1'000'000}}}, 55};
  std::string bytes;
  PutSlice(bytes, slice);
  Reader reader(bytes);
  const auto read = ReadSlice(reader);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->build, slice.build);
  EXPECT_EQ(read->relation, slice.relation);
  EXPECT_EQ(read->ends, slice.ends);
  EXPECT_EQ(read->parts, slice.parts);
}

}  // namespace
}  // namespace millrace::runtime::build_state_test
