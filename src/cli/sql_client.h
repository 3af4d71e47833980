// `millrace sql`: one statement, or a prompt with history.
#pragma once

#include <string>

#include "base/result.h"

namespace millrace::cli {

struct SqlOptions {
  std::string text;              // empty: a prompt
  std::string format = "table";  // table, json, csv, ndjson
  std::string url;
};
Status Sql(const SqlOptions& options);

}  // namespace millrace::cli
