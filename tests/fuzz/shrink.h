// Makes a failing case small: steps that it does not need go first, then parts of its queries
// (select items, terms of conditions, joins, nested queries), then rows.
#pragma once

#include <string>
#include <vector>

#include "fuzz/runner.h"

namespace millrace::fuzz {

// REQUIRES: the case fails so when it runs on a fresh node.
Case Shrink(Case made, const Failure& failure, Runner& runner, double seconds_max);

// Each query with one part less, or one part simpler; empty where the text is not understood.
std::vector<std::string> SmallerQueries(const std::string& sql);

// As a text for tests/sql. The runner has just run the case to its failure, in `view` if that is a
// difference.
std::string AsSlt(const Case& made, const std::string& view, Runner& runner);

}  // namespace millrace::fuzz
