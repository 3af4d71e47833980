#include "pg/copy_out.h"

#include <algorithm>

#include "pg/copy_in.h"
#include "pg/message.h"

namespace millrace::pg {

namespace {

std::vector<int16_t> FormatsOf(const CopyOptions& options) {
  return {options.format == CopyOptions::Format::kBinary ? int16_t{1} : int16_t{0}};
}

// COPY's text format: what would end a field or a line, and control characters, escaped.
void AppendEscaped(std::string_view text, char delimiter, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\v':
        out += "\\v";
        break;
      default:
        if (c == '\\' || c == delimiter) out += '\\';
        out += c;
    }
  }
}

}  // namespace

CopyOut::CopyOut(rows::Schema schema, CopyOptions options, TimeZonePtr zone)
    : schema_(std::move(schema)),
      options_(std::move(options)),
      encoder_(schema_.types(), FormatsOf(options_), std::move(zone)) {
  const auto& names = options_.force_quote;
  for (const rows::Column& column : schema_.columns) {
    force_quote_.push_back(std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return name == "*" || rows::EqualNames(name, column.name);
    }));
  }
}

void CopyOut::Begin(std::string& out) {
  begun_ = true;
  const bool binary = options_.format == CopyOptions::Format::kBinary;
  MessageWriter message(out);
  message.Begin('H');
  message.Byte(binary ? '\1' : '\0');
  message.Int16(static_cast<int16_t>(schema_.columns.size()));
  for (size_t i = 0; i < schema_.columns.size(); ++i) message.Int16(binary ? 1 : 0);
  message.End();
  if (binary || !options_.header) return;
  message.Begin('d');
  for (size_t i = 0; i < schema_.columns.size(); ++i) {
    if (i > 0) out += options_.delimiter;
    const std::string& name = schema_.columns[i].name;
    options_.format == CopyOptions::Format::kCsv ? CsvField(name, false, out)
                                                 : AppendEscaped(name, options_.delimiter, out);
  }
  out += '\n';
  message.End();
}

// What stands before the first row, or before the end where there is none: clients look for it in
// the same message.
void CopyOut::BinaryHeader(MessageWriter& message) {
  if (header_sent_) return;
  header_sent_ = true;
  message.Bytes(kCopySignature);
  message.Int32(0);  // flags
  message.Int32(0);  // length of the header's extension
}

void CopyOut::Row(size_t row, std::string& out) {
  MessageWriter message(out);
  message.Begin('d');
  switch (options_.format) {
    case CopyOptions::Format::kText:
    case CopyOptions::Format::kCsv:
      Line(row, out);
      break;
    case CopyOptions::Format::kBinary:
      BinaryHeader(message);
      message.Int16(static_cast<int16_t>(encoder_.columns()));
      for (size_t i = 0; i < encoder_.columns(); ++i) {
        if (encoder_.IsNull(row, i)) {
          message.Int32(-1);
          continue;
        }
        field_.clear();
        encoder_.Field(row, i, field_);
        message.Int32(static_cast<int32_t>(field_.size()));
        message.Bytes(field_);
      }
      break;
  }
  message.End();
}

void CopyOut::CsvField(std::string_view text, bool force, std::string& out) const {
  const char special[] = {options_.delimiter, options_.quote, '\n', '\r'};
  const bool quotes =
      force || text == options_.null_text ||
      text.find_first_of(std::string_view(special, sizeof(special))) != std::string_view::npos ||
      (schema_.columns.size() == 1 && text == "\\.");
  if (!quotes) {
    out += text;
    return;
  }
  out += options_.quote;
  for (const char c : text) {
    if (c == options_.quote || c == options_.escape) out += options_.escape;
    out += c;
  }
  out += options_.quote;
}

void CopyOut::Line(size_t row, std::string& out) {
  for (size_t i = 0; i < encoder_.columns(); ++i) {
    if (i > 0) out += options_.delimiter;
    if (encoder_.IsNull(row, i)) {
      out += options_.null_text;
      continue;
    }
    field_.clear();
    encoder_.Field(row, i, field_);
    if (options_.format == CopyOptions::Format::kCsv) {
      CsvField(field_, force_quote_[i], out);
    } else {
      AppendEscaped(field_, options_.delimiter, out);
    }
  }
  out += '\n';
}

void CopyOut::End(std::string& out) {
  MessageWriter message(out);
  if (options_.format == CopyOptions::Format::kBinary) {
    message.Begin('d');
    BinaryHeader(message);
    message.Int16(-1);
    message.End();
  }
  message.Empty('c');
}

}  // namespace millrace::pg
