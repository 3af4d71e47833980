// Streams and tables of random columns, and random changes of their rows.
#pragma once

#include <string>
#include <vector>

#include "fuzz/expressions.h"

namespace millrace::fuzz {

struct RelationSpec {
  enum class Kind { kStream, kTable, kBag };  // a bag is a table without a key
  std::string name;
  Kind kind = Kind::kStream;
  Columns columns;  // the first one is a table's key
  // A stream's event time, with how far it may be out of order; late rows are diverted or kept.
  std::string event_time;
  int delay_hours = 0;
  bool diverts_late = false;
  std::string deduplicate;  // the clause; empty: none
  int64_t inserted = 0;     // rows so far: event times rise with them

  std::string Create() const;
};

// One statement. An INSERT stands in two parts, so that rows can be left out.
struct Change {
  std::string head;               // the statement, or up to VALUES
  std::vector<std::string> rows;  // "(1, 'a')"
  std::string tail;               // ON CONFLICT …
};

RelationSpec MakeRelation(Expressions& expressions, const std::string& name);
Change MakeChange(Expressions& expressions, RelationSpec& relation);

}  // namespace millrace::fuzz
