// `millrace sql`: one statement, or a prompt with history.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/find_node.h"

namespace millrace::cli {

struct SqlOptions {
  std::string text;              // empty: a prompt
  std::string format = "table";  // table, json, csv, ndjson
  NodeFlags node;
};
Status Sql(const SqlOptions& options);

}  // namespace millrace::cli
