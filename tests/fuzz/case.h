// One case: relations, views made before, between and after the changes, and what happens to the
// node meanwhile. All from one seed, so that a case can be made again. Pure data.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "fuzz/relations.h"

namespace millrace::fuzz {

struct Step {
  enum class Kind {
    kStatement,
    kCreateView,  // may be refused, but not be wrong
    kDropView,
    kCheck,
    kRestart,
    kKill,
    kPowerLoss
  };
  Kind kind = Kind::kCheck;
  Change change = {};       // kStatement: the statement
  std::string view = {};    // kCreateView, kDropView
  std::string query = {};   // kCreateView
  std::string answer = {};  // kCreateView: empty: the query's
  bool replaces = false;    // kCreateView: CREATE OR REPLACE
  std::set<std::string> constructs = {};

  std::string Sql() const;
};

// Constructs of views that share operators with views of other times.
inline constexpr const char* kTwin = "the same as an earlier view";
inline constexpr const char* kOverTwin = "over what an earlier view asks for";

// What a node is started with. The cases of one block share a node.
struct Regime {
  int workers = 1;
  size_t step_rows_max = 200'000;
  size_t memory_bytes = size_t{1} << 30;
};
constexpr uint64_t kBlock = 16;  // cases

struct Case {
  Regime regime;
  std::vector<std::string> relations;  // dropped at the end, with what reads them
  std::vector<Step> steps;
};

Case MakeCase(uint64_t seed);

}  // namespace millrace::fuzz
