// Which pages of other origins may use the node from a browser: CORS (Fetch standard, section 3.2).
// Browsers hold other pages back; this says which they need not. Immutable, thread-safe.
//
// Cookies and the like are never used here, so Access-Control-Allow-Credentials is never sent: a
// page of an allowed origin needs a token like everybody else, and sends it itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/head_parser.h"

namespace millrace::http {

class Cors {
 public:
  // None is allowed.
  Cors() = default;
  // "none", "*" for all, or origins: "https://app.example,http://localhost:5173".
  // kInvalidArgument names the one that is none.
  static Result<Cors> Parse(std::string_view text);

  bool Allows(std::string_view origin) const;
  // What every answer to this request has to say, as header lines; empty where none is allowed.
  std::string HeaderLines(const RequestHead& head) const;
  // For the answer to a request that IsPreflight, beside those. Empty: it is no business of CORS.
  std::string PreflightLines(const RequestHead& head) const;

 private:
  bool any_ = false;
  std::vector<std::string> origins_;  // in lower case
};

// Whether a browser asks what a page may do, before it does it.
bool IsPreflight(const RequestHead& head);

}  // namespace millrace::http
