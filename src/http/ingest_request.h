// What the head of a POST /v1/streams/{name} asks for, checked; and the answer's JSON.
// Pure functions, thread-safe.
#pragma once

#include <string>

#include "http/exchange.h"
#include "http/negotiation.h"
#include "http/service.h"

namespace millrace::http {

struct IngestRequest {
  std::string stream;
  Format format = Format::kJson;
  enum class Events { kNone, kStructured, kBinary };
  Events events = Events::kNone;  // CloudEvents, whatever `format` says
  std::string idempotency_key;    // empty: none
  bool remember_long = false;
  std::string source = "http";
  bool wait_visible = false;
  std::chrono::milliseconds timeout{0};
};

// Answers the request itself where something is wrong with it, and gives nullopt.
std::optional<IngestRequest> ParseIngestRequest(const ServiceContext& context, Exchange& exchange);

// What all pieces of one body came to.
struct IngestTotal {
  ingest::Answer answer;  // tokens are in `tokens`
  std::vector<std::string> tokens;
  size_t rows = 0;          // of the body that were dealt with, one after the other from its first
  std::string not_visible;  // why not, where `visible` is false
  std::optional<bool> visible;                    // with ?wait=visible
  std::optional<runtime::DecidedCounts> decided;  // where all of it is visible and known
};

// {"accepted", "quarantined", "rejected", "rejected_count", "token", …}. With an error it comes
// first, and "rows" says how far it came.
std::string IngestBody(const IngestTotal& total, const std::string& token, const Error* error);

}  // namespace millrace::http
