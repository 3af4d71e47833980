#include "pg/replies.h"

#include <algorithm>

#include "pg/types.h"

namespace millrace::pg {

namespace {

bool StartsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

void AppendField(char field, std::string_view value, MessageWriter& message) {
  if (value.empty()) return;
  message.Byte(field);
  message.Text(value);
}

}  // namespace

size_t PositionOf(const Error& error, std::string_view text) {
  const auto& place = error.position();
  if (!place || place->line < 1 || place->column < 1) return 0;
  size_t begin = 0;
  for (int line = 1; line < place->line; ++line) {
    begin = text.find('\n', begin);
    if (begin == std::string_view::npos) return 0;
    ++begin;
  }
  const std::string_view before = text.substr(0, begin);
  return static_cast<size_t>(std::count_if(before.begin(), before.end(), StartsCharacter)) +
         static_cast<size_t>(place->column);
}

void AppendError(const Error& error, std::string_view severity, std::string_view text,
                 std::string& out) {
  MessageWriter message(out);
  message.Begin('E');
  AppendField('S', severity, message);
  AppendField('V', severity, message);
  AppendField('C', error.sqlstate(), message);
  AppendField('M', error.message().empty() ? "error" : error.message(), message);
  AppendField('H', error.hint(), message);
  if (const size_t position = PositionOf(error, text); position > 0)
    AppendField('P', std::to_string(position), message);
  message.Byte('\0');
  message.End();
}

void AppendNotice(std::string_view severity, std::string_view sqlstate, std::string_view text,
                  std::string& out) {
  MessageWriter message(out);
  message.Begin('N');
  AppendField('S', severity, message);
  AppendField('V', severity, message);
  AppendField('C', sqlstate, message);
  AppendField('M', text, message);
  message.Byte('\0');
  message.End();
}

void AppendParameterStatus(std::string_view name, std::string_view value, std::string& out) {
  MessageWriter message(out);
  message.Begin('S');
  message.Text(name);
  message.Text(value);
  message.End();
}

void AppendCommandComplete(std::string_view tag, std::string& out) {
  MessageWriter message(out);
  message.Begin('C');
  message.Text(tag);
  message.End();
}

void AppendReadyForQuery(char status, std::string& out) {
  MessageWriter message(out);
  message.Begin('Z');
  message.Byte(status);
  message.End();
}

void AppendRowDescription(const rows::Schema& schema, const std::vector<int16_t>& formats,
                          std::string& out) {
  MessageWriter message(out);
  message.Begin('T');
  message.Int16(static_cast<int16_t>(schema.columns.size()));
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    const ColumnType type = TypeOf(schema.columns[i].type);
    message.Text(schema.columns[i].name);
    message.Int32(0);  // of no table that the catalog has to be asked about
    message.Int16(0);
    message.Int32(static_cast<int32_t>(type.oid));
    message.Int16(type.length);
    message.Int32(type.modifier);
    message.Int16(FormatOf(formats, i));
  }
  message.End();
}

void AppendParameterDescription(const std::vector<uint32_t>& oids, std::string& out) {
  MessageWriter message(out);
  message.Begin('t');
  message.Int16(static_cast<int16_t>(oids.size()));
  for (const uint32_t oid : oids) message.Int32(static_cast<int32_t>(oid));
  message.End();
}

}  // namespace millrace::pg
