// Rows for tests, made by DuckDB itself. Only for *_test.cc.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "rows/batch.h"

namespace millrace::rows::testing {

struct Table {
  std::vector<std::string> names;
  Types types;
  std::vector<std::unique_ptr<duckdb::DataChunk>> chunks;  // flat
};

inline Table Query(const std::string& sql) {
  static duckdb::DuckDB db(nullptr);  // one for all tests: opening it is most of their time
  duckdb::Connection connection(db);
  auto result = connection.Query(sql);
  if (result->HasError()) throw std::runtime_error(result->GetError());
  Table table;
  table.names.assign(result->names.begin(), result->names.end());
  table.types = result->types;
  while (auto chunk = result->Fetch()) {
    chunk->Flatten();
    table.chunks.push_back(std::unique_ptr<duckdb::DataChunk>(chunk.release()));
  }
  return table;
}

// Every type with its least value, its greatest value and NULL, in three rows.
inline Table AllTypes() { return Query("SELECT * EXCLUDE (geometry) FROM test_all_types()"); }

inline duckdb::DataChunk& EmptyChunk(duckdb::DataChunk& chunk, const Types& types) {
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  return chunk;
}

inline std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

inline uint64_t Seed() {
  const char* text = std::getenv("MILLRACE_SEED");
  const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}();
  std::printf("MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace millrace::rows::testing
