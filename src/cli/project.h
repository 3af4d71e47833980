// A project on disk: a folder with millrace.toml and any number of *.sql files.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/node.h"

namespace millrace::cli {

struct Project {
  std::string folder;
  std::vector<runtime::ProjectFile> files;       // all *.sql below the folder, in order of path
  std::map<std::string, std::string> settings;   // of millrace.toml: "http", "workers", "memory", "data", …
};

// Errors: no such folder, no *.sql file in it, a millrace.toml that is no TOML or has unknown keys (place, nearest key).
Result<Project> ReadProject(const std::string& folder);

}  // namespace millrace::cli
