// A keyed look-up is a SELECT of columns of one view or table that asks for rows by key and can be
// answered from an index of its content, without planning a query:
//
//   SELECT columns FROM view [WHERE …] [ORDER BY columns] [LIMIT n]
//
// where the condition says of some columns which values they may have (k = $1, k IN ($1, 2),
// k = ANY($1)), and of at most one more between which values it stands (<, <=, >, >=, BETWEEN). It
// is recognised here, from the text alone, and answered in lookup_answer.h. What is not recognised
// is DuckDB's. Pure, thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "runtime/relation.h"
#include "sql/database.h"

namespace duckdb {
class QueryNode;
}

namespace millrace::runtime {

// Of one look-up, and of the rows that one reads by a range; what is more, DuckDB reads better.
inline constexpr size_t kLookupKeysMax = 4'096;
inline constexpr size_t kLookupRowsMax = 20'000;

struct KeyedLookup {
  // A value, in the type of the column that it is compared with.
  struct Operand {
    std::string parameter;  // its name; empty: the constant
    duckdb::Value constant;
  };
  // The column is one of these.
  struct Equal {
    size_t column;  // of the relation, as all columns here
    std::vector<Operand> any_of;
    bool of_list = false;  // there is one operand, a LIST: the column is one of its elements
  };
  struct Bound {
    Operand operand;
    bool inclusive;
  };
  struct Range {
    size_t column;
    std::optional<Bound> low;
    std::optional<Bound> high;
  };
  struct Order {
    size_t column;
    rows::KeyOrder order;
  };

  std::shared_ptr<const Relation> relation;
  std::vector<Equal> equals;  // as the index has the columns
  std::optional<Range> range;
  sql::ParameterTypes parameters;  // all that the statement has

  // Where the rows are found.
  enum class Path {
    kKeys,   // `equals` are the columns of an index
    kRange,  // `equals` and then `range` are the first columns of an order
  };
  Path path = Path::kKeys;
  std::vector<size_t> index;
  // The order gives the rows of each key as `orders` wants them, so that LIMIT ends its reading.
  bool in_order = false;
  bool backwards = false;

  std::vector<size_t> output;
  rows::Schema schema;      // of the answer
  bool whole_rows = false;  // `output` and `schema` are those of the content
  std::vector<Order> orders;
  std::optional<int64_t> limit;
  std::string limit_parameter;  // empty: `limit`, or none

  bool has_limit() const { return limit.has_value() || !limit_parameter.empty(); }
};

struct LookupContext {
  const Relations& relations;
  const catalog::Catalog& catalog;  // whose indexes may be used, beside the keys
  // Of an endpoint: the parameters that it declares, and any index is right, for it will be made.
  // Else the parameters have the types of what they are compared with.
  const std::vector<catalog::EndpointDefinition::Parameter>* declared = nullptr;
};

// nullopt: something else, which DuckDB answers (or refuses).
std::optional<KeyedLookup> RecogniseKeyedLookup(const std::string& select,
                                                const LookupContext& context);

// Makes what the look-up is answered from where it is not there. May take long.
Status MakeIndexOf(const KeyedLookup& lookup);

// What EXPLAIN says of it: a line on the path, then what is looked for.
std::string ExplainLookup(const KeyedLookup& lookup);

// The parsed SELECT; nullptr: whatever it is, DuckDB answers it, or says what is wrong.
std::unique_ptr<duckdb::QueryNode> ParseSelect(const std::string& select);

// Whether the SELECT says in which order its rows come. REQUIRES: it was bound without error.
bool HasOrder(const std::string& select);

}  // namespace millrace::runtime
