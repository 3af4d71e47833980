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
  std::vector<runtime::ProjectFile> files;      // all *.sql below the folder, in order of path
  std::map<std::string, std::string> settings;  // of millrace.toml: "http", "workers", "memory", …
};

// Errors: no such folder, no *.sql file in it, and those of ReadSettings.
Result<Project> ReadProject(const std::string& folder);

// What FOLDER/millrace.toml says; nothing where there is none. Errors name file, line and column:
// it is no TOML, an unknown key (with the nearest one), a value that is neither a text nor a whole
// number.
Result<std::map<std::string, std::string>> ReadSettings(const std::string& folder);

}  // namespace millrace::cli
