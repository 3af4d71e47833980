// What Confluent's schema registry API answers (docs/kafka.md, "Schemas"): each call a function
// from what was asked to a status and a JSON text. Knows no connections. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/url.h"
#include "schemas/registry.h"

namespace millrace::http {

struct RegistryRequest {
  std::vector<std::string> segments;  // values of the pattern's braces
  QueryParameters parameters;
  std::string body;
};

struct RegistryReply {
  int status = 200;
  std::string body;
};

struct RegistryCall {
  std::string_view method;
  std::string_view pattern;  // as in http/router.h
  RegistryReply (*answer)(schemas::Registry&, const RegistryRequest&);
  bool reads = method == "GET";  // changes nothing
};

const std::vector<RegistryCall>& RegistryCalls();

// {"error_code": …, "message": …}; the status is the code's first three digits.
RegistryReply RegistryFailure(int code, std::string_view message);

}  // namespace millrace::http
