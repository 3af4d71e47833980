#include "rows/json_value.h"

#include <cstring>
#include <unordered_map>

#include "rows/json_text.h"

namespace millrace::rows {
namespace {

using duckdb::idx_t;
using duckdb::ListVector;
using duckdb::LogicalTypeId;
using duckdb::Vector;
using simdjson::ondemand::value;

bool IsContainer(LogicalTypeId id) {
  return id == LogicalTypeId::LIST || id == LogicalTypeId::STRUCT || id == LogicalTypeId::MAP ||
         id == LogicalTypeId::ARRAY;
}

bool IsGood(Parsed parsed) { return parsed == Parsed::kOk || parsed == Parsed::kNull; }

// The string's content; none where an escape is broken. Nearly no string has escapes, so it is
// mostly a view.
std::optional<std::string_view> Unescaped(std::string_view token, value& json) {
  if (token.size() < 2 || token.back() != '"') return std::nullopt;
  const std::string_view raw = token.substr(1, token.size() - 2);
  if (std::memchr(raw.data(), '\\', raw.size()) == nullptr) return raw;
  std::string_view text;
  if (json.get_string().get(text)) return std::nullopt;
  return text;
}

Parsed PutString(const TypePlan& plan, std::string_view token, value& json, Vector& out,
                 idx_t row) {
  const auto text = Unescaped(token, json);
  if (!text) return Parsed::kSyntax;
  if (plan.is_json) {
    PutBytes(token, out, row);
    return Parsed::kOk;
  }
  return PutAnyText(plan, *text, BlobText::kBase64, out, row);
}

Parsed PutList(const TypePlan& plan, value& json, Vector& out, idx_t row) {
  simdjson::ondemand::array array;
  if (json.get_array().get(array)) return Parsed::kSyntax;
  const idx_t begin = ListVector::GetListSize(out);
  idx_t at = begin;
  for (auto item : array) {
    value element;
    if (item.get(element)) return Parsed::kSyntax;
    ListVector::Reserve(out, at + 1);
    const Parsed parsed = PutJson(plan.children[0], element, ListVector::GetEntry(out), at);
    if (!IsGood(parsed)) return parsed;
    ListVector::SetListSize(out, ++at);
  }
  reinterpret_cast<duckdb::list_entry_t*>(out.GetData())[row] = {begin, at - begin};
  return Parsed::kOk;
}

Parsed PutArray(const TypePlan& plan, value& json, Vector& out, idx_t row) {
  simdjson::ondemand::array array;
  if (json.get_array().get(array)) return Parsed::kSyntax;
  idx_t count = 0;
  for (auto item : array) {
    value element;
    if (item.get(element)) return Parsed::kSyntax;
    if (count == plan.array_size) return Parsed::kWrong;
    const Parsed parsed = PutJson(plan.children[0], element, duckdb::ArrayVector::GetEntry(out),
                                  row * plan.array_size + count);
    if (!IsGood(parsed)) return parsed;
    ++count;
  }
  return count == plan.array_size ? Parsed::kOk : Parsed::kWrong;
}

Parsed PutStruct(const TypePlan& plan, value& json, Vector& out, idx_t row) {
  simdjson::ondemand::object object;
  if (json.get_object().get(object)) return Parsed::kSyntax;
  auto& entries = duckdb::StructVector::GetEntries(out);
  for (auto& entry : entries) PutNull(*entry, row);
  for (auto item : object) {
    simdjson::ondemand::field field;
    std::string_view name;
    if (std::move(item).get(field) || field.unescaped_key().get(name)) return Parsed::kSyntax;
    size_t i = 0;
    while (i < plan.fields.size() && !EqualNames(plan.fields[i], name)) ++i;
    if (i == plan.fields.size()) {
      if (!CheckedText(field.value())) return Parsed::kSyntax;
      continue;
    }
    const Parsed parsed = PutJson(plan.children[i], field.value(), *entries[i], row);
    if (!IsGood(parsed)) return parsed;
  }
  return Parsed::kOk;
}

// The two columns of a MAP's entries, with room for one entry more at `at`.
struct MapEntries {
  MapEntries(Vector& map, idx_t at) {
    ListVector::Reserve(map, at + 1);
    entry = &ListVector::GetEntry(map);
    auto& columns = duckdb::StructVector::GetEntries(*entry);
    key = columns[0].get();
    value = columns[1].get();
    duckdb::FlatVector::Validity(*entry).SetValid(at);
  }
  Vector* entry;
  Vector* key;
  Vector* value;
};

Parsed PutMapObject(const TypePlan& plan, value& json, Vector& out, idx_t& end) {
  simdjson::ondemand::object object;
  if (json.get_object().get(object)) return Parsed::kSyntax;
  std::unordered_map<std::string, idx_t> places;  // of repeated keys the last value counts
  for (auto item : object) {
    simdjson::ondemand::field field;
    std::string_view name;
    if (std::move(item).get(field) || field.unescaped_key().get(name)) return Parsed::kSyntax;
    const auto [place, is_new] = places.try_emplace(std::string(name), end);
    MapEntries entries(out, end);
    if (is_new) {
      duckdb::FlatVector::Validity(*entries.key).SetValid(end);
      const Parsed parsed =
          PutAnyText(plan.children[0], name, BlobText::kBase64, *entries.key, end);
      if (parsed != Parsed::kOk) return parsed;
      ListVector::SetListSize(out, ++end);
    }
    const Parsed parsed = PutJson(plan.children[1], field.value(), *entries.value, place->second);
    if (!IsGood(parsed)) return parsed;
  }
  return Parsed::kOk;
}

// [{"key": …, "value": …}, …], for keys that are not text.
Parsed PutMapArray(const TypePlan& plan, value& json, Vector& out, idx_t& end) {
  simdjson::ondemand::array array;
  if (json.get_array().get(array)) return Parsed::kSyntax;
  for (auto item : array) {
    value element;
    if (item.get(element)) return Parsed::kSyntax;
    if (TrimJson(element.raw_json_token()).front() != '{') return Parsed::kWrong;
    simdjson::ondemand::object object;
    if (element.get_object().get(object)) return Parsed::kSyntax;
    MapEntries entries(out, end);
    bool has_key = false;
    PutNull(*entries.value, end);
    for (auto member : object) {
      simdjson::ondemand::field field;
      std::string_view name;
      if (std::move(member).get(field) || field.unescaped_key().get(name)) return Parsed::kSyntax;
      if (name == "key") {
        const Parsed parsed = PutJson(plan.children[0], field.value(), *entries.key, end);
        if (parsed != Parsed::kOk) return parsed == Parsed::kNull ? Parsed::kWrong : parsed;
        has_key = true;
      } else if (name == "value") {
        const Parsed parsed = PutJson(plan.children[1], field.value(), *entries.value, end);
        if (!IsGood(parsed)) return parsed;
      } else {
        return Parsed::kWrong;
      }
    }
    if (!has_key) return Parsed::kWrong;
    ListVector::SetListSize(out, ++end);
  }
  return Parsed::kOk;
}

Parsed PutMap(const TypePlan& plan, value& json, bool as_object, Vector& out, idx_t row) {
  const idx_t begin = ListVector::GetListSize(out);
  idx_t end = begin;
  const Parsed parsed =
      as_object ? PutMapObject(plan, json, out, end) : PutMapArray(plan, json, out, end);
  if (parsed != Parsed::kOk) return parsed;
  reinterpret_cast<duckdb::list_entry_t*>(out.GetData())[row] = {begin, end - begin};
  if (as_object && plan.children[0].id == LogicalTypeId::VARCHAR) return Parsed::kOk;
  // Keys that were written differently may be the same value.
  auto selected = static_cast<duckdb::sel_t>(row);
  const duckdb::SelectionVector selection(&selected);
  return duckdb::MapVector::CheckMapValidity(out, 1, selection) == duckdb::MapInvalidReason::VALID
             ? Parsed::kOk
             : Parsed::kWrong;
}

Parsed PutContainer(const TypePlan& plan, bool is_object, value& json, Vector& out, idx_t row) {
  switch (plan.id) {
    case LogicalTypeId::LIST:
      return is_object ? Parsed::kWrong : PutList(plan, json, out, row);
    case LogicalTypeId::ARRAY:
      return is_object ? Parsed::kWrong : PutArray(plan, json, out, row);
    case LogicalTypeId::STRUCT:
      return is_object ? PutStruct(plan, json, out, row) : Parsed::kWrong;
    case LogicalTypeId::MAP:
      return PutMap(plan, json, is_object, out, row);
    case LogicalTypeId::VARCHAR: {
      const auto text = CheckedText(json);
      if (!text) return Parsed::kSyntax;
      PutBytes(*text, out, row);
      return Parsed::kOk;
    }
    default:
      return Parsed::kWrong;
  }
}

}  // namespace

std::optional<std::string_view> CheckedText(value& json) {
  const std::string_view token = TrimJson(json.raw_json_token());
  if (token.empty()) return std::nullopt;
  if (token.front() != '{' && token.front() != '[') {
    return IsJsonValue(token) ? std::optional(token) : std::nullopt;
  }
  std::string_view text;
  if (token.front() == '{') {
    simdjson::ondemand::object object;
    if (json.get_object().get(object) || object.raw_json().get(text)) return std::nullopt;
  } else {
    simdjson::ondemand::array array;
    if (json.get_array().get(array) || array.raw_json().get(text)) return std::nullopt;
  }
  text = TrimJson(text);
  return IsJsonValue(text) ? std::optional(text) : std::nullopt;
}

Parsed PutJson(const TypePlan& plan, value json, Vector& out, idx_t row) {
  const std::string_view token = TrimJson(json.raw_json_token());
  if (token.empty()) return Parsed::kSyntax;
  duckdb::FlatVector::Validity(out).SetValid(row);
  switch (token.front()) {
    case '"':
      return PutString(plan, token, json, out, row);
    case '{':
    case '[':
      return PutContainer(plan, token.front() == '{', json, out, row);
    case 'n':
      if (token != "null") return Parsed::kSyntax;
      PutNull(out, row);
      return Parsed::kNull;
    case 't':
    case 'f':
      if (token != "true" && token != "false") return Parsed::kSyntax;
      return PutBool(plan, token == "true", out, row);
    default:
      if (!IsJsonNumber(token)) return Parsed::kSyntax;
      return PutNumber(plan, token, out, row);
  }
}

Parsed PutJsonText(const TypePlan& plan, std::string_view text, Vector& out, idx_t row) {
  if (!IsJsonValue(text)) return Parsed::kSyntax;
  // A document's root is an array here, so that any value is an ordinary one.
  const std::string wrapped = "[" + std::string(text) + "]";
  simdjson::ondemand::parser parser;
  const simdjson::padded_string padded(wrapped);
  simdjson::ondemand::document document;
  simdjson::ondemand::array array;
  if (parser.iterate(padded).get(document) || document.get_array().get(array)) {
    return Parsed::kSyntax;
  }
  for (auto item : array) {
    value element;
    if (item.get(element)) return Parsed::kSyntax;
    return PutJson(plan, element, out, row);
  }
  return Parsed::kSyntax;
}

Parsed PutAnyText(const TypePlan& plan, std::string_view text, BlobText blob, Vector& out,
                  idx_t row) {
  if (plan.is_json) {
    const Parsed parsed = PutJsonText(plan, text, out, row);
    return parsed == Parsed::kSyntax ? Parsed::kWrong : parsed;
  }
  if (!IsContainer(plan.id)) return PutText(plan, text, blob, out, row);
  const Parsed parsed = PutJsonText(plan, text, out, row);
  if (parsed == Parsed::kOk) return parsed;
  // What our own reader refuses as a value it has refused for good; what is no JSON may be DuckDB's
  // own notation.
  if (parsed != Parsed::kSyntax) return Parsed::kWrong;
  duckdb::FlatVector::Validity(out).SetValid(row);
  return PutText(plan, text, blob, out, row);
}

}  // namespace millrace::rows
