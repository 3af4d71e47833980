// The recomputed operators against a recomputation of its law, by the example of row_number() OVER
// (PARTITION BY k ORDER BY v, id). What other functions and frames give is held by tests/sql and
// the fuzzer.
#include "stream/recomputed.h"

#include <gmock/gmock.h>

#include "duckdb/function/aggregate_function.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression/bound_window_expression.hpp"
#include "stream/operator_harness.h"

namespace millrace::stream::recomputed_test {
namespace {

using testing::Add;
using testing::Changes;
using testing::Harness;
using testing::kNull;
using testing::Relation;
using testing::Row;

const rows::Types kTypes = {duckdb::LogicalType::BIGINT, duckdb::LogicalType::BIGINT,
                            duckdb::LogicalType::BIGINT};  // partition, order, id

duckdb::unique_ptr<duckdb::Expression> Column(size_t index) {
  return duckdb::make_uniq<duckdb::BoundReferenceExpression>(kTypes[index], index);
}

// row_number() OVER (PARTITION BY k ORDER BY v, id)
Expression RowNumber() {
  auto call = duckdb::make_uniq<duckdb::BoundWindowExpression>(
      duckdb::ExpressionType::WINDOW_ROW_NUMBER, duckdb::LogicalType::BIGINT, nullptr, nullptr);
  call->partitions.push_back(Column(0));
  for (const size_t column : {1, 2}) {
    call->orders.emplace_back(duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_LAST,
                              Column(column));
  }
  call->start = duckdb::WindowBoundary::UNBOUNDED_PRECEDING;
  call->end = duckdb::WindowBoundary::CURRENT_ROW_ROWS;
  return Expression(call.release());
}

Node WindowNode() {
  Node node;
  node.op = Window{{0}, {RowNumber()}};
  node.inputs = {0};
  node.types = kTypes;
  node.types.push_back(duckdb::LogicalType::BIGINT);
  return node;
}

bool NullsLast(const Row& a, const Row& b) {
  const auto key = [](const testing::Cell& cell) {
    const bool null = cell == kNull;
    return std::pair(null, null ? 0 : std::get<int64_t>(cell));
  };
  return std::pair(key(a[1]), key(a[2])) < std::pair(key(b[1]), key(b[2]));
}

Relation Expected(const Relation& input) {
  std::map<testing::Cell, std::vector<Row>> partitions;
  for (const auto& [row, weight] : input) {
    for (int64_t copy = 0; copy < weight; ++copy) partitions[row[0]].push_back(row);
  }
  Relation out;
  for (auto& [key, rows] : partitions) {
    std::stable_sort(rows.begin(), rows.end(), NullsLast);
    for (size_t i = 0; i < rows.size(); ++i) {
      Row numbered = rows[i];
      numbered.emplace_back(static_cast<int64_t>(i + 1));
      Add(out, numbered, 1);
    }
  }
  return out;
}

TEST(WindowTest, NumbersEachPartitionAnewThroughChangesFlushesAndRestarts) {
  const uint64_t seed = testing::Seed(1);
  SCOPED_TRACE(seed);
  Random random(seed);
  Harness harness(MakeWindow, WindowNode(), {{kTypes, {0}}}, 2);
  Relation input;
  Relation output;
  for (int step = 0; step < 60; ++step) {
    const Changes changes = testing::RandomChanges(random, input, 1 + random.Below(20), [&] {
      const auto value = [&](uint64_t below) -> testing::Cell {
        if (random.OneIn(6)) return kNull;
        return static_cast<int64_t>(random.Below(below));
      };
      return Row{value(4), value(5), value(3)};
    });
    Add(output, harness.Step({changes}, 1 + random.Below(30)));
    ASSERT_EQ(output, Expected(input)) << "step " << step;
    testing::MaybeFlushOrRestart(random, harness);
  }
}

TEST(WindowTest, APartitionOfManyChunksIsComputedWhole) {
  Harness harness(MakeWindow, WindowNode(), {{kTypes, {0}}}, 1);
  Relation input;
  Changes changes;
  for (int64_t i = 0; i < 5000; ++i) changes.push_back({{int64_t{7}, i % 10, i}, 1});
  Add(input, changes);
  Relation output;
  Add(output, harness.Step({changes}));
  EXPECT_EQ(output, Expected(input));
  const Changes first = {{{int64_t{7}, int64_t{0}, int64_t{-1}}, 1}};
  Add(input, first);
  Add(output, harness.Step({first}));
  EXPECT_EQ(output, Expected(input)) << "every row moved by one";
}

TEST(WindowTest, WhatCancelsOutChangesNothing) {
  Harness harness(MakeWindow, WindowNode(), {{kTypes, {0}}}, 1);
  const Row row = {int64_t{1}, int64_t{1}, int64_t{1}};
  EXPECT_EQ(harness.Step({{{row, 1}, {row, -1}}}).size(), 0u);
  EXPECT_EQ(harness.Step({{{row, 1}}}).size(), 1u);
  EXPECT_EQ(harness.Step({{{row, -1}, {row, 1}}}).size(), 0u);
}

}  // namespace
}  // namespace millrace::stream::recomputed_test
