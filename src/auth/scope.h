// Scopes say what a user or a token may do: "ingest:clicks", "consume:*", "read:days", "sql",
// "metrics", "admin". Pure values, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::auth {

enum class Permission {
  kIngest,   // of a stream: append to it (HTTP, Kafka)
  kConsume,  // of a stream: read its records (Kafka, trace)
  kRead,     // of an endpoint or a model: call it
  kSql,      // statements that read anything and change rows of anything, no definitions
  kMetrics,  // /metrics and /v1/ledger
  kAdmin,    // everything
};

struct Scope {
  Permission permission = Permission::kAdmin;
  std::string object;  // a name, or "*" for all; empty where the permission has no objects
  bool operator==(const Scope&) const = default;
};

// "ingest:clicks" → a Scope. kInvalidArgument names what there is.
Result<Scope> ParseScope(std::string_view text);
std::string ToString(const Scope& scope);

class Scopes {
 public:
  Scopes() = default;
  explicit Scopes(std::vector<Scope> scopes) : scopes_(std::move(scopes)) {}

  // `object` is empty where the permission has none.
  bool Allow(Permission permission, std::string_view object) const;
  // For at least one object.
  bool AllowSome(Permission permission) const;
  const std::vector<Scope>& list() const { return scopes_; }

 private:
  std::vector<Scope> scopes_;
};

// With a comma between them, as people read them.
std::string ToString(const Scopes& scopes);

}  // namespace millrace::auth
