// One JSON value, typed, into a vector: the recursive half of the JSON decoder. Internal to rows.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string_view>

#include "rows/scalar.h"

namespace millrace::rows {

// Writes `value` to row `row` of the flat vector `out`. kOk and kNull: the value is written; else
// the row's content is unspecified. `value` is consumed.
Parsed PutJson(const TypePlan& plan, simdjson::ondemand::value value, duckdb::Vector& out,
               duckdb::idx_t row);

// The text of the value, its grammar checked; none where it is broken. Consumes the value.
std::optional<std::string_view> CheckedText(simdjson::ondemand::value& value);

// A JSON text for a nested type (a CSV field, a parameter, JSON in a JSON string). kSyntax: it is
// no JSON.
Parsed PutJsonText(const TypePlan& plan, std::string_view text, duckdb::Vector& out,
                   duckdb::idx_t row);

// A text for any type: PutText, and for nested types JSON first, then what DuckDB's CAST takes.
Parsed PutAnyText(const TypePlan& plan, std::string_view text, BlobText blob, duckdb::Vector& out,
                  duckdb::idx_t row);

}  // namespace millrace::rows
