// Rows → JSON and CSV text, by the rules of docs/types.md ("Out"): every value exact, so that
// reading it back gives the same value.
//
// Not thread-safe: one writer per thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"

namespace millrace::rows {

struct TextOptions {
  // 64-bit and wider integers and decimals as JSON strings, for readers that keep numbers in
  // doubles.
  bool numbers_as_strings = false;
};

// Writes rows of the bound chunk, appending to `out`.
class RowWriter {
 public:
  // One name for each column.
  explicit RowWriter(std::vector<std::string> names, TextOptions options = {});
  ~RowWriter();
  RowWriter(RowWriter&&) noexcept;
  RowWriter& operator=(RowWriter&&) noexcept;

  // Columns beyond the writer's names are not looked at. `rows` must stay as it is while rows of it
  // are written.
  void Bind(duckdb::DataChunk& rows);

  void JsonObject(size_t row, std::string& out);  // {"a":1,"b":null}
  void JsonFields(size_t row, std::string& out);  // "a":1,"b":null — to stand among other fields
  void JsonArray(size_t row, std::string& out);   // [1,null]
  void JsonValue(size_t row, size_t column, std::string& out);
  // One record with its line end ("\n"): NULL is an empty field, an empty text is "" in quotes.
  void CsvRow(size_t row, std::string& out);
  void CsvHeader(std::string& out) const;
  // The value as text without quotes, as CSV has it; false for NULL, which appends nothing.
  bool Text(size_t row, size_t column, std::string& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One value as JSON, for messages and metadata; not for loops.
std::string ValueToJson(const duckdb::Value& value, TextOptions options = {});

}  // namespace millrace::rows
