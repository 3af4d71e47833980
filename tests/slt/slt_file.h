// A sqllogictest file (https://www.sqlite.org/sqllogictest), as much of it as Millrace's cases use:
//
//   statement ok | statement error <regex>                         then the SQL, up to a blank line
//   query <types> [nosort|rowsort|valuesort]                        then the SQL, ----, the
//   expected rows append <stream>                                                  then JSON rows,
//   ----, how many were accepted, quarantined, rejected
//
// An error's pattern is searched in "[SQLSTATE] " and the whole text of the error, put on one line.
// In results NULL stands for NULL and (empty) for an empty text; columns are separated by white
// space in the file as in the answer. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace millrace::slt {

struct Record {
  enum class Kind { kOk, kError, kQuery, kAppend };
  Kind kind = Kind::kOk;
  int line = 0;
  std::string sql;            // kAppend: the rows, one a line
  std::string stream;         // kAppend
  std::string error_pattern;  // kError: a regular expression, empty: any error
  size_t columns = 0;         // kQuery
  enum class Sort { kNone, kRows, kValues };
  Sort sort = Sort::kNone;
  std::vector<std::string> expected;  // lines, as in the file
};

Result<std::vector<Record>> ParseFile(const std::string& path);

// Makes lines comparable: white space between values is one space.
std::string Normalised(const std::string& line);

}  // namespace millrace::slt
