// For tests of contents: rows of a number and a text as plain maps.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/coding.h"
#include "base/random.h"
#include "state/view_table.h"

namespace millrace::state {

inline constexpr TableId kTable{4711};
using Rows = std::map<std::pair<int64_t, std::string>, rows::Weight>;

inline uint64_t Seed() {
  const char* text = std::getenv("MILLRACE_SEED");
  return text == nullptr ? static_cast<uint64_t>(getpid()) * 7919
                         : std::strtoull(text, nullptr, 10);
}

inline rows::Types TypesOfRows() {
  return {duckdb::LogicalType::BIGINT, duckdb::LogicalType::VARCHAR};
}

inline rows::Batch ToBatch(const std::vector<std::pair<Rows::key_type, rows::Weight>>& rows) {
  rows::BatchBuilder builder(TypesOfRows());
  duckdb::DataChunk row;
  row.Initialize(duckdb::Allocator::DefaultAllocator(), TypesOfRows(), 1);
  for (const auto& [key, weight] : rows) {
    row.Reset();
    row.SetValue(0, 0, duckdb::Value::BIGINT(key.first));
    row.SetValue(1, 0, duckdb::Value(key.second));
    row.SetCardinality(1);
    builder.AppendRow(row, 0, weight);
  }
  return builder.Finish();
}

inline void AddTo(Rows& out, duckdb::DataChunk& chunk, size_t row, rows::Weight weight) {
  rows::Weight& sum =
      out[{chunk.GetValue(0, row).GetValue<int64_t>(), chunk.GetValue(1, row).ToString()}];
  EXPECT_EQ(sum, 0) << "a row is given twice";
  sum += weight;
}

inline Rows ToRows(const rows::Batch& batch) {
  Rows out;
  for (const rows::Batch::Part& part : batch.parts) {
    for (size_t i = 0; i < part.rows->size(); ++i) AddTo(out, *part.rows, i, part.weight(i));
  }
  return out;
}

inline void AddEncoded(Rows& out, std::string_view row, rows::Weight weight) {
  rows::RowDecoder decoder(TypesOfRows());
  duckdb::DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), TypesOfRows(), 1);
  ASSERT_TRUE(decoder.Decode(std::span(&row, 1), chunk, 0).ok());
  chunk.SetCardinality(1);
  AddTo(out, chunk, 0, weight);
}

inline Rows ScanAll(const ViewTable& table, Step step, size_t at_once = 7) {
  Rows out;
  const auto scan = table.Scan(step);
  for (bool more = true; more;) {
    auto next = scan->Next(
        at_once, [&](std::string_view row, rows::Weight weight) { AddEncoded(out, row, weight); });
    EXPECT_TRUE(next.ok()) << next.error().ToString();
    more = next.ok() && *next;
  }
  return out;
}

inline Rows LookUp(const ViewTable& table, size_t column, const duckdb::Value& value, Step step) {
  duckdb::DataChunk key;
  key.Initialize(duckdb::Allocator::DefaultAllocator(), {TypesOfRows()[column]}, 1);
  key.SetValue(0, 0, value);
  key.SetCardinality(1);
  rows::KeyEncoder encoder;
  rows::BatchBuilder found(TypesOfRows());
  const auto looked_up = table.Lookup({column}, encoder.Encode(key)[0], step, found);
  EXPECT_TRUE(looked_up.ok()) << looked_up.error().ToString();
  if (looked_up.ok() && !*looked_up) {
    const Status scanned = table.LookupByScan(
        {column}, encoder.Encode(key)[0], step, [] { return Ok(); }, found);
    EXPECT_TRUE(scanned.ok()) << scanned.error().ToString();
  }
  return ToRows(found.Finish());
}

}  // namespace millrace::state
