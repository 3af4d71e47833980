#include "schemas/json_schema.h"

#include <simdjson.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "schemas/json_text.h"

namespace millrace::schemas {

namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::string_view kTypes[] = {"null",   "boolean", "object", "array",
                                       "number", "string",  "integer"};

// What says nothing about which values are accepted.
bool IsAnnotation(std::string_view key) {
  static constexpr std::string_view kKeys[] = {"title",   "description", "default",  "examples",
                                               "$schema", "$id",         "$comment", "id",
                                               "format",  "deprecated",  "readOnly", "writeOnly"};
  return std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys) ||
         key.starts_with("connect.") || key.starts_with("x-");
}

bool IsCompared(std::string_view key) {
  static constexpr std::string_view kKeys[] = {
      "type",    "properties", "required",  "additionalProperties",
      "items",   "enum",       "const",     "minimum",
      "maximum", "minLength",  "maxLength", "minItems",
      "maxItems"};
  return std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys);
}

Status Check(const element& json, const std::string& place) {
  if (json.is_bool()) return Ok();
  object schema;
  if (json.get(schema) != simdjson::SUCCESS)
    return Error(Code::kInvalidArgument, "{}: a schema is an object or a boolean", place);
  element type;
  if (schema["type"].get(type) == simdjson::SUCCESS) {
    std::vector<element> names;
    simdjson::dom::array list;
    if (type.get(list) == simdjson::SUCCESS) {
      for (const element name : list) names.push_back(name);
    } else {
      names.push_back(type);
    }
    for (const element& name : names) {
      std::string_view text;
      if (name.get(text) != simdjson::SUCCESS ||
          std::find(std::begin(kTypes), std::end(kTypes), text) == std::end(kTypes))
        return Error(Code::kInvalidArgument, "{}: {} is no type", place, simdjson::minify(name));
    }
  }
  object properties;
  if (schema["properties"].get(properties) == simdjson::SUCCESS) {
    for (const auto property : properties) {
      TRY(Check(property.value, fmt::format("{}.properties.{}", place, property.key)));
    }
  }
  element inner;
  if (schema["items"].get(inner) == simdjson::SUCCESS && !inner.is_array()) {
    TRY(Check(inner, place + ".items"));
  }
  if (schema["additionalProperties"].get(inner) == simdjson::SUCCESS) {
    TRY(Check(inner, place + ".additionalProperties"));
  }
  return Ok();
}

std::string Ordered(const element& json) {
  auto text = OrderedJson(simdjson::minify(json), /*avro=*/false);
  CHECK(text.ok()) << text.error().ToString();
  return std::move(text).value();
}

// What a schema says, by keyword. `true` says nothing.
struct Rules {
  explicit Rules(const element& json) {
    bool accepts = true;
    if (json.get(accepts) == simdjson::SUCCESS) nothing = !accepts;
    object fields;
    if (json.get(fields) != simdjson::SUCCESS) return;
    for (const auto field : fields) {
      if (IsCompared(field.key)) {
        compared.emplace(field.key, field.value);
      } else if (!IsAnnotation(field.key)) {
        others.emplace(field.key, Ordered(field.value));
      }
    }
  }
  std::optional<element> Find(std::string_view key) const {
    const auto found = compared.find(key);
    return found == compared.end() ? std::nullopt : std::optional<element>(found->second);
  }
  // Each type it accepts; empty: all.
  std::set<std::string> Types() const {
    std::set<std::string> types;
    const auto type = Find("type");
    if (!type) return types;
    simdjson::dom::array list;
    if (type->get(list) == simdjson::SUCCESS) {
      for (const element name : list) types.emplace(std::string_view(name));
    } else {
      types.emplace(std::string_view(*type));
    }
    return types;
  }
  std::map<std::string, element> Properties() const {
    std::map<std::string, element> properties;
    object fields;
    const auto found = Find("properties");
    if (found && found->get(fields) == simdjson::SUCCESS) {
      for (const auto field : fields) properties.emplace(field.key, field.value);
    }
    return properties;
  }
  std::set<std::string> Texts(std::string_view key) const {
    std::set<std::string> texts;
    simdjson::dom::array items;
    const auto found = Find(key);
    if (found && found->get(items) == simdjson::SUCCESS) {
      for (const element item : items) texts.insert(Ordered(item));
    }
    return texts;
  }
  std::optional<double> Bound(std::string_view key) const {
    double bound = 0;
    const auto found = Find(key);
    if (!found || found->get(bound) != simdjson::SUCCESS) return std::nullopt;
    return bound;
  }
  // Whether properties that it does not name are accepted, whatever they hold.
  bool Open() const {
    const auto found = Find("additionalProperties");
    bool open = true;
    return !found || (found->get(open) == simdjson::SUCCESS && open);
  }
  bool Closed() const {
    const auto found = Find("additionalProperties");
    bool open = true;
    return found && found->get(open) == simdjson::SUCCESS && !open;
  }
  bool SaysNothing() const { return !nothing && compared.empty() && others.empty(); }

  bool nothing = false;  // the schema `false`
  std::map<std::string_view, element> compared;
  std::map<std::string, std::string> others;
};

