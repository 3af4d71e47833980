// On which worker the rows of a node stand, and where its consumers need them. An exchange is put
// between two nodes only where the one does not promise what the other requires. Thread rule:
// values and pure functions.
#pragma once

#include <vector>

#include "stream/plan.h"

namespace millrace::stream {

// Where a node needs the rows of an input.
struct Requirement {
  enum class Kind {
    kAnywhere,
    kColumns,   // on the owner of the key of `columns` (rows::KeyEncoder, ascending)
    kRow,       // on the owner of the row's exact encoding
    kOneOwner,  // all rows on the owner of the empty key
  };
  Kind kind = Kind::kAnywhere;
  std::vector<ColumnIndex> columns;
};

Requirement Required(const Node& node, size_t input);

// What is known of the rows of a node's output: any of these may hold at once.
struct Distribution {
  bool one_owner = false;
  bool by_row = false;
  std::vector<std::vector<ColumnIndex>> by_columns;

  bool Meets(const Requirement& requirement) const;
};

// `inputs` are those of the node's inputs after its exchanges; `left_width` the number of columns
// of the first input.
Distribution OutputDistribution(const Node& node, const std::vector<Distribution>& inputs,
                                size_t left_width);
// What rows are like behind an exchange.
Distribution AfterExchange(const Requirement& requirement);

}  // namespace millrace::stream
