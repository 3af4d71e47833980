// Writes the rows of a result in a format, piece by piece, so that a large one is never held in it
// as a whole. A writer is not thread-safe; those of different parts of a result know nothing of
// each other.
#pragma once

#include <memory>
#include <string>

#include "columnar/encoder.h"
#include "http/negotiation.h"
#include "runtime/node.h"

namespace millrace::http {

enum class RowShape {
  kObjects,  // JSON: an array of objects (endpoints)
  kArrays,   // JSON: an array of arrays (POST /v1/sql, beside the columns)
};

struct ResultForm {
  Format format = Format::kJson;
  RowShape shape = RowShape::kObjects;
  bool numbers_as_strings = false;  // of what is text
};

class ResultWriter {
 public:
  virtual ~ResultWriter() = default;
  // The next piece, about 256 KiB or what is left; may be empty. Errors: a value has no place in
  // the format (Parquet, Arrow); nothing more is to be had then.
  virtual Result<std::string> Next() = 0;
  virtual bool ended() const = 0;
};

// The writers of its parts, in order; at least one. JSON begins with '[' and ends with ']'; NDJSON
// is one object a line; CSV begins with a line of names. Arrow and Parquet are one part. `encoders`
// outlives the writers. REQUIRES: a result as Arrow or Parquet has columns.
using ResultWriters = std::vector<std::shared_ptr<ResultWriter>>;
Result<ResultWriters> MakeResultWriters(columnar::Encoders& encoders,
                                        std::shared_ptr<const sql::QueryResult> result,
                                        ResultForm form);

// All of a result as text, which may not be Arrow or Parquet.
Result<std::string> ResultText(std::shared_ptr<const sql::QueryResult> result, ResultForm form);

// {"columns": [{"name", "type"}], "step", "tag", "affected", "notices", "token", "rows": ← the rows
// and a closing brace follow.
std::string ResultHead(const runtime::StatementResult& result);

}  // namespace millrace::http
