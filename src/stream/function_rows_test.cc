// FunctionRows against its law, by the example of range(begin, end, step) with numbers.
#include <gtest/gtest.h>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp"
#include "stream/operator_harness.h"

namespace millrace::stream::function_rows_test {
namespace {

using duckdb::LogicalType;
using testing::Add;
using testing::Cell;
using testing::Changes;
using testing::Harness;
using testing::kNull;
using testing::Relation;
using testing::Row;

const rows::Types kTypes = {LogicalType::BIGINT, LogicalType::BIGINT, LogicalType::BIGINT,
                            LogicalType::VARCHAR};

std::shared_ptr<const duckdb::TableFunction> Range() {
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  std::shared_ptr<const duckdb::TableFunction> function;
  connection.context->RunFunctionInTransaction([&] {
    auto& entry = duckdb::Catalog::GetSystemCatalog(*connection.context)
                      .GetEntry<duckdb::TableFunctionCatalogEntry>(*connection.context,
                                                                   DEFAULT_SCHEMA, "range");
    function = std::make_shared<duckdb::TableFunction>(entry.functions.GetFunctionByArguments(
        *connection.context, {LogicalType::BIGINT, LogicalType::BIGINT, LogicalType::BIGINT}));
  });
  return function;
}

Harness MakeHarness(int workers) {
  FunctionRows call;
  call.function = Range();
  call.arguments = {0, 1, 2};
  call.numbered = true;
  Node node;
  node.op = std::move(call);
  node.types = kTypes;
  node.types.insert(node.types.end(), {LogicalType::BIGINT, LogicalType::BIGINT});
  return Harness(MakeFunctionRows, std::move(node), {{kTypes, {0}}}, workers);
}

Relation Expected(const Relation& input) {
  Relation out;
  for (const auto& [row, weight] : input) {
    if (row[0] == kNull || row[1] == kNull || row[2] == kNull) continue;
    const int64_t step = std::get<int64_t>(row[2]);
    int64_t number = 0;
    for (int64_t i = std::get<int64_t>(row[0]); step > 0 && i < std::get<int64_t>(row[1]);
         i += step) {
      Row made = row;
      made.emplace_back(i);
      made.emplace_back(++number);
      Add(out, made, weight);
    }
  }
  return out;
}

TEST(FunctionRows, GivesTheFunctionsRowsOfEachRow) {
  const uint64_t seed = testing::Seed(1);
  SCOPED_TRACE(seed);
  Random random(seed);
  Harness harness = MakeHarness(2);
  Relation input;
  Relation out;
  for (int step = 0; step < 40; ++step) {
    const Changes changes = testing::RandomChanges(random, input, random.Below(12), [&] {
      const auto number = [&](uint64_t below) -> Cell {
        return random.OneIn(8) ? kNull : Cell(static_cast<int64_t>(random.Below(below)));
      };
      const int64_t by = 1 + static_cast<int64_t>(random.Below(3));
      return Row{number(5), number(12), random.OneIn(8) ? kNull : Cell(by),
                 std::string(random.Below(30), 'x')};
    });
    Add(out, harness.Step({changes}, 1 + random.Below(5)));
    ASSERT_EQ(out, Expected(input)) << "step " << step;
  }
}

TEST(FunctionRows, TakesMoreRowsThanAChunkHolds) {
  Harness harness = MakeHarness(1);
  const Row row = {int64_t{0}, int64_t{5000}, int64_t{1}, std::string("a text of some length")};
  Relation out;
  Add(out, harness.Step({{{row, 2}}}));
  EXPECT_EQ(out, Expected({{row, 2}}));
  Add(out, harness.Step({{{row, -2}}}));
  EXPECT_TRUE(out.empty());
}

TEST(FunctionRows, LeavesOutARowForWhichItFailsAndGoesOnWithTheNext) {
  Harness harness = MakeHarness(1);
  const Row failing = {int64_t{0}, int64_t{3}, int64_t{0}, std::string("by 0")};
  const Row good = {int64_t{0}, int64_t{3}, int64_t{1}, std::string("by 1")};
  Relation out;
  Add(out, harness.Step({{{good, 1}, {failing, 1}, {good, 1}}}));
  EXPECT_EQ(out, Expected({{good, 2}}));
  ASSERT_EQ(harness.failures.size(), 1u);
  EXPECT_EQ(harness.failures[0].weight, 1);
  EXPECT_NE(harness.failures[0].row.find("by 0"), std::string::npos);
  Add(out, harness.Step({{{failing, -1}}}));
  ASSERT_EQ(harness.failures.size(), 1u);
  EXPECT_EQ(harness.failures[0].weight, -1) << "it heals";
  EXPECT_EQ(out, Expected({{good, 2}}));
}

}  // namespace
}  // namespace millrace::stream::function_rows_test
