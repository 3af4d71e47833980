// JsonDecoder: simdjson's on-demand parser over one padded copy of all values; the field order of
// the row before is remembered, so that a key is mostly one memcmp.
#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "base/check.h"
#include "base/error.h"
#include "rows/decode.h"
#include "rows/json_text.h"
#include "rows/json_value.h"

namespace millrace::rows {
namespace {

using duckdb::DataChunk;
using simdjson::ondemand::field;

// What a field of the JSON object is to us.
constexpr int kUnknown = -1;  // not in the schema
constexpr int kSkipped = -2;  // in the schema, not wanted

struct Target {
  std::string name;
  TypePlan plan;
  bool not_null;
  std::optional<duckdb::Value> default_value;
};

// The raw bytes of the n-th key of the last row, and what it stood for.
struct KnownKey {
  std::string raw;
  int target;
};

std::string SyntaxMessage(simdjson::error_code error) {
  return fmt::format("not valid JSON: {}", simdjson::error_message(error));
}

}  // namespace

struct JsonDecoder::Impl {
  Types types;  // of the wanted columns
  std::vector<Target> targets;
  std::unordered_map<std::string, int> by_name;  // lower case
  bool check_all;  // every column is wanted: unknown parts are checked too

  simdjson::ondemand::parser parser;
  std::vector<char> padded;
  std::vector<KnownKey> keys;
  std::vector<uint64_t> seen;  // row stamp per target
  uint64_t stamp = 0;

  Decoded* out = nullptr;
  DataChunk* chunk = nullptr;
  size_t at = 0;                   // row of the chunk being written
  size_t capacity = 0;             // of a new chunk
  std::optional<RowError> failed;  // of the row being decoded
  int failed_target = kUnknown;

  void Open();
  bool Row(size_t index, size_t begin, size_t size);
  std::optional<int> TargetOf(field& field, size_t position);
  void Put(size_t index, int target, simdjson::ondemand::value& value);
  void FillMissing(size_t index);
  void Fail(size_t index, std::string kind, std::string column, std::string message);
  void FailValue(size_t index, const Target& target, Parsed parsed, std::string_view text);
};

void JsonDecoder::Impl::Open() {
  auto owned = std::make_unique<DataChunk>();
  if (!types.empty()) owned->Initialize(duckdb::Allocator::DefaultAllocator(), types, capacity);
  chunk = owned.get();
  out->chunks.push_back(std::move(owned));
  at = 0;
}

void JsonDecoder::Impl::Fail(size_t index, std::string kind, std::string column,
                             std::string message) {
  failed = RowError{index, std::move(kind), std::move(column), std::move(message)};
}

void JsonDecoder::Impl::FailValue(size_t index, const Target& target, Parsed parsed,
                                  std::string_view text) {
  const std::string column = Quoted(target.name);
  const std::string type = target.plan.type.ToString();
  switch (parsed) {
    case Parsed::kNull:
      return Fail(index, "not_null", target.name,
                  fmt::format("column {}: NULL in a NOT NULL column", column));
    case Parsed::kRange:
      return Fail(
          index, "range", target.name,
          fmt::format("column {}: {} is out of range for {}", column, Shortened(text), type));
    case Parsed::kSyntax:
      return Fail(index, "syntax", target.name,
                  fmt::format("column {}: {} is not valid JSON", column, Shortened(text)));
    default: {
      const bool list = target.plan.type.id() == duckdb::LogicalTypeId::ENUM;
      return Fail(index, "type", target.name,
                  fmt::format("column {}: {} is {} {}", column, Shortened(text),
                              list ? "none of" : "not a", list ? Shortened(type) : type));
    }
  }
}

// None: the key itself is broken.
std::optional<int> JsonDecoder::Impl::TargetOf(field& field, size_t position) {
  const char* raw = field.key().raw();
  const auto left = static_cast<size_t>(padded.data() + padded.size() - raw);
  if (position < keys.size()) {
    const KnownKey& known = keys[position];
    if (known.raw.size() < left && raw[known.raw.size()] == '"' &&
        std::memcmp(raw, known.raw.data(), known.raw.size()) == 0) {
      return known.target;
    }
  }
  size_t size = 0;
  while (raw[size] != '"') size += raw[size] == '\\' ? 2 : 1;
  const std::string raw_key(raw, size);
  std::string name = raw_key;
  if (raw_key.find('\\') != std::string::npos) {
    std::string_view unescaped;
    if (field.unescaped_key().get(unescaped)) return std::nullopt;
    name = unescaped;
  }
  const auto found = by_name.find(LowerName(name));
  const int target = found == by_name.end() ? kUnknown : found->second;
  if (target == kUnknown && out->first_unknown_field.empty()) out->first_unknown_field = name;
  // Bounded: a producer with endless different keys must not grow the memory of the decoder.
  constexpr size_t kKnownKeysMax = 1024;
  if (position < keys.size()) {
    keys[position] = {raw_key, target};
  } else if (position == keys.size() && position < kKnownKeysMax) {
    keys.push_back({raw_key, target});
  }
  return target;
}

void JsonDecoder::Impl::Put(size_t index, int target_index, simdjson::ondemand::value& value) {
  const auto i = static_cast<size_t>(target_index);
  const Target& target = targets[i];
  seen[i] = stamp;
  const std::string_view token = TrimJson(value.raw_json_token());
  const Parsed parsed = PutJson(target.plan, value, chunk->data[i], at);
  if (parsed == Parsed::kOk || (parsed == Parsed::kNull && !target.not_null)) {
    // Of repeated fields the last counts, also where an earlier one was bad.
    if (failed && failed_target == target_index) failed.reset();
    return;
  }
  if (failed && failed_target != target_index)
    return;  // the first bad column is the one that is told
  FailValue(index, target, parsed, token);
  failed_target = target_index;
}

void JsonDecoder::Impl::FillMissing(size_t index) {
  for (size_t i = 0; i < targets.size(); ++i) {
    if (seen[i] == stamp) continue;
    const Target& target = targets[i];
    duckdb::Vector& vector = chunk->data[i];
    if (target.default_value && !target.default_value->IsNull()) {
      duckdb::FlatVector::Validity(vector).SetValid(at);
      vector.SetValue(at, *target.default_value);
    } else if (target.not_null) {
      return Fail(index, "not_null", target.name,
                  fmt::format("column {} is missing, and it is NOT NULL", Quoted(target.name)));
    } else {
      PutNull(vector, at);
    }
  }
}

// True when the row was good and stands at `at`.
bool JsonDecoder::Impl::Row(size_t index, size_t begin, size_t size) {
  ++stamp;
  failed.reset();
  failed_target = kUnknown;
  const simdjson::padded_string_view view(padded.data() + begin, size, padded.size() - begin);
  const auto broken = [&](simdjson::error_code error) {
    Fail(index, error == simdjson::UTF8_ERROR ? "encoding" : "syntax", "",
         error == simdjson::UTF8_ERROR ? "not valid UTF-8" : SyntaxMessage(error));
    return false;
  };
  simdjson::ondemand::document document;
  if (const auto error = parser.iterate(view).get(document)) return broken(error);
  simdjson::ondemand::object object;
  if (const auto error = document.get_object().get(object)) {
    if (error != simdjson::INCORRECT_TYPE) return broken(error);
    const std::string_view text = TrimJson(std::string_view(padded.data() + begin, size));
    Fail(index, "syntax", "", fmt::format("not a JSON object: {}", Shortened(text)));
    return false;
  }
  size_t position = 0;
  size_t unknown = 0;
  for (auto item : object) {
    field member;
    if (const auto error = std::move(item).get(member)) return broken(error);
    const auto target = TargetOf(member, position++);
    if (!target) return broken(simdjson::STRING_ERROR);
    if (*target >= 0) {
      Put(index, *target, member.value());
      // The parser's place in a broken row means nothing any more.
      if (failed && failed->kind == "syntax") return false;
      continue;
    }
    if (*target == kUnknown) ++unknown;
    if (check_all && !CheckedText(member.value())) return broken(simdjson::TAPE_ERROR);
  }
  // Nothing may follow the object; at the end there is no location.
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return broken(simdjson::TRAILING_CONTENT);
  }
  if (!failed) FillMissing(index);
  out->unknown_fields += unknown;
  return !failed;
}

