#include "http/ingest_request.h"

#include <algorithm>

#include "http/cloud_events.h"
#include "http/problem.h"
#include "http/text.h"

namespace millrace::http {
namespace {

constexpr size_t kKeyBytesMax = 255;

bool IsKey(std::string_view key) {
  return !key.empty() && key.size() <= kKeyBytesMax &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
}

Status ParseHeaders(const RequestHead& head, IngestRequest& request) {
  if (const auto key = head.Get("idempotency-key")) {
    if (!IsKey(*key)) {
      return Error(Code::kInvalidArgument,
                   "Idempotency-Key must be 1 to {} visible ASCII characters", kKeyBytesMax);
    }
    request.idempotency_key = std::string(*key);
  }
  if (const auto scope = head.Get("idempotency-scope")) {
    if (*scope != "stream") {
      return Error(Code::kInvalidArgument, "Idempotency-Scope {} is not understood", Quoted(*scope))
          .Hint(
              "\"stream\" keeps the key as long as the stream, without the header it is kept 24 h");
    }
    request.remember_long = true;
  }
  if (const auto source = head.Get("x-millrace-source")) {
    if (*source != "load") {
      return Error(Code::kInvalidArgument, "X-Millrace-Source {} is not understood",
                   Quoted(*source))
          .Hint("only \"load\" is");
    }
    request.source = std::string(*source);
  }
  return Ok();
}

Status ParseParameters(const ServiceContext& context, const Exchange& exchange,
                       IngestRequest& request) {
  static const std::vector<std::string> kKnown = {"wait", "timeout"};
  TRY(const QueryParameters parameters, KnownParameters(exchange, kKnown));
  TRY(request.timeout,
      ParseTimeout(FindParameter(parameters, "timeout"), context.options.query_timeout,
                   context.options.query_timeout_max));
  if (const std::string* wait = FindParameter(parameters, "wait")) {
    if (*wait != "visible") {
      return Error(Code::kInvalidArgument, "wait={} is not understood", *wait)
          .Hint("only wait=visible is");
    }
    request.wait_visible = true;
  }
  return Ok();
}

}  // namespace

std::optional<IngestRequest> ParseIngestRequest(const ServiceContext& context, Exchange& exchange) {
  IngestRequest request;
  request.stream = exchange.segments().front();
  const auto type = exchange.head().Get("content-type");
  if (IsStructuredEvent(BareMediaType(type.value_or("")))) {
    request.events = IngestRequest::Events::kStructured;
  } else if (IsBinaryEvent(exchange.head())) {
    request.events = IngestRequest::Events::kBinary;
  } else if (const auto format = BodyFormat(type); format.ok()) {
    request.format = *format;
  } else {
    exchange.ReplyError(format.error(), 415);
    return std::nullopt;
  }
  Status checked = ParseHeaders(exchange.head(), request);
  if (checked.ok()) checked = ParseParameters(context, exchange, request);
  if (!checked.ok()) {
    exchange.ReplyError(checked.error());
    return std::nullopt;
  }
  return request;
}

std::string IngestBody(const IngestTotal& total, const std::string& token, const Error* error) {
  std::string out = "{";
  if (error != nullptr) {
    // {"error": {…}} without its last brace and line end.
    out = ErrorBody(*error);
    out.resize(out.rfind('}'));
    out += fmt::format(", \"rows\": {}, ", total.rows);
  }
  const ingest::Answer& answer = total.answer;
  out += fmt::format("\"accepted\": {}, \"quarantined\": {}, \"rejected\": [", answer.accepted,
                     answer.quarantined);
  bool first = true;
  for (const ingest::RejectedRow& row : answer.rejected) {
    out += fmt::format("{}{{\"row\": {}, \"column\": ", first ? "" : ", ", row.row);
    first = false;
    AppendJsonString(out, row.column);
    out += ", \"error\": ";
    AppendJsonString(out, row.error);
    out += '}';
  }
  out += fmt::format("], \"rejected_count\": {}, \"token\": ", answer.rejected_count);
  AppendJsonString(out, token);
  if (answer.repeated) out += ", \"repeated\": true";
  if (total.visible) out += fmt::format(", \"visible\": {}", *total.visible);
  if (!total.not_visible.empty()) {
    out += ", \"reason\": ";
    AppendJsonString(out, total.not_visible);
  }
  if (total.decided) {
    out += fmt::format(", \"duplicates\": {}, \"late\": {}", total.decided->duplicates,
                       total.decided->late);
  }
  return out + "}\n";
}

}  // namespace millrace::http
