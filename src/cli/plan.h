// `millrace plan PROJECT`: what `run` would change and what that costs, without doing it.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "runtime/node.h"

namespace millrace::cli {

struct PlanOptions {
  std::string project;
  std::map<std::string, std::string> flags;  // of the settings
};
// Asks the node that holds the data directory; where none does, looks into the directory without
// changing anything in it. Prints the plan.
Status Plan(const PlanOptions& options);

// A plan as it is printed: a line for each change with what it costs, the notices, and what the
// changes need together. `done`: they were made.
std::string PlanText(const runtime::ProjectPlan& plan, const std::string& folder, bool done);

// "61.2 MB"
std::string BytesText(int64_t bytes);

}  // namespace millrace::cli
