// Writes the rows of a result as JSON, NDJSON or CSV, piece by piece, so that a large one is never
// held as text as a whole. Not thread-safe: one per answer.
#pragma once

#include <memory>
#include <string>

#include "http/negotiation.h"
#include "rows/encode.h"
#include "runtime/node.h"

namespace millrace::http {

enum class RowShape {
  kObjects,  // JSON: an array of objects (endpoints)
  kArrays,   // JSON: an array of arrays (POST /v1/sql, beside the columns)
};

class ResultWriter {
 public:
  ResultWriter(std::shared_ptr<const sql::QueryResult> result, Format format, RowShape shape,
               bool numbers_as_strings);

  // The next piece, about 256 KiB or what is left; empty: the end. JSON begins with '[' and ends
  // with ']'; NDJSON is one object a line; CSV begins with a line of names.
  std::string Next();
  bool ended() const { return ended_; }

 private:
  bool AppendRow(std::string& out);  // false: there was none

  std::shared_ptr<const sql::QueryResult> result_;
  Format format_;
  RowShape shape_;
  rows::RowWriter writer_;
  size_t chunk_ = 0;  // of the next row
  size_t row_ = 0;    // within its chunk
  bool began_ = false;
  bool ended_ = false;
  bool has_rows_ = false;
};

// {"columns": [{"name", "type"}], "step", "tag", "affected", "notices", "token", "rows": ← the rows
// and a closing brace follow.
std::string ResultHead(const runtime::StatementResult& result);

}  // namespace millrace::http
