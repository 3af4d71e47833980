#include "schemas/avro_schema.h"

#include <simdjson.h>

#include <algorithm>
#include <set>

#include "schemas/avro_default.h"

namespace millrace::schemas {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr int kNestingMax = 100;
constexpr uint64_t kFixedBytesMax = 1 << 20;

constexpr std::string_view kKindNames[] = {"null",   "boolean", "int",    "long",   "float",
                                           "double", "bytes",   "string", "record", "enum",
                                           "array",  "map",     "fixed",  "union"};

std::optional<AvroKind> Primitive(std::string_view name) {
  for (size_t i = 0; i <= static_cast<size_t>(AvroKind::kString); ++i) {
    if (kKindNames[i] == name) return static_cast<AvroKind>(i);
  }
  return std::nullopt;
}

bool IsNamePart(std::string_view part) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  if (part.empty() || !letter(part.front())) return false;
  return std::all_of(part.begin(), part.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

bool IsFullName(std::string_view name) {
  while (true) {
    const size_t dot = name.find('.');
    if (!IsNamePart(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

std::string NameSpaceOf(std::string_view full_name) {
  const size_t dot = full_name.rfind('.');
  return dot == std::string_view::npos ? std::string() : std::string(full_name.substr(0, dot));
}

std::string FullName(std::string_view name, const std::string& space) {
  if (name.find('.') != std::string_view::npos || space.empty()) return std::string(name);
  return fmt::format("{}.{}", space, name);
}

std::optional<std::string_view> Text(const object& json, std::string_view key) {
  std::string_view text;
  if (json[key].get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

// Digits that two's complement of so many bytes holds for certain.
int DecimalDigitsIn(uint64_t bytes) {
  return bytes >= 64 ? 150 : static_cast<int>((8.0 * static_cast<double>(bytes) - 1) * 0.30103);
}

}  // namespace

std::string_view AvroKindName(AvroKind kind) { return kKindNames[static_cast<size_t>(kind)]; }

std::string AvroType::Describe() const {
  if (name.empty()) return std::string(AvroKindName(kind));
  return fmt::format("{} {}", AvroKindName(kind), name);
}

class AvroParser {
 public:
  explicit AvroParser(AvroSchema& schema) : schema_(schema) {}

  Result<const AvroType*> ParseText(std::string_view text) {
    simdjson::dom::parser parser;
    element json;
    if (const auto failed = parser.parse(text.data(), text.size()).get(json); failed) {
      return Error(Code::kInvalidArgument, "the schema is not JSON: {}",
                   simdjson::error_message(failed));
    }
    TRY(const AvroType* type, Parse(json, "", "$", 0));
    // Defaults may be of types that are only complete now.
    for (const PendingDefault& pending : defaults_) {
      TRY(CheckDefault(*pending.type, pending.json).With(pending.place));
    }
    defaults_.clear();
    return type;
  }

 private:
  struct PendingDefault {
    const AvroType* type;
    std::string json;
    std::string place;
  };

  static Error Wrong(const std::string& place, std::string_view what) {
    return Error(Code::kInvalidArgument, "{}: {}", place, what);
  }

  AvroType* New(AvroKind kind) {
    schema_.types_.emplace_back().kind = kind;
    return &schema_.types_.back();
  }

  Result<const AvroType*> Parse(const element& json, const std::string& space,
                                const std::string& place, int depth) {
    if (depth > kNestingMax) return Wrong(place, "nested too deep");
    std::string_view name;
    if (json.get(name) == simdjson::SUCCESS) return ParseName(name, space, place);
    array branches;
    if (json.get(branches) == simdjson::SUCCESS) return ParseUnion(branches, space, place, depth);
    object fields;
    if (json.get(fields) != simdjson::SUCCESS)
      return Wrong(place, "a type is a name, an object or an array");
    element type;
    if (fields["type"].get(type) != simdjson::SUCCESS) return Wrong(place, "there is no \"type\"");
    std::string_view type_name;
    if (type.get(type_name) != simdjson::SUCCESS) {
      return Parse(type, space, place + ".type", depth + 1);
    }
    if (type_name == "record" || type_name == "error")
      return ParseRecord(fields, space, place, depth);
    if (type_name == "enum") return ParseEnum(fields, space, place);
    if (type_name == "fixed") return ParseFixed(fields, space, place);
    if (type_name == "array" || type_name == "map") {
      const bool is_array = type_name == "array";
      const std::string_view key = is_array ? "items" : "values";
      element inner;
      if (fields[key].get(inner) != simdjson::SUCCESS)
        return Wrong(place, fmt::format("the {} has no \"{}\"", type_name, key));
      AvroType* made = New(is_array ? AvroKind::kArray : AvroKind::kMap);
      TRY(made->element, Parse(inner, space, fmt::format("{}.{}", place, key), depth + 1));
      return made;
    }
    if (const auto primitive = Primitive(type_name)) {
      AvroType* made = New(*primitive);
      SetLogical(*made, fields);
      return made;
    }
    return ParseName(type_name, space, place);
  }

  Result<const AvroType*> ParseName(std::string_view name, const std::string& space,
                                    const std::string& place) {
    if (const auto primitive = Primitive(name)) return New(*primitive);
    for (const std::string& full : {FullName(name, space), std::string(name)}) {
      const auto found = schema_.named_.find(full);
      if (found != schema_.named_.end()) return found->second;
    }
    return Wrong(place, fmt::format("type \"{}\" is not known", name));
  }

  Result<const AvroType*> ParseUnion(const array& branches, const std::string& space,
                                     const std::string& place, int depth) {
    AvroType* made = New(AvroKind::kUnion);
    std::set<std::string> seen;
    size_t index = 0;
    for (const element branch : branches) {
      const std::string here = fmt::format("{}[{}]", place, index++);
      TRY(const AvroType* type, Parse(branch, space, here, depth + 1));
      if (type->kind == AvroKind::kUnion)
        return Wrong(here, "a union cannot hold a union directly");
      if (!seen.insert(type->Describe()).second)
        return Wrong(here, fmt::format("{} stands twice in the union", type->Describe()));
      made->branches.push_back(type);
    }
    if (made->branches.empty()) return Wrong(place, "a union needs a type");
    return made;
  }

  // Makes the named type and enters it, so that what it holds can refer to it.
  Result<AvroType*> MakeNamed(AvroKind kind, const object& json, const std::string& space,
                              const std::string& place) {
    const auto name = Text(json, "name");
    if (!name) return Wrong(place, fmt::format("the {} has no \"name\"", AvroKindName(kind)));
    const auto own_space = Text(json, "namespace");
    const std::string full = FullName(*name, own_space ? std::string(*own_space) : space);
    if (!IsFullName(full)) return Wrong(place, fmt::format("\"{}\" is not a name", full));
    if (Primitive(full)) return Wrong(place, fmt::format("\"{}\" is the name of a type", full));
    AvroType* made = New(kind);
    made->name = full;
    array aliases;
    if (json["aliases"].get(aliases) == simdjson::SUCCESS) {
      for (const element alias : aliases) {
        std::string_view text;
        if (alias.get(text) != simdjson::SUCCESS) return Wrong(place, "an alias is no text");
        made->aliases.push_back(FullName(text, NameSpaceOf(full)));
      }
    }
    if (!schema_.named_.emplace(full, made).second)
      return Wrong(place, fmt::format("\"{}\" is defined twice", full));
    return made;
  }

  Result<const AvroType*> ParseRecord(const object& json, const std::string& space,
                                      const std::string& place, int depth) {
    TRY(AvroType * made, MakeNamed(AvroKind::kRecord, json, space, place));
    array fields;
    if (json["fields"].get(fields) != simdjson::SUCCESS)
      return Wrong(place, fmt::format("record {} has no \"fields\"", made->name));
    const std::string inner_space = NameSpaceOf(made->name);
    std::set<std::string> seen;
    size_t index = 0;
    for (const element item : fields) {
      std::string here = fmt::format("{}.fields[{}]", place, index++);
      object field;
      if (item.get(field) != simdjson::SUCCESS) return Wrong(here, "a field is an object");
      const auto name = Text(field, "name");
      if (!name || !IsNamePart(*name)) return Wrong(here, "the field has no name, or a wrong one");
      here = fmt::format("{}.{}", made->name, *name);
      if (!seen.insert(std::string(*name)).second) return Wrong(here, "the field stands twice");
      element type;
      if (field["type"].get(type) != simdjson::SUCCESS) return Wrong(here, "there is no \"type\"");
      AvroType::Field parsed;
      parsed.name = std::string(*name);
      TRY(parsed.type, Parse(type, inner_space, here, depth + 1));
      array aliases;
      if (field["aliases"].get(aliases) == simdjson::SUCCESS) {
        for (const element alias : aliases) {
          std::string_view text;
          if (alias.get(text) != simdjson::SUCCESS) return Wrong(here, "an alias is no text");
          parsed.aliases.emplace_back(text);
        }
      }
      element value;
      if (field["default"].get(value) == simdjson::SUCCESS) {
        parsed.default_json = simdjson::minify(value);
        defaults_.push_back({parsed.type, *parsed.default_json, here + ": default"});
      }
      made->fields.push_back(std::move(parsed));
    }
    return made;
  }

  Result<const AvroType*> ParseEnum(const object& json, const std::string& space,
                                    const std::string& place) {
    TRY(AvroType * made, MakeNamed(AvroKind::kEnum, json, space, place));
    array symbols;
    if (json["symbols"].get(symbols) != simdjson::SUCCESS)
      return Wrong(place, fmt::format("enum {} has no \"symbols\"", made->name));
    for (const element item : symbols) {
      std::string_view symbol;
      if (item.get(symbol) != simdjson::SUCCESS || !IsNamePart(symbol))
        return Wrong(place, fmt::format("enum {}: a symbol is no name", made->name));
      if (std::find(made->symbols.begin(), made->symbols.end(), symbol) != made->symbols.end())
        return Wrong(place, fmt::format("enum {}: \"{}\" stands twice", made->name, symbol));
      made->symbols.emplace_back(symbol);
    }
    if (const auto fallback = Text(json, "default")) {
      if (std::find(made->symbols.begin(), made->symbols.end(), *fallback) == made->symbols.end())
        return Wrong(place, fmt::format("enum {}: the default \"{}\" is none of its symbols",
                                        made->name, *fallback));
      made->default_symbol = std::string(*fallback);
    }
    return made;
  }

  Result<const AvroType*> ParseFixed(const object& json, const std::string& space,
                                     const std::string& place) {
    TRY(AvroType * made, MakeNamed(AvroKind::kFixed, json, space, place));
    if (json["size"].get(made->size) != simdjson::SUCCESS || made->size > kFixedBytesMax)
      return Wrong(place,
                   fmt::format("fixed {}: \"size\" must be 0 to {}", made->name, kFixedBytesMax));
    SetLogical(*made, json);
    return made;
  }

  static void SetLogical(AvroType& type, const object& json) {
    const auto name = Text(json, "logicalType");
    if (!name) return;
    if (*name == "decimal") {
      uint64_t precision = 0;
      uint64_t scale = 0;
      if (json["precision"].get(precision) != simdjson::SUCCESS) return;
      if (json["scale"].get(scale) != simdjson::SUCCESS) scale = 0;
      const bool fits = type.kind == AvroKind::kBytes ||
                        (type.kind == AvroKind::kFixed &&
                         precision <= static_cast<uint64_t>(DecimalDigitsIn(type.size)));
      if (!fits || precision == 0 || precision > 1000 || scale > precision) return;
      type.logical = AvroLogical::kDecimal;
      type.precision = static_cast<int>(precision);
      type.scale = static_cast<int>(scale);
      return;
    }
    struct Known {
      std::string_view name;
      AvroKind kind;
      AvroLogical logical;
    };
    static constexpr Known kKnown[] = {
        {"uuid", AvroKind::kString, AvroLogical::kUuid},
        {"date", AvroKind::kInt, AvroLogical::kDate},
        {"time-millis", AvroKind::kInt, AvroLogical::kTimeMillis},
        {"time-micros", AvroKind::kLong, AvroLogical::kTimeMicros},
        {"timestamp-millis", AvroKind::kLong, AvroLogical::kTimestampMillis},
        {"timestamp-micros", AvroKind::kLong, AvroLogical::kTimestampMicros},
        {"timestamp-nanos", AvroKind::kLong, AvroLogical::kTimestampNanos},
        {"local-timestamp-millis", AvroKind::kLong, AvroLogical::kLocalTimestampMillis},
        {"local-timestamp-micros", AvroKind::kLong, AvroLogical::kLocalTimestampMicros},
        {"local-timestamp-nanos", AvroKind::kLong, AvroLogical::kLocalTimestampNanos},
    };
    for (const Known& known : kKnown) {
      if (known.name == *name && known.kind == type.kind) type.logical = known.logical;
    }
    if (*name == "duration" && type.kind == AvroKind::kFixed && type.size == 12)
      type.logical = AvroLogical::kDuration;
    if (*name == "uuid" && type.kind == AvroKind::kFixed && type.size == 16)
      type.logical = AvroLogical::kUuid;
  }

  AvroSchema& schema_;
  std::vector<PendingDefault> defaults_;
};

Result<std::shared_ptr<const AvroSchema>> AvroSchema::Parse(std::string_view text,
                                                            const std::vector<std::string>& named) {
  std::shared_ptr<AvroSchema> schema(new AvroSchema());
  AvroParser parser(*schema);
  for (const std::string& reference : named) {
    TRY(schema->root_, parser.ParseText(reference));
  }
  TRY(schema->root_, parser.ParseText(text));
  return std::shared_ptr<const AvroSchema>(std::move(schema));
}

}  // namespace millrace::schemas
