// For tests of a whole node: its answers as texts, and whether a view is right.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/logging.h"
#include "runtime/node.h"
#include "runtime/test_disk.h"

namespace millrace::runtime {

// A result as texts.
using Rows = std::vector<std::vector<std::string>>;
inline Rows Query(Node& node, const std::string& text) {
  const auto result = node.Execute(text, {});
  EXPECT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  Rows rows;
  if (!result.ok() || !result->rows) return rows;
  for (const auto& chunk : result->rows->chunks) {
    for (size_t i = 0; i < chunk->size(); ++i) {
      std::vector<std::string>& row = rows.emplace_back();
      for (size_t j = 0; j < chunk->ColumnCount(); ++j) {
        row.push_back(chunk->GetValue(j, i).ToString());
      }
    }
  }
  return rows;
}

// Rows that a materialized view has too many or lacks against DuckDB's answer to its query over
// what it reads; none where they are equal.
inline Rows Difference(Node& node, const std::string& view) {
  const Rows query =
      Query(node, fmt::format("SELECT query FROM millrace.views WHERE name = '{}'", view));
  EXPECT_EQ(query.size(), 1u) << view;
  if (query.size() != 1) return {};
  return Query(node, fmt::format("SELECT '-', * FROM (FROM {0} EXCEPT ALL ({1})) UNION ALL BY NAME"
                                 " SELECT '+', * FROM (({1}) EXCEPT ALL FROM {0})",
                                 view, query[0][0]));
}

// From the environment variable MILLRACE_SEED, else `otherwise`; printed, so that a failure can be
// replayed.
inline uint64_t SeedOf(uint64_t otherwise) {
  const char* text = std::getenv("MILLRACE_SEED");
  const uint64_t seed = text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
  std::fprintf(stderr, "MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace millrace::runtime
