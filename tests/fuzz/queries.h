// Random SELECTs over relations: the grammar of queries, on top of that of expressions. Every
// construct that is used is noted with `Expressions::Use`; kQueryConstructs names them all.
#pragma once

#include <string>
#include <vector>

#include "fuzz/relations.h"

namespace millrace::fuzz {

// What a query reads: relations, and views with known columns.
struct Readable {
  std::string name;
  Columns columns;
  bool is_view = false;
};

struct Query {
  std::string sql;
  Columns columns;     // of the answer
  std::string answer;  // what the view must hold, where that is not the query's own answer
};

// Not thread-safe.
class Queries {
 public:
  Queries(Expressions& expressions, std::vector<Readable> readable)
      : expressions_(expressions), random_(expressions.random()), readable_(std::move(readable)) {}

  Query Make(int depth = 1);

 private:
  // What stands in FROM and WHERE, and the columns that it gives.
  struct Source {
    std::string with;
    std::string from;
    std::string where;
    Columns columns;
  };
  Source MakeSource(int depth);
  void AddJoin(Source& source, int depth);
  void AddAsof(Source& source);
  void AddLateral(Source& source);
  void AddWindowTable(Source& source, const Readable& readable, const std::string& alias);
  std::string Relation(Columns& columns, int depth, std::string& with);
  std::string Alias() { return "r" + std::to_string(++aliases_); }
  const Readable& PickReadable();
  std::string Body(const Source& source) const { return source.from + source.where; }

  Query Project(const Source& source);
  Query Aggregate(const Source& source);
  Query GroupingSets(const Source& source);
  Query Windows(const Source& source);
  Query Top(const Source& source);
  Query Distinct(const Source& source);
  Query SetOperation(const Source& source);
  Query Subquery(const Source& source);
  Query Unnest(const Source& source);
  Query Pivot();
  Query Constants();
  Query CommonTable(int depth);
  Query FailingCast();

  // A condition with a subquery in it, correlated or not.
  std::string SubqueryCondition(const Source& source);
  std::string ScalarSubquery(const Source& source, const Type*& type);
  std::string InnerWhere(const Columns& outer, const Columns& inner);
  void Select(Query& query, const std::string& text, const Type& type);

  Expressions& expressions_;
  Random& random_;
  std::vector<Readable> readable_;
  int aliases_ = 0;
};

const std::vector<std::string>& QueryConstructs();

}  // namespace millrace::fuzz