JsonDecoder::JsonDecoder(const Schema& schema, std::vector<size_t> wanted)
    : impl_(std::make_unique<Impl>()) {
  for (const Column& column : schema.columns) impl_->by_name[LowerName(column.name)] = kSkipped;
  for (const size_t index : wanted) {
    CHECK(index < schema.columns.size()) << "no column " << index;
    const Column& column = schema.columns[index];
    impl_->by_name[LowerName(column.name)] = static_cast<int>(impl_->targets.size());
    impl_->types.push_back(column.type);
    impl_->targets.push_back(
        {column.name, TypePlan(column.type), column.not_null, column.default_value});
  }
  for (const Column& column : schema.columns) {
    const int target = impl_->by_name.at(LowerName(column.name));
    for (const std::string& alias : column.aliases)
      impl_->by_name.try_emplace(LowerName(alias), target);
  }
  impl_->check_all = wanted.size() == schema.columns.size();
  impl_->seen.assign(wanted.size(), 0);
}
JsonDecoder::~JsonDecoder() = default;
JsonDecoder::JsonDecoder(JsonDecoder&&) noexcept = default;
JsonDecoder& JsonDecoder::operator=(JsonDecoder&&) noexcept = default;

Decoded JsonDecoder::Decode(std::span<const std::string_view> values) {
  Impl& impl = *impl_;
  Decoded decoded;
  if (values.empty()) return decoded;
  size_t total = simdjson::SIMDJSON_PADDING;
  for (const std::string_view value : values) total += value.size() + 1;
  impl.padded.resize(total);
  char* at = impl.padded.data();
  for (const std::string_view value : values) {
    at = std::copy(value.begin(), value.end(), at);
    *at++ = '\n';
  }
  std::memset(at, 0, simdjson::SIMDJSON_PADDING);
  impl.out = &decoded;
  impl.capacity = std::min<size_t>(values.size(), STANDARD_VECTOR_SIZE);
  decoded.inputs.reserve(values.size());
  impl.Open();
  size_t begin = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (impl.Row(i, begin, values[i].size())) {
      decoded.inputs.push_back(static_cast<uint32_t>(i));
      impl.chunk->SetCardinality(++impl.at);
      if (impl.at == impl.capacity && i + 1 < values.size()) impl.Open();
    } else {
      decoded.errors.push_back(*std::move(impl.failed));
    }
    begin += values[i].size() + 1;
  }
  if (impl.at == 0) decoded.chunks.pop_back();
  impl.out = nullptr;
  impl.chunk = nullptr;
  return decoded;
}

}  // namespace millrace::rows
