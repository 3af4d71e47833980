#include "schemas/columns.h"

#include <algorithm>

namespace millrace::schemas {

namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool IsIdentifier(std::string_view name) {
  return !name.empty() && IsLetter(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) { return IsLetter(c) || IsDigit(c); });
}

std::string AsIdentifier(std::string_view name) {
  std::string out;
  if (name.empty() || IsDigit(name.front())) out += '_';
  for (const char c : name) out += IsLetter(c) || IsDigit(c) ? c : '_';
  return out;
}

GivenSchema SchemaOfColumns(SchemaType type, const std::string& stream,
                            const rows::Schema& columns) {
  std::optional<std::string> text;
  if (type == SchemaType::kAvro) text = ColumnsAsAvro(stream, columns);
  if (type == SchemaType::kProtobuf) text = ColumnsAsProtobuf(stream, columns);
  // Names may stand for two things in another language.
  if (text && Schema::Parse(type, *text, {}).ok()) return {type, *std::move(text), {}};
  return {SchemaType::kJson, ColumnsAsJson(stream, columns), {}};
}

}  // namespace millrace::schemas
