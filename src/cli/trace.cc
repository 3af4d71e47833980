#include "cli/trace.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdio>

#include "cli/find_node.h"
#include "rows/json_parse.h"

namespace millrace::cli {

namespace {

using simdjson::dom::element;

constexpr size_t kValueBytesShown = 200;

// What stands under a name, as a person reads it: a text without quotes, anything else as JSON;
// empty for null and where there is none.
std::string Text(const element& object, const char* name) {
  element value;
  std::string_view text;
  if (object[name].get(value) != simdjson::SUCCESS || value.is_null()) return "";
  if (value.get(text) == simdjson::SUCCESS) return std::string(text);
  return simdjson::minify(value);
}

void Line(std::string& out, std::string_view name, const std::string& text) {
  if (!text.empty()) out += fmt::format("  {:10} {}\n", name, text);
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string OutcomeText(const element& document) {
  const std::string outcome = Text(document, "outcome");
  std::string text = outcome;
  if (outcome == "in flight") text += ": durable, and no visible step has taken it yet";
  if (outcome == "duplicate") {
    element first;
    if (document["duplicate_of"].get(first) == simdjson::SUCCESS && !first.is_null()) {
      text += fmt::format(" of {}/{}/{}", Text(document, "stream"), Text(first, "partition"),
                          Text(first, "offset"));
    } else {
      text += " of an unknown record: " + Text(document, "duplicate_of_unknown");
    }
  }
  if (outcome == "late, diverted") text += fmt::format(": in {}.late", Text(document, "stream"));
  if (outcome == "invalid") text += fmt::format(": in {}.quarantine", Text(document, "stream"));
  return text;
}

std::string StepText(const element& document) {
  const std::string step = Text(document, "step");
  const std::string visible = Text(document, "visible_step");
  if (step.empty()) {
    return fmt::format("unknown: {} (visible is step {})", Text(document, "step_unknown"), visible);
  }
  return fmt::format("{} (visible is step {})", step, visible);
}

void ViewLines(std::string& out, const element& document) {
  simdjson::dom::array views;
  if (document["views"].get(views) != simdjson::SUCCESS) return;
  std::string passed, waiting;
  for (const element view : views) {
    bool has_passed = false;
    if (view["passed"].get(has_passed) != simdjson::SUCCESS) continue;
    std::string& list = has_passed ? passed : waiting;
    list += (list.empty() ? "" : ", ") + Text(view, "name");
  }
  Line(out, "passed by", passed);
  Line(out, "not yet by", waiting);
  if (passed.empty() && waiting.empty()) Line(out, "views", "none reads the stream");
}

void RowLines(std::string& out, const element& document) {
  simdjson::dom::object row;
  if (document["row"].get(row) != simdjson::SUCCESS) return;
  std::string_view title = "columns";
  for (const auto field : row) {
    std::string value;
    std::string_view text;
    value = field.value.get(text) == simdjson::SUCCESS ? std::string(text)
                                                       : std::string(simdjson::minify(field.value));
    Line(out, title, fmt::format("{} = {}", field.key, value));
    title = "";
  }
}

}  // namespace

Result<RecordName> ParseRecordName(std::string_view text) {
  const size_t second = text.rfind('/');
  const size_t first = second == std::string_view::npos || second == 0
                           ? std::string_view::npos
                           : text.rfind('/', second - 1);
  if (first != std::string_view::npos && first > 0) {
    RecordName name{std::string(text.substr(0, first)),
                    std::string(text.substr(first + 1, second - first - 1)),
                    std::string(text.substr(second + 1))};
    if (IsNumber(name.partition) && IsNumber(name.offset)) return name;
  }
  return Error(Code::kInvalidArgument, "{} names no record", Quoted(text))
      .Hint("STREAM/PARTITION/OFFSET, as order_lines/2/17");
}

Result<std::string> TraceText(const std::string& body) {
  simdjson::dom::parser parser;
  element document, log;
  if (!rows::ParseJson(body, parser, document).ok() ||
      document["log"].get(log) != simdjson::SUCCESS) {
    return Error(Code::kInternal, "the node's trace cannot be read: {}", body.substr(0, 500));
  }
  std::string out = fmt::format("{}/{}/{}\n", Text(document, "stream"), Text(document, "partition"),
                                Text(document, "offset"));
  int64_t end = 0;
  if (log["end_offset"].get(end) != simdjson::SUCCESS) end = 0;
  Line(out, "log",
       fmt::format("durable, in topic {}, whose partition {} holds offsets {} to {}",
                   Text(log, "topic"), Text(document, "partition"), Text(log, "start_offset"),
                   end - 1));
  Line(out, "appended", Text(log, "appended_at"));
  if (log["key"].error() == simdjson::SUCCESS) {
    const std::string key = Text(log, "key");
    Line(out, "key",
         key.empty() ? "none" : fmt::format("{} ({} bytes)", key, Text(log, "key_bytes")));
    std::string value = Text(log, "value");
    if (value.size() > kValueBytesShown) value = value.substr(0, kValueBytesShown) + "…";
    Line(out, "value", fmt::format("{} ({} bytes)", value, Text(log, "value_bytes")));
    Line(out, "source", Text(log, "source"));
  }
  Line(out, "outcome", OutcomeText(document));
  Line(out, "reason", Text(document, "error"));
  Line(out, "in column", Text(document, "error_column"));
  Line(out, "step", StepText(document));
  RowLines(out, document);
  ViewLines(out, document);
  return out;
}

Status Trace(const TraceOptions& options) {
  TRY(const RecordName name, ParseRecordName(options.record));
  TRY(net::HttpClient client, FindNode(options.node));
  TRY(const net::ClientAnswer answer,
      client.Get(fmt::format("/v1/trace/{}/{}/{}", PercentEncoded(name.stream), name.partition,
                             name.offset)));
  if (answer.status != 200) return ErrorOfAnswer(answer);
  if (options.format == "json") {
    std::fputs(answer.body.c_str(), stdout);
    return Ok();
  }
  TRY(const std::string text, TraceText(answer.body));
  std::fputs(text.c_str(), stdout);
  return Ok();
}

}  // namespace millrace::cli
