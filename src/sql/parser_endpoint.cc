#include "sql/parser_endpoint.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "rows/schema.h"

namespace millrace::sql {
namespace {

bool Declares(const catalog::EndpointDefinition& endpoint, std::string_view name) {
  for (const auto& parameter : endpoint.parameters) {
    if (rows::EqualNames(parameter.name, name)) return true;
  }
  return false;
}

std::vector<std::string> ParameterNames(const catalog::EndpointDefinition& endpoint) {
  std::vector<std::string> names;
  for (const auto& parameter : endpoint.parameters) names.push_back(parameter.name);
  return names;
}

}  // namespace

Status CheckEndpointPath(const Cursor& cursor, const catalog::EndpointDefinition& endpoint,
                         size_t path_begin) {
  const auto refuse = [&](std::string message) {
    return cursor.At(path_begin,
                     Error(Code::kInvalidArgument, "path '{}': {}", endpoint.path, message));
  };
  if (!endpoint.path.starts_with('/')) return refuse("expected it to begin with /");
  std::set<std::string> seen;
  size_t begin = 1;
  while (begin <= endpoint.path.size()) {
    const size_t end = std::min(endpoint.path.find('/', begin), endpoint.path.size());
    const std::string segment = endpoint.path.substr(begin, end - begin);
    begin = end + 1;
    if (segment.empty() && end < endpoint.path.size()) return refuse("it has an empty part");
    if (segment.find_first_of(" ?#%\n\t") != std::string::npos)
      return refuse("it holds a character that no path has");
    if (segment.find_first_of("{}") == std::string::npos) continue;
    if (segment.size() < 3 || segment.front() != '{' ||
        segment.find_first_of("{}", 1) != segment.size() - 1) {
      return refuse(fmt::format("expected {{parameter}} between two slashes, got {}", segment));
    }
    const std::string name = segment.substr(1, segment.size() - 2);
    if (!Declares(endpoint, name)) {
      return refuse(fmt::format("parameter {} is not declared", Quoted(name)))
          .Hint(DidYouMean(name, ParameterNames(endpoint)));
    }
    if (!seen.insert(rows::LowerName(name)).second)
      return refuse(fmt::format("parameter {} stands in it twice", Quoted(name)));
  }
  return Ok();
}

Status CheckEndpointParameters(Cursor& cursor, const catalog::EndpointDefinition& endpoint,
                               size_t select_at) {
  for (cursor.Seek(select_at); !cursor.AtEnd(); cursor.Advance()) {
    if (cursor.Peek().kind != Token::Kind::kParameter) continue;
    const std::string name = ParameterOf(cursor.text(), cursor.Peek());
    if (Declares(endpoint, name)) continue;
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name.front()))) {
      return cursor.At(
          cursor.Peek().begin,
          Error(Code::kInvalidArgument, "an endpoint's parameters have names: write $name")
              .SqlState("42P02"));
    }
    return cursor.At(cursor.Peek().begin,
                     Error(Code::kNotFound, "parameter ${} is not declared", name)
                         .Hint(DidYouMean(name, ParameterNames(endpoint)))
                         .SqlState("42P02"));
  }
  return Ok();
}

}  // namespace millrace::sql
