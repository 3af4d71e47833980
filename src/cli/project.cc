#include "cli/project.h"

#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"

namespace millrace::cli {

namespace {

namespace fs = std::filesystem;

const std::vector<std::string>& KnownSettings() {
  static const std::vector<std::string> known = {"name", "http", "data", "workers", "memory"};
  return known;
}

Status ReadSettings(const std::string& path, Project& project) {
  TRY(const bool exists, Files::System().Exists(path));
  if (!exists) return Ok();
  TRY(const std::string text, Files::System().ReadAll(path));
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    SourcePosition position;
    position.file = path;
    position.line = static_cast<int>(error.source().begin.line);
    position.column = static_cast<int>(error.source().begin.column);
    return Error(Code::kInvalidArgument, "{}", error.description()).At(std::move(position));
  }
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    if (std::find(KnownSettings().begin(), KnownSettings().end(), name) == KnownSettings().end()) {
      return Error(Code::kInvalidArgument, "{}: unknown setting {}", path, Quoted(name)).Hint(DidYouMean(name, KnownSettings()));
    }
    if (const auto* text_value = value.as_string()) {
      project.settings[name] = text_value->get();
    } else if (const auto* number = value.as_integer()) {
      project.settings[name] = std::to_string(number->get());
    } else {
      return Error(Code::kInvalidArgument, "{}: setting {} is a text or a whole number", path, Quoted(name));
    }
  }
  return Ok();
}

}  // namespace

Result<Project> ReadProject(const std::string& folder) {
  Project project;
  project.folder = folder;
  std::error_code code;
  if (!fs::is_directory(folder, code)) {
    return Error(Code::kNotFound, "{} is no folder", Quoted(folder)).Hint("a project is a folder with *.sql files, as examples/shop");
  }
  std::vector<std::string> paths;
  for (fs::recursive_directory_iterator it(folder, code), end; it != end && !code; it.increment(code)) {
    if (it->path().filename() == ".millrace") {
      it.disable_recursion_pending();
    } else if (it->is_regular_file(code) && it->path().extension() == ".sql") {
      paths.push_back(it->path().string());
    }
  }
  if (code) return Error(Code::kIo, "read project {}: {}", Quoted(folder), code.message());
  if (paths.empty()) return Error(Code::kNotFound, "there is no *.sql file in {}", Quoted(folder));
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    TRY(std::string text, Files::System().ReadAll(path));
    project.files.push_back({path, std::move(text)});
  }
  TRY(ReadSettings(folder + "/millrace.toml", project));
  return project;
}

}  // namespace millrace::cli
