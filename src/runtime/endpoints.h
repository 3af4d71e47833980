// The endpoints of a catalog, ready to be matched and answered. A keyed look-up (keyed_lookup.h) is
// recognised here once. Thread-safe: immutable after Make, but for the parameters' conditions,
// which have a lock.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "runtime/keyed_lookup.h"
#include "runtime/published.h"
#include "sql/database.h"

namespace millrace::runtime {

struct Endpoint {
  std::shared_ptr<const catalog::Object> object;
  std::vector<std::string> segments;  // of the path; "{name}" for a parameter
  std::optional<KeyedLookup> keyed;
  std::vector<std::string> relations;  // it reads, plain views resolved
  bool ordered = false;                // its SELECT ends with ORDER BY
  std::vector<std::string> streams;    // internal names of those behind all that, through views too
  struct ParameterCheck {
    rows::Schema schema;  // one column
    std::unique_ptr<sql::Database::RowCondition> condition;
  };
  std::map<std::string, ParameterCheck> checks;  // by parameter
  mutable std::mutex checks_mutex;

  const catalog::EndpointDefinition& definition() const {
    return std::get<catalog::EndpointDefinition>(object->definition);
  }
};

class Endpoints {
 public:
  // Makes indexes and orders for keyed look-ups where there are none.
  static Result<std::shared_ptr<const Endpoints>> Make(const catalog::Catalog& catalog,
                                                       const Relations& relations,
                                                       sql::Database& database);

  struct Match {
    std::shared_ptr<const Endpoint> endpoint;
    std::map<std::string, std::string> path_values;
  };
  std::optional<Match> Find(std::string_view method, std::string_view path) const;
  std::shared_ptr<const Endpoint> FindByName(std::string_view name) const;

 private:
  std::vector<std::shared_ptr<const Endpoint>> endpoints_;
};

// Parameters' texts → values by declared types, defaults filled in, CHECKs tried. The error names
// the parameter.
Result<std::map<std::string, duckdb::Value>> ParseParameters(
    const Endpoint& endpoint, const std::map<std::string, std::string>& texts);
// Why what the endpoint reads stands still; nullopt: no view that it reads has failed.
std::optional<Error> FailureOf(const Endpoint& endpoint, const Published& published);
// The step at which what the endpoint reads changed last, as of `published`.
state::Step LastChangeOf(const Endpoint& endpoint, const Published& published);

// How far event time has come in the streams behind the endpoint: the least of their watermarks;
// nullopt where none has one.
std::optional<Micros> WatermarkOf(const Endpoint& endpoint, const Published& published);

}  // namespace millrace::runtime
