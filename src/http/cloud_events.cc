#include "http/cloud_events.h"

#include <simdjson.h>

#include <set>

#include "http/json_build.h"
#include "http/negotiation.h"
#include "http/url.h"
#include "rows/json_parse.h"
#include "rows/schema.h"
#include "rows/value_text.h"

namespace millrace::http {
namespace {

constexpr std::string_view kPrefix = "ce-";

// What is wrong with an event; empty: nothing.
std::string ProblemOf(simdjson::dom::parser& parser, std::string_view text) {
  simdjson::dom::element root;
  simdjson::dom::object event;
  if (!rows::ParseJson(text, parser, root).ok() || root.get(event) != simdjson::SUCCESS)
    return "";  // the decoder says what is wrong with the JSON
  for (const char* name : {"specversion", "id", "source", "type"}) {
    std::string_view value;
    if (event[name].get_string().get(value) != simdjson::SUCCESS || value.empty())
      return fmt::format("a CloudEvent must have {}, a text that is not empty", name);
    if (name == std::string_view("specversion") && value != "1.0")
      return fmt::format("CloudEvents of specversion {} are not understood, only 1.0", value);
  }
  return "";
}

// The rows of another one, without those that are no events.
class EventSplitter final : public RowSplitter {
 public:
  Result<size_t> Cut(std::string_view bytes, bool last, CutRows& cut) override {
    auto used = events_->Cut(bytes, last, cut);
    size_t kept = 0;
    for (size_t i = 0; i < cut.rows.size(); ++i) {
      std::string problem = ProblemOf(parser_, cut.rows[i]);
      if (!problem.empty()) {
        cut.wrong.push_back(
            {.row = cut.indexes[i], .kind = "event", .column = "", .message = std::move(problem)});
        continue;
      }
      cut.rows[kept] = cut.rows[i];
      cut.indexes[kept++] = cut.indexes[i];
    }
    cut.rows.resize(kept);
    cut.indexes.resize(kept);
    return used;
  }
  size_t DropRow() override { return events_->DropRow(); }
  size_t row_count() const override { return events_->row_count(); }

 private:
  std::unique_ptr<RowSplitter> events_ = MakeJsonSplitter();
  simdjson::dom::parser parser_;
};

// `"name": value` of the data, by its media type.
JsonMembers DataMember(const std::string& media_type, std::string_view data) {
  if (data.empty()) return {};
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const bool is_json = media_type.empty() || media_type == "application/json" ||
                       media_type == "text/json" || media_type.ends_with("+json");
  // What is no JSON must not be put into the row as such: it could end the member and begin
  // another.
  if (is_json && rows::ParseJson(data, parser, root).ok()) return {{"data", std::string(data)}};
  if ((is_json || media_type.starts_with("text/")) &&
      simdjson::validate_utf8(data.data(), data.size()))
    return {{"data", JsonText(data)}};
  std::string encoded;
  rows::AppendBase64(data, encoded);
  return {{"data_base64", JsonText(encoded)}};
}

// Of one event, whose attributes are known.
class EventDataSplitter final : public RowSplitter {
 public:
  EventDataSplitter(JsonMembers attributes, std::string media_type)
      : attributes_(std::move(attributes)), media_type_(std::move(media_type)) {}

  Result<size_t> Cut(std::string_view bytes, bool last, CutRows& cut) override {
    if (dropped_) return bytes.size();
    if (!last) return 0;
    // What an event must have are attributes: its data, which may be large, is not looked at for
    // it.
    simdjson::dom::parser parser;
    if (std::string problem = ProblemOf(parser, JsonObject(attributes_)); !problem.empty()) {
      cut.wrong.push_back(
          {.row = count_++, .kind = "event", .column = "", .message = std::move(problem)});
      return bytes.size();
    }
    JsonMembers members = attributes_;
    for (auto& member : DataMember(media_type_, bytes)) members.push_back(std::move(member));
    const auto row = std::make_shared<const std::string>(JsonObject(members));
    cut.rows.push_back(*row);
    cut.indexes.push_back(count_++);
    cut.owner = row;
    return bytes.size();
  }

  size_t DropRow() override {
    dropped_ = true;
    return count_++;
  }
  size_t row_count() const override { return count_; }

 private:
  const JsonMembers attributes_;
  const std::string media_type_;
  size_t count_ = 0;
  bool dropped_ = false;
};

// HTTP Protocol Binding, 3.1.3.2: percent-encoded, and some senders put it in double quotes.
Result<std::string> AttributeValue(std::string_view value) {
  std::string plain;
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
    for (size_t i = 0; i < value.size(); ++i) {
      if (value[i] == '\\' && i + 1 < value.size()) ++i;
      plain += value[i];
    }
    value = plain;
  }
  TRY(std::string decoded, PercentDecode(value, /*plus_is_space=*/false));
  if (!simdjson::validate_utf8(decoded.data(), decoded.size()))
    return Error(Code::kInvalidArgument, "it is not UTF-8");
  return decoded;
}

}  // namespace

bool IsStructuredEvent(std::string_view media_type) {
  return media_type == "application/cloudevents+json" ||
         media_type == "application/cloudevents-batch+json";
}

std::unique_ptr<RowSplitter> MakeEventSplitter() { return std::make_unique<EventSplitter>(); }

bool IsBinaryEvent(const RequestHead& head) {
  return head.Get("ce-specversion").has_value() || head.Get("ce-id").has_value();
}

Result<std::unique_ptr<RowSplitter>> MakeEventDataSplitter(const RequestHead& head) {
  JsonMembers attributes;
  std::set<std::string> seen;
  for (size_t i = 0; i < head.field_count; ++i) {
    std::string name = rows::LowerName(head.fields[i].name);
    if (!name.starts_with(kPrefix)) continue;
    name.erase(0, kPrefix.size());
    if (name.starts_with("data"))
      return Error(Code::kInvalidArgument,
                   "the header ce-{} is no attribute of an event: its data "
                   "is the body, its type Content-Type",
                   name);
    if (!seen.insert(name).second)
      return Error(Code::kInvalidArgument, "the header ce-{} is there twice", name);
    auto value = AttributeValue(head.fields[i].value);
    if (!value.ok()) return std::move(value).error().With(fmt::format("the header ce-{}", name));
    attributes.emplace_back(std::move(name), JsonText(*value));
  }
  const std::string_view type = head.Get("content-type").value_or("");
  if (!type.empty()) attributes.emplace_back("datacontenttype", JsonText(type));
  return std::unique_ptr<RowSplitter>(
      std::make_unique<EventDataSplitter>(std::move(attributes), BareMediaType(type)));
}

}  // namespace millrace::http
