// Makes expressions by the rules of the grammar (rules.h), from a seed, and notes which rules it
// used. Not thread-safe.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "fuzz/rules.h"
#include "fuzz/types.h"

namespace millrace::fuzz {

struct Expression {
  std::string text;
  const Type* type;
};

class Expressions {
 public:
  explicit Expressions(uint64_t seed) : random_(seed) {}

  Random& random() { return random_; }
  // The constructs that were used since the last call.
  std::set<std::string> TakeUsed() { return std::move(used_); }
  // Also of the constructs of whole queries.
  void Use(const std::string& construct) { used_.insert(construct); }

  const Type& AnyType();
  const Column& Pick(const Columns& columns);
  // One of them; the text is a construct.
  std::string Choose(const std::vector<std::string>& constructs);
  // NULL now and then, where that is allowed.
  std::string Literal(const Type& type, bool allow_null);
  std::string Of(const Type& type, const Columns& columns, int depth);
  // By a rule that is chosen first, so that all rules come up alike.
  Expression Any(const Columns& columns);
  std::string Condition(const Columns& columns, int depth = 1);
  Expression Aggregate(const Columns& columns);
  // `alike`: equal rows have equal values.
  Expression Window(const Columns& columns, bool alike);
  // All columns in some order, each up or down.
  std::string TotalOrder(const Columns& columns);

 private:
  struct Frame;  // what the places of one rule stand for
  Expression Apply(const Rule& rule, const Type* own, const Columns& columns, int depth);
  std::string Place(const std::string& name, Frame& frame);
  std::string ColumnOf(const Type& type, const Columns& columns);
  std::string Partition(const Columns& columns);
  std::string SomeOrder(const Columns& columns);
  const Type& SomeType(const Columns& columns, bool plain);

  Random random_;
  std::set<std::string> used_;
};

}  // namespace millrace::fuzz
