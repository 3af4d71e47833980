#include "http/project_plan_json.h"

#include <simdjson.h>

#include <array>

#include "http/text.h"

namespace millrace::http {
namespace {

using What = catalog::Difference::What;
using simdjson::dom::element;

constexpr std::array kWhats = {What::kCreate, What::kReplace, What::kDrop, What::kAlter};
constexpr std::array kKinds = {
    catalog::Kind::kStream, catalog::Kind::kTable,  catalog::Kind::kView,
    catalog::Kind::kIndex,  catalog::Kind::kSource, catalog::Kind::kEndpoint,
    catalog::Kind::kType,   catalog::Kind::kMacro,  catalog::Kind::kModel};

Error BadPlan(std::string_view what) {
  return Error(Code::kInvalidArgument, "the node's plan cannot be read: {}", what)
      .Hint("use a node and a command line of the same version");
}

template <typename T>
Status Take(const element& json, const char* name, T& value) {
  if (json[name].get(value) == simdjson::SUCCESS) return Ok();
  return BadPlan(fmt::format("{} is missing", name));
}

Result<runtime::ProjectPlan::Item> ParseItem(const element& json) {
  runtime::ProjectPlan::Item item;
  std::string_view what, kind, name, reason;
  TRY(Take(json, "what", what));
  TRY(Take(json, "kind", kind));
  TRY(Take(json, "name", name));
  TRY(Take(json, "reason", reason));
  TRY(Take(json, "rows_to_read", item.rows_to_read));
  TRY(Take(json, "bytes_to_read", item.bytes_to_read));
  TRY(Take(json, "rows_lost", item.rows_lost));
  TRY(Take(json, "bytes_lost", item.bytes_lost));
  TRY(Take(json, "builds", item.change.backfill));
  TRY(Take(json, "needs_allow_drop", item.change.loses_data));
  item.change.name = name;
  item.change.reason = reason;
  bool known = false;
  for (const What each : kWhats) {
    if (WhatName(each) != what) continue;
    item.change.what = each;
    known = true;
  }
  if (!known) return BadPlan(fmt::format("what is {}", Quoted(what)));
  known = false;
  for (const catalog::Kind each : kKinds) {
    if (catalog::KindName(each) != kind) continue;
    item.change.kind = each;
    known = true;
  }
  if (!known) return BadPlan(fmt::format("kind is {}", Quoted(kind)));
  return item;
}

}  // namespace

std::string_view WhatName(What what) {
  switch (what) {
    case What::kCreate:
      return "create";
    case What::kReplace:
      return "replace";
    case What::kDrop:
      return "drop";
    case What::kAlter:
      return "alter";
  }
  return "unknown";
}

std::string ProjectFilesBody(const std::vector<runtime::ProjectFile>& files) {
  std::string out = "{\"files\": [";
  for (const runtime::ProjectFile& file : files) {
    out += &file == &files.front() ? "\n  {\"path\": " : ",\n  {\"path\": ";
    AppendJsonString(out, file.path);
    out += ", \"text\": ";
    AppendJsonString(out, file.text);
    out += '}';
  }
  return out + "]}\n";
}

std::string ProjectPlanBody(const runtime::ProjectPlan& plan) {
  std::string out = "{\"items\": [";
  for (const runtime::ProjectPlan::Item& item : plan.items) {
    out += &item == &plan.items.front() ? "\n  " : ",\n  ";
    out +=
        fmt::format("{{\"what\": \"{}\", \"kind\": \"{}\", \"name\": ", WhatName(item.change.what),
                    catalog::KindName(item.change.kind));
    AppendJsonString(out, item.change.name);
    out += ", \"reason\": ";
    AppendJsonString(out, item.change.reason);
    out += fmt::format(
        ", \"builds\": {}, \"rows_to_read\": {}, \"bytes_to_read\": {}, \"rows_lost\": {}, "
        "\"bytes_lost\": {}, \"needs_allow_drop\": {}}}",
        item.change.backfill, item.rows_to_read, item.bytes_to_read, item.rows_lost,
        item.bytes_lost, item.change.loses_data);
  }
  out += "], \"notices\": [";
  for (const std::string& notice : plan.notices) {
    if (&notice != &plan.notices.front()) out += ", ";
    AppendJsonString(out, notice);
  }
  return out + "]}\n";
}

Result<runtime::ProjectPlan> ParseProjectPlan(std::string_view body) {
  simdjson::dom::parser parser;
  element json;
  if (body.data() == nullptr) body = "";  // an empty view may have none, which the parser copies
  if (const auto failed = parser.parse(body.data(), body.size()).get(json); failed) {
    return BadPlan(simdjson::error_message(failed));
  }
  runtime::ProjectPlan plan;
  simdjson::dom::array array;
  TRY(Take(json, "items", array));
  for (const element each : array) {
    TRY(runtime::ProjectPlan::Item item, ParseItem(each));
    plan.items.push_back(std::move(item));
  }
  TRY(Take(json, "notices", array));
  for (const element each : array) {
    std::string_view notice;
    if (each.get(notice) != simdjson::SUCCESS) return BadPlan("a notice is no text");
    plan.notices.emplace_back(notice);
  }
  return plan;
}

}  // namespace millrace::http
