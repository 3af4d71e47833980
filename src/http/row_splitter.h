// Cuts a request body into its rows as it comes, rows are views into the bytes that were
// passed, without copying (but for CSV, which becomes JSON).
// What a row means, and whether it is valid, is not decided here (ingest does).
//
// Not thread-safe: one per body. Cost: one look at each byte.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rows/decode.h"
#include "rows/schema.h"

namespace millrace::http {

// What a Cut found. Rows are in the body's order; each has an index in the body, from 0.
struct CutRows {
  std::vector<std::string_view> rows;
  std::vector<size_t> indexes;  // one per row
  std::vector<rows::RowError>
      wrong;  // rows that the format itself makes wrong (`row` is the index in the body)
  std::shared_ptr<const void>
      owner;  // where the rows are not views into the bytes that were passed: what holds them
};

class RowSplitter {
 public:
  virtual ~RowSplitter() = default;

  // Appends the rows that are complete in `bytes` to `cut`, and returns how many bytes are done
  // with: the next call's bytes begin with those that are not. `last`: nothing comes after these
  // bytes. Called once for each `cut`. kInvalidArgument: the body is not of its format from here
  // on. The rows appended so far are good.
  virtual Result<size_t> Cut(std::string_view bytes, bool last, CutRows& cut) = 0;

  // Gives up the row that has begun in the bytes of the last Cut and returns its index: the next
  // call's bytes begin where those ended, and what they still hold of that row is passed over.
  virtual size_t DropRow() = 0;

  // Rows seen so far, dropped ones too.
  virtual size_t row_count() const = 0;
};

// NDJSON: a line is a row; empty lines are none.
std::unique_ptr<RowSplitter> MakeLineSplitter();
// JSON: one object, or an array whose elements are the rows.
std::unique_ptr<RowSplitter> MakeJsonSplitter();
// CSV with a header line, as JSON objects for the stream's columns.
std::unique_ptr<RowSplitter> MakeCsvSplitter(const rows::Schema& schema);

}  // namespace millrace::http