class JsonSchemaComparison {
 public:
  void Compare(const element& reader_json, const element& writer_json, const std::string& place) {
    const Rules reader(reader_json);
    const Rules writer(writer_json);
    if (reader.SaysNothing() || writer.nothing) return;
    if (reader.nothing) return Add(place, "nothing is accepted any more");
    if (reader.others != writer.others)
      return Add(place, "keywords that are not compared have changed");
    CompareTypes(reader, writer, place);
    CompareBounds(reader, writer, place);
    CompareChoices(reader, writer, place);
    CompareProperties(reader, writer, place);
    const auto items = reader.Find("items");
    const auto were = writer.Find("items");
    if (items && !were) {
      if (!Rules(*items).SaysNothing()) Add(place, "items are restricted now");
    } else if (items && (items->is_array() || were->is_array())) {
      if (Ordered(*items) != Ordered(*were)) Add(place, "items by place have changed");
    } else if (items) {
      Compare(*items, *were, place + ".items");
    }
  }

  std::vector<std::string> problems;

 private:
  void Add(const std::string& place, std::string_view what) {
    problems.push_back(fmt::format("{}: {}", place, what));
  }

  void CompareTypes(const Rules& reader, const Rules& writer, const std::string& place) {
    const auto types = reader.Types();
    if (types.empty()) return;
    const auto were = writer.Types();
    if (were.empty()) return Add(place, "the type is restricted now");
    for (const std::string& type : were) {
      if (types.count(type) == 0 && !(type == "integer" && types.count("number") > 0))
        Add(place, fmt::format("type {} is not accepted any more", type));
    }
  }

  void CompareBounds(const Rules& reader, const Rules& writer, const std::string& place) {
    for (const std::string_view key : {"minimum", "minLength", "minItems"}) {
      const auto bound = reader.Bound(key);
      const auto was = writer.Bound(key);
      if (bound && (!was || *bound > *was)) Add(place, fmt::format("{} is narrower", key));
    }
    for (const std::string_view key : {"maximum", "maxLength", "maxItems"}) {
      const auto bound = reader.Bound(key);
      const auto was = writer.Bound(key);
      if (bound && (!was || *bound < *was)) Add(place, fmt::format("{} is narrower", key));
    }
  }

  void CompareChoices(const Rules& reader, const Rules& writer, const std::string& place) {
    const auto constant = reader.Find("const");
    const auto was = writer.Find("const");
    if (constant && (!was || Ordered(*constant) != Ordered(*was)))
      Add(place, "the constant has changed");
    if (!reader.Find("enum")) return;
    if (!writer.Find("enum")) return Add(place, "the values are enumerated now");
    const auto values = reader.Texts("enum");
    for (const std::string& value : writer.Texts("enum")) {
      if (values.count(value) == 0) Add(place, fmt::format("{} is gone from the enum", value));
    }
  }

  void CompareProperties(const Rules& reader, const Rules& writer, const std::string& place) {
    const auto properties = reader.Properties();
    const auto were = writer.Properties();
    const auto required_before = writer.Texts("required");
    for (const std::string& name : reader.Texts("required")) {
      if (required_before.count(name) > 0) continue;
      // A default fills it in.
      const auto property = properties.find(name.substr(1, name.size() - 2));
      object fields;
      element otherwise;
      const bool has_default = property != properties.end() &&
                               property->second.get(fields) == simdjson::SUCCESS &&
                               fields["default"].get(otherwise) == simdjson::SUCCESS;
      if (!has_default) Add(place, fmt::format("{} is required now", name));
    }
    for (const auto& [name, property] : properties) {
      const std::string here = fmt::format("{}.{}", place, name);
      const auto was = were.find(name);
      if (was != were.end()) {
        Compare(property, was->second, here);
      } else if (writer.Open() && !Rules(property).SaysNothing()) {
        // Whatever was under this name in an open model need not fit now.
        Add(here, "the property was added to an open content model");
      } else if (const auto rest = writer.Find("additionalProperties");
                 rest && !writer.Open() && !writer.Closed()) {
        Compare(property, *rest, here);
      }
    }
    for (const auto& [name, was] : were) {
      if (properties.count(name) > 0 || reader.Open()) continue;
      const std::string here = fmt::format("{}.{}", place, name);
      if (reader.Closed()) {
        Add(here, "the property was removed from a closed content model");
      } else {
        Compare(*reader.Find("additionalProperties"), was, here);
      }
    }
    if (reader.Open() || writer.Closed()) return;
    if (reader.Closed() || writer.Open()) {
      Add(place, "additional properties are restricted now");
    } else {
      Compare(*reader.Find("additionalProperties"), *writer.Find("additionalProperties"),
              place + ".additionalProperties");
    }
  }
};

}  // namespace

struct JsonSchema::Impl {
  simdjson::dom::parser parser;  // holds what `root` stands in
  element root;
};

JsonSchema::JsonSchema(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JsonSchema::~JsonSchema() = default;

Result<std::shared_ptr<const JsonSchema>> JsonSchema::Parse(std::string_view text) {
  auto impl = std::make_unique<Impl>();
  if (const auto failed = impl->parser.parse(text.data(), text.size()).get(impl->root); failed)
    return Error(Code::kInvalidArgument, "the schema is not JSON: {}",
                 simdjson::error_message(failed));
  TRY(Check(impl->root, "$"));
  return std::shared_ptr<const JsonSchema>(new JsonSchema(std::move(impl)));
}

std::vector<std::string> JsonReadProblems(const JsonSchema& reader, const JsonSchema& writer) {
  JsonSchemaComparison comparison;
  comparison.Compare(reader.impl().root, writer.impl().root, "$");
  return std::move(comparison.problems);
}

}  // namespace millrace::schemas
