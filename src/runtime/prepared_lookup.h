// A SELECT that is a keyed look-up (keyed_lookup.h), recognised once and answered often, straight
// from the content of its view or table. Immutable, thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/endpoints.h"
#include "runtime/published.h"
#include "sql/database.h"

namespace millrace::runtime {

class PreparedLookup {
 public:
  // `parameters`: all that the SELECT has, in the types that follow from it. nullptr: something
  // else, which DuckDB answers. REQUIRES: the SELECT was bound without error, against the same
  // catalog.
  static std::shared_ptr<const PreparedLookup> Recognise(const Published& published,
                                                         const std::string& select,
                                                         const sql::ParameterTypes& parameters);

  // Microseconds. None: this time DuckDB has to: the catalog has changed, a value is of another
  // type, no index has the rows.
  Result<std::optional<sql::QueryResult>> Answer(
      const Published& published, const std::map<std::string, duckdb::Value>& values) const;
  // Whether Answer reads memory only.
  bool IsQuick(const Published& published) const;

 private:
  PreparedLookup(uint64_t catalog_version, KeyedLookup lookup, sql::ParameterTypes parameters)
      : catalog_version_(catalog_version),
        lookup_(std::move(lookup)),
        parameters_(std::move(parameters)) {}

  const uint64_t catalog_version_;
  const KeyedLookup lookup_;
  const sql::ParameterTypes parameters_;
};

}  // namespace millrace::runtime
