// One value of one type from text or from a number token, written into a flat vector. What the JSON
// and CSV decoders and parameters share. Internal to rows.
//
// Text is taken as DuckDB's CAST takes it, with these additions: a TIMESTAMP with an offset becomes
// UTC, an INTERVAL may be an ISO 8601 duration, a BLOB has the form that the border says. Thread
// rule: TypePlan is immutable; the functions write only to their vector.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rows/number.h"
#include "rows/schema.h"

namespace millrace::rows {

// What the decoders need to know of a type, looked up once.
struct TypePlan {
  explicit TypePlan(const duckdb::LogicalType& type);

  duckdb::LogicalType type;
  duckdb::LogicalTypeId id;
  duckdb::PhysicalType physical;
  bool is_json = false;  // the JSON type: VARCHAR that holds JSON text
  uint8_t width = 0;     // of a DECIMAL
  uint8_t scale = 0;
  UInt128 decimal_bound = 0;  // 10^width
  duckdb::idx_t array_size = 0;
  std::vector<TypePlan>
      children;  // fields of a STRUCT; element of LIST, ARRAY; key and value of a MAP
  std::vector<std::string> fields;  // names of a STRUCT's fields
};

enum class BlobText {
  kBase64,   // in JSON
  kEscaped,  // in CSV and parameters: \x then hexadecimal digits, else as DuckDB's CAST
};

// `token` is a JSON number. For every type that a number can be; others give kWrong.
Parsed PutNumber(const TypePlan& plan, std::string_view token, duckdb::Vector& out,
                 duckdb::idx_t row);
// REQUIRES: `text` is valid UTF-8.
Parsed PutText(const TypePlan& plan, std::string_view text, BlobText blob, duckdb::Vector& out,
               duckdb::idx_t row);
Parsed PutBool(const TypePlan& plan, bool value, duckdb::Vector& out, duckdb::idx_t row);

// Writes a string or blob without a look at its bytes.
void PutBytes(std::string_view bytes, duckdb::Vector& out, duckdb::idx_t row);

// NULL that leaves bytes behind which are harmless to code that looks before it asks.
void PutNull(duckdb::Vector& out, duckdb::idx_t row);

// An ISO 8601 duration, as docs/types.md shows them: P1Y2M3DT4H5M6.5S, each part with its own sign.
// Weeks are taken too.
bool ParseIsoInterval(std::string_view text, duckdb::interval_t& out);

}  // namespace millrace::rows
