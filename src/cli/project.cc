#include "cli/project.h"

#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "cli/settings.h"

namespace millrace::cli {

namespace {

namespace fs = std::filesystem;

// The place in the file, with its line.
SourcePosition PlaceOf(const std::string& path, std::string_view text,
                       const toml::source_position& place) {
  SourcePosition position;
  position.file = path;
  position.line = static_cast<int>(place.line);
  position.column = static_cast<int>(place.column);
  size_t begin = 0;
  for (int line = 1; line < position.line && begin < text.size(); ++line) {
    begin = std::min(text.find('\n', begin), text.size() - 1) + 1;
  }
  position.line_text = text.substr(begin, std::min(text.find('\n', begin), text.size()) - begin);
  return position;
}

Result<std::string> ValueOf(const toml::node& value) {
  if (const auto* text = value.as_string()) return text->get();
  if (const auto* number = value.as_integer()) return std::to_string(number->get());
  return Error(Code::kInvalidArgument, "it is a text or a whole number");
}

}  // namespace

Result<std::map<std::string, std::string>> ReadSettings(const std::string& folder) {
  std::map<std::string, std::string> settings;
  const std::string path = folder + "/millrace.toml";
  TRY(const bool exists, Files::System().Exists(path));
  if (!exists) return settings;
  TRY(const std::string text, Files::System().ReadAll(path));
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Error(Code::kInvalidArgument, "{}", error.description())
        .At(PlaceOf(path, text, error.source().begin));
  }
  const std::vector<std::string>& known = SettingNames();
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string hint = DidYouMean(name, known);
      if (hint.empty()) hint = fmt::format("there are {}", fmt::join(known, ", "));
      return Error(Code::kInvalidArgument, "unknown setting {}", Quoted(name))
          .At(PlaceOf(path, text, key.source().begin))
          .Hint(std::move(hint));
    }
    auto given = ValueOf(value);
    if (!given.ok()) {
      return std::move(given)
          .With("setting " + Quoted(name))
          .error()
          .At(PlaceOf(path, text, value.source().begin));
    }
    settings[name] = *given;
  }
  return settings;
}

Result<Project> ReadProject(const std::string& folder) {
  Project project;
  project.folder = folder;
  std::error_code code;
  if (!fs::is_directory(folder, code)) {
    return Error(Code::kNotFound, "{} is no folder", Quoted(folder))
        .Hint("a project is a folder with *.sql files, as examples/shop");
  }
  std::vector<std::string> paths;
  for (fs::recursive_directory_iterator it(folder, code), end; it != end && !code;
       it.increment(code)) {
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
  TRY(project.settings, ReadSettings(folder));
  return project;
}

}  // namespace millrace::cli
