// Random schemas, rows and queries out of what views support. All from one seed, so that a case can
// be made again.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"

namespace millrace::fuzz {

struct ColumnSpec {
  std::string name;
  std::string type;
};

struct RelationSpec {
  std::string name;
  bool table = false;  // keyed by its first column; else a stream
  std::vector<ColumnSpec> columns;
  // A stream's event time, with how far it may be out of order; late rows are diverted or kept.
  std::string event_time;
  int delay_hours = 0;
  bool diverts_late = false;
  std::string Create() const;
};

// A view with EMIT ON WINDOW CLOSE, and what it must hold.
struct ClosedView {
  std::string query;   // without EMIT ON WINDOW CLOSE
  std::string answer;  // over the rows that were not late, of the windows that are closed
};

// Not thread-safe.
class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  RelationSpec Relation(const std::string& name, bool table);
  // A literal of the type, NULL now and then. Few different values, so that keys meet.
  std::string Literal(const std::string& type, bool allow_null);
  // One INSERT, UPDATE or DELETE. `next_key`: of inserted table rows.
  std::string Change(const RelationSpec& relation, int64_t& next_key);
  // A SELECT over the relations, with column names c0, c1, ….
  std::string Query(const std::vector<RelationSpec>& relations);
  // Over one of the relations that have an event time. REQUIRES: there is one.
  ClosedView Closed(const std::vector<RelationSpec>& relations);

  Random& random() { return random_; }

 private:
  std::string Scalar(const std::vector<ColumnSpec>& columns, const std::string& prefix,
                     const std::string& type, int depth);
  std::string Condition(const std::vector<ColumnSpec>& columns, const std::string& prefix);
  const ColumnSpec& Pick(const std::vector<ColumnSpec>& columns);
  std::string EventTime(int64_t hour);
  std::string Bucket(const std::string& time);
  std::string Number(const std::vector<ColumnSpec>& columns);
  std::string AggregateCall(const std::vector<ColumnSpec>& columns, const std::string& prefix);
  // Of a SELECT: what stands in FROM and WHERE, and the columns that it gives.
  struct Source {
    std::string from;
    std::string where;
    std::vector<ColumnSpec> columns;
  };
  Source Join(const std::vector<RelationSpec>& relations);
  std::string Aggregates(const Source& source);
  std::string TopRows(const Source& source);
  std::string DistinctOrUnion(const Source& source);
  std::string Values(const Source& source);
  std::string Windows(const Source& source);
  std::string WindowCall(const Source& source, bool alike);
  std::string GroupingSets(const Source& source);
  std::string SetOperation(const Source& source, const std::vector<RelationSpec>& relations);
  std::string Subquery(const Source& source, const std::vector<RelationSpec>& relations);
  std::string Unnested(const Source& source);

  Random random_;
};

}  // namespace millrace::fuzz
