// How Millrace's relations get into DuckDB: an unknown table name becomes a call of the table
// function mr_scan, or, for a plain view, the view's own query. mr_scan has projection pushdown,
// but neither statistics nor filter pushdown: DuckDB would fold a filter over a relation that is
// empty today to nothing.
//
// Names: x, main.x and public.x are the relation x; any other a.b is the relation "a.b"
// (clicks.quarantine, millrace.views), as is the quoted "a.b". All without regard to case. A common
// table expression of the same name goes first, as in any SQL. Thread rule: the functions use the
// QueryContext of the connection that calls them.
#pragma once

#include "duckdb.hpp"
#include "duckdb/function/table_function.hpp"
#include "duckdb/planner/operator/logical_get.hpp"
#include "sql/column_copy.h"
#include "sql/query_context.h"

namespace millrace::sql {

inline constexpr const char* kScanFunction = "mr_scan";

// Before a database is opened.
void RegisterReplacementScan(duckdb::DBConfig& config);
// Once, after it was opened. May throw DuckDB's exceptions.
void RegisterScanFunction(duckdb::Connection& connection);

// What mr_scan was bound to.
class ScanBinding final : public duckdb::TableFunctionData {
 public:
  std::string relation;
  catalog::RelationShape shape;
  bool row_numbers = false;
  // `column = value` conditions that stand above the scan: hints to read less, the filter stays
  // where it is. A value is constant within one execution: a constant or a parameter.
  struct Equality {
    size_t column;
    std::shared_ptr<const duckdb::Expression> value;
  };
  std::vector<Equality> equalities;
  // Only what this copy does not have is read; nullptr: all. Without its pin.
  std::shared_ptr<const ColumnCopy> beyond;

  duckdb::unique_ptr<duckdb::FunctionData> Copy() const override;
  bool Equals(const duckdb::FunctionData& other) const override;

  static duckdb::column_t RowNumberId();
  static duckdb::column_t HiddenId(size_t hidden);
  // The relation's column behind a column id of the scan: a declared one by number, a hidden one by
  // HiddenId; none for the row number and for "no column at all" (count(*)).
  std::optional<size_t> ColumnOf(duckdb::column_t id) const;
};

// Null where the scan is not one of Millrace's relations.
ScanBinding* BindingOf(duckdb::LogicalGet& get);

}  // namespace millrace::sql
