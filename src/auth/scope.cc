#include "auth/scope.h"

#include <algorithm>
#include <array>

namespace millrace::auth {

namespace {

struct Name {
  Permission permission;
  std::string_view text;
  bool has_object;
};
constexpr std::array kNames = {
    Name{Permission::kIngest, "ingest", true},    Name{Permission::kConsume, "consume", true},
    Name{Permission::kRead, "read", true},        Name{Permission::kSql, "sql", false},
    Name{Permission::kMetrics, "metrics", false}, Name{Permission::kAdmin, "admin", false},
};

constexpr char kHint[] =
    "scopes are ingest:STREAM, consume:STREAM, read:ENDPOINT or read:MODEL (* for all of them), "
    "sql, metrics and admin";

}  // namespace

Result<Scope> ParseScope(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view head = text.substr(0, colon);
  const auto name = std::find_if(kNames.begin(), kNames.end(),
                                 [&](const Name& each) { return each.text == head; });
  if (name == kNames.end()) {
    return Error(Code::kInvalidArgument, "there is no scope {}", Quoted(text)).Hint(kHint);
  }
  const std::string_view object =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (name->has_object && object.empty()) {
    return Error(Code::kInvalidArgument, "scope {} does not say of what", Quoted(text))
        .Hint(fmt::format("write {0}:NAME, or {0}:* for all", name->text));
  }
  if (!name->has_object && colon != std::string_view::npos) {
    return Error(Code::kInvalidArgument, "scope {} takes no name behind it", Quoted(name->text))
        .Hint(kHint);
  }
  return Scope{name->permission, std::string(object)};
}

std::string ToString(const Scope& scope) {
  for (const Name& name : kNames) {
    if (name.permission != scope.permission) continue;
    return name.has_object ? fmt::format("{}:{}", name.text, scope.object) : std::string(name.text);
  }
  return "";
}

bool Scopes::Allow(Permission permission, std::string_view object) const {
  return std::any_of(scopes_.begin(), scopes_.end(), [&](const Scope& scope) {
    if (scope.permission == Permission::kAdmin) return true;
    return scope.permission == permission && (scope.object == "*" || scope.object == object);
  });
}

bool Scopes::AllowSome(Permission permission) const {
  return std::any_of(scopes_.begin(), scopes_.end(), [&](const Scope& scope) {
    return scope.permission == Permission::kAdmin || scope.permission == permission;
  });
}

std::string ToString(const Scopes& scopes) {
  std::string out;
  for (const Scope& scope : scopes.list()) {
    if (!out.empty()) out += ",";
    out += ToString(scope);
  }
  return out;
}

}  // namespace millrace::auth
