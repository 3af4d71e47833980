// The endpoints of a catalog, ready to be matched and answered. A keyed look-up (SELECT columns
// FROM view WHERE key = $p [ORDER BY …] [LIMIT …]) is recognised here once, and then goes straight
// to the view's content, without planning a query. Thread-safe: immutable after Make, but for the
// parameters' conditions, which have a lock.
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
#include "runtime/published.h"
#include "sql/database.h"

namespace millrace::runtime {

// A keyed look-up, recognised.
struct KeyedLookup {
  std::shared_ptr<const Relation> relation;
  std::vector<size_t> key_columns;          // has an index
  std::vector<std::string> key_parameters;  // one per key column
  std::vector<size_t> output;               // columns of the relation
  rows::Schema schema;                      // of the answer
  struct Order {
    size_t column;  // of the relation
    rows::KeyOrder order;
  };
  std::vector<Order> orders;
  std::optional<int64_t> limit;
  std::string limit_parameter;  // empty: `limit`, or none
};

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
  // Makes indexes for keyed look-ups where there are none.
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
// The rows of a keyed look-up as of the step: the same ones in the same order wherever they are.
// Goes through all rows where some are on disk only and no index finds them there, and ends with
// the error of `go_on`, which is asked again and again meanwhile.
Result<sql::QueryResult> AnswerKeyed(const KeyedLookup& lookup,
                                     const std::map<std::string, duckdb::Value>& values,
                                     state::Step step, const std::function<Status()>& go_on);
// Whether its relation is the one of that name in `published`: a view that is replaced is another
// from a step on, and endpoints follow a little later.
bool IsInForce(const KeyedLookup& lookup, const Published& published);
// Why what the endpoint reads stands still; nullopt: no view that it reads has failed.
std::optional<Error> FailureOf(const Endpoint& endpoint, const Published& published);
// The step at which what the endpoint reads changed last, as of `published`.
state::Step LastChangeOf(const Endpoint& endpoint, const Published& published);

// How far event time has come in the streams behind the endpoint: the least of their watermarks;
// nullopt where none has one.
std::optional<Micros> WatermarkOf(const Endpoint& endpoint, const Published& published);

}  // namespace millrace::runtime
