// For tests: a small shop's catalog, and snapshots of it with rows in memory.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "sql/database.h"

namespace millrace::sql {

inline rows::Column TestColumn(const std::string& name, duckdb::LogicalType type,
                               bool not_null = false) {
  rows::Column column;
  column.name = name;
  column.type = std::move(type);
  column.not_null = not_null;
  return column;
}

inline rows::Schema TestSchema(std::vector<rows::Column> columns) {
  rows::Schema schema;
  for (size_t i = 0; i < columns.size(); ++i) columns[i].id = static_cast<int>(i);
  schema.columns = std::move(columns);
  return schema;
}

inline catalog::Create TestCreate(catalog::Definition definition) {
  catalog::Create create;
  create.object.definition = std::move(definition);
  return create;
}

// Stream order_lines, tables products (keyed) and notes (a bag), and views as given: (name, SELECT,
// materialized).
struct TestView {
  std::string name;
  std::string select;
  std::vector<std::string> reads;
  bool materialized = false;
  rows::Schema schema = {};
};

inline catalog::CatalogPtr ShopCatalog(const std::vector<TestView>& views = {}) {
  using duckdb::LogicalType;
  catalog::StreamDefinition lines;
  lines.name = "order_lines";
  lines.schema = TestSchema({TestColumn("invoice", LogicalType::VARCHAR, true),
                             TestColumn("stock_code", LogicalType::VARCHAR, true),
                             TestColumn("quantity", LogicalType::INTEGER, true),
                             TestColumn("price", LogicalType::DECIMAL(10, 2), true),
                             TestColumn("customer_id", LogicalType::BIGINT),
                             TestColumn("country", LogicalType::VARCHAR),
                             TestColumn("sold_at", LogicalType::TIMESTAMP, true)});
  lines.watermark = {"sold_at", std::chrono::hours(1)};
  catalog::TableDefinition products;
  products.name = "products";
  products.schema = TestSchema({TestColumn("stock_code", LogicalType::VARCHAR, true),
                                TestColumn("name", LogicalType::VARCHAR),
                                TestColumn("category", LogicalType::VARCHAR),
                                TestColumn("price", LogicalType::DECIMAL(10, 2))});
  products.schema.columns[2].default_value = duckdb::Value("misc");
  products.primary_key = {"stock_code"};
  products.checks.push_back({"price >= 0"});
  catalog::TableDefinition notes;
  notes.name = "notes";
  notes.schema =
      TestSchema({TestColumn("who", LogicalType::VARCHAR), TestColumn("n", LogicalType::INTEGER)});
  std::vector<catalog::Change> changes = {TestCreate(lines), TestCreate(products),
                                          TestCreate(notes)};
  for (const TestView& view : views) {
    catalog::ViewDefinition definition;
    definition.name = view.name;
    definition.select = view.select;
    definition.reads = view.reads;
    definition.materialized = view.materialized;
    definition.schema = view.schema;
    changes.push_back(TestCreate(definition));
  }
  auto catalog = catalog::Catalog::Empty()->Apply(changes);
  EXPECT_TRUE(catalog.ok()) << catalog.error().ToString();
  return *catalog;
}

// Relations with rows in memory; those without rows are empty.
class FakeSnapshot final : public Snapshot {
 public:
  explicit FakeSnapshot(catalog::CatalogPtr catalog) : catalog_(std::move(catalog)) {}

  int64_t step() const override { return 7; }
  const catalog::Catalog& catalog() const override { return *catalog_; }

  Result<RelationShape> Shape(std::string_view name) const override {
    const std::string lower = rows::LowerName(name);
    if (lower == "order_lines.quarantine" || lower == "millrace.views") {
      return RelationShape{TestSchema({TestColumn("_reason", duckdb::LogicalType::VARCHAR)}), 1};
    }
    const catalog::Object* object = catalog_->FindRelation(name);
    if (object == nullptr)
      return Error(Code::kNotFound, "relation {} does not exist", Quoted(name));
    return catalog::ShapeOf(*object);
  }

  Result<std::unique_ptr<RelationScan>> Scan(
      std::string_view name, const std::vector<size_t>& columns,
      const std::vector<Equality>& equalities) const override {
    equalities_seen.insert(equalities_seen.end(), equalities.begin(), equalities.end());
    scans_started++;
    if (!scan_error.empty()) return Error(Code::kCorruption, "{}", scan_error);
    if (duckdb_breaks) throw duckdb::InternalException("Vector::Reference of another type");
    return std::unique_ptr<RelationScan>(
        std::make_unique<MemoryScan>(rows[rows::LowerName(name)], columns, endless, scans_alive));
  }

  catalog::CatalogPtr catalog_ptr() const { return catalog_; }

  mutable std::map<std::string, std::vector<std::vector<duckdb::Value>>>
      rows;              // by lower-case name
  bool endless = false;  // scans give their rows again and again
  std::string scan_error;
  bool duckdb_breaks = false;  // DuckDB finds a defect of its own while it runs a query
  mutable std::vector<Equality> equalities_seen;
  mutable std::atomic<int> scans_started = 0;
  std::shared_ptr<std::atomic<int>> scans_alive = std::make_shared<std::atomic<int>>(0);

 private:
  class MemoryScan final : public RelationScan {
   public:
    MemoryScan(const std::vector<std::vector<duckdb::Value>>& rows, std::vector<size_t> columns,
               bool endless, std::shared_ptr<std::atomic<int>> alive)
        : rows_(rows), columns_(std::move(columns)), endless_(endless), alive_(std::move(alive)) {
      ++*alive_;
    }
    ~MemoryScan() override { --*alive_; }
    Status Next(duckdb::DataChunk& out) override {
      if (endless_ && next_ >= rows_.size()) next_ = 0;
      size_t count = 0;
      for (; next_ < rows_.size() && count < STANDARD_VECTOR_SIZE; ++next_, ++count) {
        for (size_t i = 0; i < columns_.size(); ++i)
          out.SetValue(i, count, rows_[next_][columns_[i]]);
      }
      out.SetCardinality(count);
      return Ok();
    }

   private:
    const std::vector<std::vector<duckdb::Value>>& rows_;
    std::vector<size_t> columns_;
    bool endless_;
    std::shared_ptr<std::atomic<int>> alive_;
    size_t next_ = 0;
  };

  catalog::CatalogPtr catalog_;
};

inline std::unique_ptr<Database> OpenTestDatabase() {
  auto database = Database::Open({});
  EXPECT_TRUE(database.ok()) << database.error().ToString();
  return std::move(database).value();
}

// The rows of a result as text, "a|b" a row.
inline std::vector<std::string> Lines(
    const std::vector<std::shared_ptr<duckdb::DataChunk>>& chunks) {
  std::vector<std::string> lines;
  for (const auto& chunk : chunks) {
    for (size_t row = 0; row < chunk->size(); ++row) {
      std::string line;
      for (size_t column = 0; column < chunk->ColumnCount(); ++column) {
        line += (column ? "|" : "") + chunk->GetValue(column, row).ToString();
      }
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

}  // namespace millrace::sql
