// A Plan says what a circuit computes: a list of nodes, each after its inputs. It is immutable,
// knows nothing of threads, and is what the SQL planner makes and EXPLAIN prints. Operators
// (operator.h) are its running instances, one per worker.
//
// Keys, grouping and aggregate arguments are column numbers of the input: whatever needs an
// expression is computed by a Project below. Where a node needs equal keys together, the circuit
// puts an exchange before it by itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "duckdb.hpp"
#include "duckdb/function/table_function.hpp"
#include "duckdb/planner/expression.hpp"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "rows/batch.h"
#include "rows/key.h"

namespace millrace::stream {

using Expression = std::shared_ptr<const duckdb::Expression>;  // BoundReferenceExpressions number
                                                               // the input's columns
using ColumnIndex = size_t;

// What later steps can still bring into a column: no value below the least of the terms. A value
// that lies below all of them is closed: no later change has it.
struct TimeBound {
  struct Term {
    std::string stream;
    // Over one column, the stream's watermark; rises with it.
    Expression value;
    bool strict = false;  // no later value is equal to it either
  };
  std::vector<Term> terms;
};

// The changes of a named relation (stream, table or view) that the circuit has an Output for.
struct Relation {
  std::string name;
};
// Rows that come from outside the circuit, read by a SourceReader (engine.h): the records of a
// stream or table changelog.
struct Source {
  std::string name;
  // No row is ever retracted (a stream's records): some operators then keep less. Held to it: a
  // retraction is an error.
  bool insert_only = false;
};
// A fixed set of rows (VALUES), given out once, in the first step after the node was added.
struct Constant {
  rows::Batch rows;
};
struct Filter {
  Expression predicate;
};
struct Project {
  std::vector<Expression> expressions;
};
// Rows that come and go with the clock: a row is there while all conditions hold.
struct TemporalFilter {
  // column <comparison> of_clock
  struct Condition {
    ColumnIndex column;
    duckdb::ExpressionType comparison;  // >, >=, <, <= or =
    // Of the column's type, over one TIMESTAMP column: the step's clock. Never falls as it rises.
    Expression of_clock;
    // Where it is the clock plus so much; the column is a TIMESTAMP, with or without time zone.
    std::optional<std::chrono::microseconds> shift;
  };
  std::vector<Condition> conditions;
};
// Any number of inputs of equal types.
struct UnionAll {};
// The input's rows with the opposite weight: what is left of A without B is UnionAll(A, Negate(B)),
// where B's rows are rows of A.
struct Negate {};
// For each row as many rows as its longest list has entries: the input's columns, then one entry of
// each list, NULL behind the end of a shorter one. An empty or NULL list has no entries.
struct Unnest {
  std::vector<Expression> lists;
};

// For each row what a table function of DuckDB gives of its arguments: the input's columns, then
// the function's. `numbered`: then a BIGINT column, the number of the function's row, from 1 (WITH
// ORDINALITY). A function may be called again and again with the same arguments, and always gives
// the same.
struct FunctionRows {
  std::shared_ptr<const duckdb::TableFunction> function;  // one that takes rows in
  std::shared_ptr<const duckdb::FunctionData> bound;      // null: it needs none
  std::vector<ColumnIndex> arguments;
  bool numbered = false;
};

enum class JoinKind { kInner, kLeft };
// Output: the left columns, then the right ones (NULL in a kLeft row without match).
struct Join {
  JoinKind kind;
  std::vector<ColumnIndex> left_keys;  // none: a cross join
  std::vector<ColumnIndex> right_keys;
  // Per key: NULL equals NULL (IS NOT DISTINCT FROM). Otherwise a NULL key matches nothing.
  std::vector<bool> nulls_equal;
  Expression condition;  // over left columns, then right columns; null: none
};

struct AggregateCall {
  // The bound function with its bind data; its children are not looked at, the arguments stand in
  // `arguments`.
  std::shared_ptr<const duckdb::BoundAggregateExpression> function;
  std::vector<ColumnIndex> arguments;
  bool distinct = false;
  std::optional<ColumnIndex> filter;  // a BOOLEAN column: FILTER (WHERE …)
  struct Order {
    ColumnIndex column;
    rows::KeyOrder order;
  };
  std::vector<Order> orders;  // ORDER BY inside the call; ties by the whole row
};
// Output: the group columns, then one column per call. Without groups there is always exactly one
// row.
struct Aggregate {
  std::vector<ColumnIndex> groups;
  std::vector<AggregateCall> calls;
  // A group's row is given out once, when the group closes (Node::closing), and never changes.
  bool at_close = false;
};
struct Distinct {};

// Per partition the rows offset < n <= offset + limit in the given order, where n is the row's
// number, ties by the whole row (rows/row_codec.h order); or its rank() or dense_rank(), which rows
// of equal order share. With `with_number`, the output has a last BIGINT column: n.
struct TopK {
  enum class Ranking { kRowNumber, kRank, kDenseRank };
  std::vector<ColumnIndex> partition;
  struct Order {
    ColumnIndex column;
    rows::KeyOrder order;
  };
  std::vector<Order> orders;
  int64_t limit = 0;
  int64_t offset = 0;
  bool with_number = false;
  Ranking ranking = Ranking::kRowNumber;
};

// Window functions, computed anew with DuckDB's own operator for each partition that the step
// touches. Output: the input's columns, then one column per call.
struct Window {
  std::vector<ColumnIndex> partition;  // none: all rows are one partition
  std::vector<Expression> calls;       // BoundWindowExpressions that partition by these columns
};

// The sessions of each partition: rows no further apart than `gap`. Output: the input's columns,
// then when the row's session begins and ends (gap after its last row). Rows without a time are
// left out.
struct SessionWindow {
  std::vector<ColumnIndex> partition;  // none: all rows are one partition
  ColumnIndex time;                    // TIMESTAMP, with or without time zone
  std::chrono::microseconds gap;
  duckdb::LogicalType bounds_type;  // that of the time
};

// For each left row the one right row of equal keys whose value comes nearest to the left one's, on
// the side that the comparison says: left_value >= right_value takes the greatest that is not
// greater. Computed anew for each key that the step touches. Output: as of Join.
struct AsofJoin {
  JoinKind kind;
  std::vector<ColumnIndex> left_keys;  // none: all rows have one key
  std::vector<ColumnIndex> right_keys;
  ColumnIndex left_value;
  ColumnIndex right_value;
  duckdb::ExpressionType comparison;  // >=, >, <= or <
};

// Keeps rows back until the value of their column closes (Node::closing), then lets them pass. A
// row whose value is NULL never does.
struct Hold {
  ColumnIndex column;
};

// Leaves out changes whose value in the column is closed already: what a table's change would alter
// of a window that was given out.
struct DropClosed {
  ColumnIndex column;
  TimeBound bound;
};

// Lets the first row of each key (NULLs equal) pass, in append order: by `order`, then `offset`
// column. A later row of the key is a duplicate when an accepted one has an event time less than
// `within` away (no `within`: whatever the times). Input: insert-only. Output: the same columns.
// Each duplicate is reported as Exclusion{partition, offset}.
struct Deduplicate {
  std::vector<ColumnIndex> keys;
  std::optional<ColumnIndex> time;  // TIMESTAMP
  std::optional<std::chrono::microseconds> within;
  ColumnIndex order;      // BIGINT append order
  ColumnIndex partition;  // INTEGER
  ColumnIndex offset;     // BIGINT
  std::string stream;     // whose watermark says which keys can be forgotten (with `within`)
};

// Turns a changelog of full rows by key into changes: -old +new. Input: the row's columns, then a
// BOOLEAN column "deleted" and a BIGINT append order by which several changes of one key in one
// step are taken. Output: the row's columns.
struct Upsert {
  std::vector<ColumnIndex> keys;
  size_t columns = 0;  // how many of the input's columns are the row
  ColumnIndex deleted;
  ColumnIndex order;
};

// Names the relation whose content is the integral of the input. Every step's change of it is a
// result of the step, but where `gathered` is false (streams: many rows, which nobody needs in one
// place): then other plans can read the relation, and StepResult has no change of it.
struct Output {
  std::string name;
  bool gathered = true;
};

struct Node {
  std::variant<Relation, Source, Constant, Filter, TemporalFilter, Project, UnionAll, Negate,
               Unnest, FunctionRows, Join, Aggregate, Distinct, TopK, Window, SessionWindow,
               AsofJoin, Hold, DropClosed, Deduplicate, Upsert, Output>
      op;
  std::vector<size_t> inputs;      // indexes of earlier nodes
  rows::Types types;               // of the output
  std::vector<std::string> names;  // of the output's columns, for people
  // State of keys whose time is closed is dropped: `key` numbers the node's keys (group columns,
  // join keys, partition columns; 0 in a Hold).
  struct Closing {
    size_t key = 0;
    TimeBound bound;
  };
  std::optional<Closing> closing = std::nullopt;
  // For people: it keeps every row of a stream for ever.
  bool grows = false;
  // Only so many of `types` count for what the node is: those behind them were added to a relation
  // that has state already.
  size_t known_types = SIZE_MAX;
};

struct Plan {
  std::vector<Node> nodes;
  // Appends a node and returns its index.
  size_t Add(Node node);
};

// What a node is and does, the same text for the same computation: kind, columns, expressions,
// inputs. Operator identities (and so the tables of their state) are hashes of it: see
// docs/formats/state.md. Two nodes with equal text compute the same.
std::string CanonicalText(const Plan& plan, size_t node);
// A multiple of kTablesPerNode: the ids from there on are those of the node's state tables.
inline constexpr uint64_t kTablesPerNode = 8;
uint64_t Fingerprint(const Plan& plan, size_t node, uint64_t generation);
uint64_t FingerprintOf(std::string_view canonical_text, uint64_t generation);
// A tree for EXPLAIN: operator, columns, keys, expressions, state.
std::string Explain(const Plan& plan);
// The node's own line of it, without columns: "aggregate by stock_code: count(*)".
std::string Describe(const Plan& plan, size_t node);

}  // namespace millrace::stream
