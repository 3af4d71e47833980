// The parenthesised part of CREATE STREAM and CREATE TABLE: columns, CHECKs, keys, watermark,
// deduplication. Also the parameters of an endpoint, which are columns of a kind. Pure functions,
// thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/definitions.h"
#include "sql/parser_cursor.h"

namespace millrace::sql {

struct ColumnList {
  rows::Schema schema;
  std::vector<catalog::Check> checks;
  std::vector<std::string> primary_key;
  std::optional<catalog::StreamDefinition::Watermark> watermark;
  std::optional<catalog::StreamDefinition::Deduplicate> deduplicate;
};

// At the opening parenthesis. `kind`: kStream or kTable, which decides what may stand there.
Result<ColumnList> ExpectColumnList(Cursor& cursor, catalog::Kind kind);

// name TYPE [constraint …], up to the end of the statement: one column, and the CHECKs behind it.
Result<ColumnList> ExpectOneColumn(Cursor& cursor, catalog::Kind kind);

// (name TYPE [DEFAULT constant] [CHECK (condition)], …) at the opening parenthesis.
Result<std::vector<catalog::EndpointDefinition::Parameter>> ExpectParameters(Cursor& cursor);

// (a, b, …): names of columns of `schema`, each once; nullptr: whatever the names.
Result<std::vector<std::string>> ExpectColumnNames(Cursor& cursor, const rows::Schema* schema,
                                                   std::string_view what);

}  // namespace millrace::sql
