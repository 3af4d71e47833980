// The grammar of expressions: one line a construct. A rule is the type of what it gives and a text
// with places:
//
//   $INT        an expression of that type (types.cc)
//   $T          an expression of the rule's own type; rules of type "T" fit every type
//   $A          an expression of some type, the same one in the whole rule; $P the same, but of a
//               type whose equal values are the same
//   $LT $LA $LP a literal of it that is not NULL
//   $C          a column; $CA a column of the type A
//   $N          a number from 1 to 3
//   $ALL        all columns of the source, in random order: what makes an order total
//   $PART       PARTITION BY some columns, or nothing
//   $ORDER      some columns to order by
//   $FRAME      a frame of a window ($ROWS: of rows, which needs a total order)
//   $COND       a condition
//
// A rule's text is its name in the coverage. Pure data.
#pragma once

#include <string_view>
#include <vector>

namespace millrace::fuzz {

struct Rule {
  std::string_view type;
  std::string_view text;
};

const std::vector<Rule>& ScalarRules();
const std::vector<Rule>& AggregateRules();
// Where equal rows have equal values, so that several of them pair up in one way only.
const std::vector<Rule>& PeerWindowRules();
// Where the order of equal rows could show: one of them a query.
const std::vector<Rule>& RowWindowRules();
const std::vector<Rule>& FrameRules();
const std::vector<Rule>& RowFrameRules();

}  // namespace millrace::fuzz
