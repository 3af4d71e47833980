// Values of DuckDB as PostgreSQL's clients read them, in text or in binary, by the column's type as
// types.h shows it. Text is what PostgreSQL 15 writes under DateStyle ISO, IntervalStyle postgres,
// bytea_output hex and the session's time zone; within jsonb, timestamps are in UTC.
//
// Not thread-safe: one RowEncoder per result that is being sent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "duckdb.hpp"
#include "pg/time_zone.h"
#include "pg/types.h"
#include "rows/batch.h"

namespace millrace::pg {

// One value, taken out of a vector or a duckdb::Value.
struct Datum {
  int64_t integer = 0;  // also days, microseconds, and what a decimal holds
  duckdb::hugeint_t huge;
  duckdb::uhugeint_t unsigned_huge;
  double number = 0;
  std::string_view text;
  duckdb::interval_t interval{};
};

// Appends without a length. REQUIRES: `datum` is of a plain type: no list, no struct.
void AppendPlainText(const duckdb::LogicalType& type, const Datum& datum, const TimeZone& zone,
                     std::string& out);
void AppendPlainBinary(const duckdb::LogicalType& type, const Datum& datum, std::string& out);

// Numeric's binary form of a number's text: "-12.50".
void AppendNumericBinary(std::string_view text, std::string& out);
// Microseconds of a time or timestamp of another unit; what is finer is cut off.
int64_t MicrosOf(const duckdb::LogicalType& type, int64_t value);

// Whether a Datum holds it; else it goes through duckdb::Value.
bool IsPlain(const duckdb::LogicalType& type);
// REQUIRES: the value is not NULL and its type plain. `keep` holds a text that the value does not.
Datum DatumOf(const duckdb::Value& value, std::string& keep);

// Any value that is not NULL.
void AppendValueText(const duckdb::Value& value, const TimeZone& zone, std::string& out);
void AppendValueBinary(const duckdb::Value& value, std::string& out);

// Writes the rows of a result as DataRow messages, or bare fields.
class RowEncoder {
 public:
  // `formats` by the rule of Bind.
  RowEncoder(const rows::Types& types, const std::vector<int16_t>& formats, TimeZonePtr zone);

  // `rows` stays as it is while rows of it are written.
  void Bind(duckdb::DataChunk& rows);
  void DataRow(size_t row, std::string& out);
  bool IsNull(size_t row, size_t column) const;
  // Appends the bare text or binary of a value that is not NULL.
  void Field(size_t row, size_t column, std::string& out) const;
  size_t columns() const { return types_.size(); }
  // PostgreSQL sends no other than binary format 1 for each: whether the column is in binary.
  bool binary(size_t column) const { return binary_[column]; }

 private:
  rows::Types types_;
  TimeZonePtr zone_;
  std::vector<bool> plain_;
  std::vector<bool> binary_;
  duckdb::DataChunk* rows_ = nullptr;
};

}  // namespace millrace::pg
