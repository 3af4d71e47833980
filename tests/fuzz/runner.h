// Runs cases on a node and compares every view with DuckDB's batch answer to its query over the
// same rows. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "fuzz/case.h"
#include "fuzz/coverage.h"
#include "runtime/test_disk.h"

namespace millrace::fuzz {

struct Counts {
  uint64_t cases = 0;
  uint64_t views = 0;
  uint64_t comparisons = 0;
  uint64_t refused = 0;
  uint64_t restarts = 0;
  uint64_t not_compared = 0;                // DuckDB's own answer was an error
  std::map<std::string, uint64_t> reasons;  // of both, without what differs from view to view
  Coverage coverage;
};

struct Failure {
  enum class Kind { kDifference, kError };
  Kind kind;
  std::string text;
  std::string view;   // kDifference
  std::string error;  // kError: without what differs from case to case
};

class Runner {
 public:
  // Cases run one after another on the node of the ones before, as long as the regime is the same.
  // `fresh`: on a node of its own.
  std::optional<Failure> Run(const Case& made, Counts& counts, bool fresh);
  // What DuckDB answers to the query of a view after a failure, one line a row.
  std::vector<std::string> Answer(const std::string& view);
  // Ends the node.
  void Stop() { node_.reset(); }

 private:
  struct View {
    std::string query;  // that gives its content
    std::set<std::string> constructs;
  };
  Status Start();
  std::optional<Failure> RunSteps(const Case& made, Counts& counts);
  void End(Step::Kind how, Counts& counts);
  std::optional<Failure> Execute(const Step& step, Counts& counts);
  std::optional<Failure> AwaitView(const std::string& name);
  std::optional<Failure> Check(Counts& counts);
  std::optional<Failure> Compare(const std::string& name, const View& view, Counts& counts);
  std::optional<Failure> Clean(const Case& made);

  Regime regime_;
  std::unique_ptr<runtime::TestDisk> disk_;
  std::unique_ptr<runtime::Node> node_;
  std::map<std::string, View> views_;
  uint64_t power_losses_ = 0;
};

}  // namespace millrace::fuzz
