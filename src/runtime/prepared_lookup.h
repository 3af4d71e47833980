// A SELECT that is a keyed look-up (keyed_lookup.h), recognised once and answered often, straight
// from the content of its view or table. Immutable, thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "runtime/lookup_answer.h"

namespace millrace::runtime {

class PreparedLookup {
 public:
  // By a key or by the columns of an index. nullptr: something else, which DuckDB answers, or
  // refuses.
  static std::shared_ptr<const PreparedLookup> Recognise(const Published& published,
                                                         const std::string& select);

  // Microseconds; the first that asks for a range has the content put in its order, which takes as
  // long as a scan. nullopt: this time DuckDB has to: the catalog has changed, a value is of
  // another type, no index has the rows, there are too many.
  Result<std::optional<sql::QueryResult>> Answer(const Published& published,
                                                 const LookupValues& values) const;
  // Whether Answer reads memory only, and little of it.
  bool IsQuick(const Published& published) const;

  // Whether its rows are the same in this time zone: no time with time zone is compared.
  bool AsInUtc(std::string_view time_zone) const;

  const KeyedLookup& lookup() const { return lookup_; }
  // What EXPLAIN says of it.
  std::string Explain(const Published& published) const;

 private:
  PreparedLookup(uint64_t catalog_version, KeyedLookup lookup)
      : catalog_version_(catalog_version), lookup_(std::move(lookup)) {}

  const uint64_t catalog_version_;
  const KeyedLookup lookup_;
};

// Those of statements that come again and again as text. Thread-safe, bounded.
class LookupCache {
 public:
  // As Recognise, once for each text and catalog.
  std::shared_ptr<const PreparedLookup> Find(const Published& published, const std::string& select);

 private:
  std::mutex mutex_;
  uint64_t catalog_version_ = 0;
  std::map<std::string, std::shared_ptr<const PreparedLookup>> lookups_;
};

}  // namespace millrace::runtime
