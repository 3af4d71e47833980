// `millrace token create|list|revoke` and `millrace user create|list|drop`: who may use a node.
//
// They work on the data directory, whether a node runs on it or not; one that runs takes a change
// up within a second.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace millrace::cli {

struct AccessOptions {
  std::string project = ".";
  std::map<std::string, std::string> flags;  // of the settings: data
  std::string name;                          // of the user, id of the token
  std::vector<std::string> scopes;
  std::string expires;  // "90d"; empty: never
  std::string note;
  std::string rate;  // "100/s"; empty: no limit
  bool replace = false;
};
// Prints the token, alone on standard output.
Status CreateToken(const AccessOptions& options);
Status ListTokens(const AccessOptions& options);
Status RevokeToken(const AccessOptions& options);
// The password comes from MILLRACE_PASSWORD, a prompt, or the first line of standard input.
Status CreateUser(const AccessOptions& options);
Status ListUsers(const AccessOptions& options);
Status DropUser(const AccessOptions& options);

// "90d", "12h", "30m", "45s" → seconds; kInvalidArgument. Empty: 0.
Result<int64_t> ParseLifetime(const std::string& text);

}  // namespace millrace::cli
