#include "pg/copy_in.h"

#include "pg/message.h"
#include "pg/parameter.h"
#include "pg/types.h"

namespace millrace::pg {

namespace {

constexpr std::string_view kSignature{"PGCOPY\n\377\r\n\0", 11};

// A field of COPY's text format without its escapes.
std::string Unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    switch (c) {
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'v':
        out += '\v';
        break;
      case '0':
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
      case '7': {
        int value = c - '0';
        for (int digits = 1;
             digits < 3 && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '7';
             ++digits)
          value = value * 8 + (text[++i] - '0');
        out += static_cast<char>(value);
        break;
      }
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

CopyIn::CopyIn(std::string relation, rows::Schema schema, CopyOptions options)
    : relation_(std::move(relation)), schema_(std::move(schema)), options_(std::move(options)) {}

void CopyIn::Begin(std::string& out) const {
  const bool binary = options_.format == CopyOptions::Format::kBinary;
  MessageWriter message(out);
  message.Begin('G');
  message.Byte(binary ? '\1' : '\0');
  message.Int16(static_cast<int16_t>(schema_.columns.size()));
  for (size_t i = 0; i < schema_.columns.size(); ++i) message.Int16(binary ? 1 : 0);
  message.End();
}

Status CopyIn::Add(std::string_view bytes) {
  if (bytes_.size() + bytes.size() > kCopyBytesMax) {
    return Error(Code::kTooLarge, "COPY sends more than {} MiB, which are one change",
                 kCopyBytesMax >> 20)
        .Hint("send the rows in several COPYs; POST /v1/streams/NAME takes a body of any size");
  }
  bytes_ += bytes;
  return Ok();
}

Error CopyIn::BadFile(std::string_view what) const {
  return Error(Code::kInvalidArgument, "COPY {}, line {}: {}", relation_, line_, what)
      .SqlState("22P04");
}

Error CopyIn::At(Error error, size_t column) const {
  return std::move(error).With(
      fmt::format("COPY {}, line {}, column {}", relation_, line_, schema_.columns[column].name));
}

Status CopyIn::AddValues(const std::vector<duckdb::Value>& values) {
  if (chunks_.empty() || chunks_.back()->size() == STANDARD_VECTOR_SIZE) {
    auto chunk = std::make_shared<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), schema_.types());
    chunks_.push_back(std::move(chunk));
  }
  duckdb::DataChunk& chunk = *chunks_.back();
  for (size_t i = 0; i < values.size(); ++i) chunk.SetValue(i, chunk.size(), values[i]);
  chunk.SetCardinality(chunk.size() + 1);
  return Ok();
}

Status CopyIn::AddRow(const std::vector<Field>& fields) {
  const size_t columns = schema_.columns.size();
  if (fields.size() < columns) {
    return BadFile(
        fmt::format("missing data for column {}", Quoted(schema_.columns[fields.size()].name)));
  }
  if (fields.size() > columns) return BadFile("extra data after last expected column");
  std::vector<duckdb::Value> values;
  for (size_t i = 0; i < columns; ++i) {
    const duckdb::LogicalType& type = schema_.columns[i].type;
    if (!fields[i]) {
      values.emplace_back(type);
      continue;
    }
    auto value = ValueOfText(type, *fields[i]);
    if (!value.ok()) return At(value.error(), i);
    values.push_back(*std::move(value));
  }
  return AddValues(values);
}

Status CopyIn::ReadText() {
  std::string_view rest = bytes_;
  bool header = options_.header;
  for (; !rest.empty(); ++line_) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line == "\\.") break;
    if (header) {
      header = false;
      continue;
    }
    std::vector<Field> fields;
    size_t begin = 0;
    for (size_t at = 0; at <= line.size(); ++at) {
      if (at < line.size() && line[at] == '\\') {
        ++at;  // whatever follows belongs to the field
        continue;
      }
      if (at < line.size() && line[at] != options_.delimiter) continue;
      const std::string_view raw = line.substr(begin, at - begin);
      fields.push_back(raw == options_.null_text ? Field() : Field(Unescaped(raw)));
      begin = at + 1;
    }
    // A backslash at the very end.
    if (begin <= line.size()) fields.emplace_back(Unescaped(line.substr(begin)));
    TRY(AddRow(fields));
  }
  return Ok();
}

// One record from byte `at` on, which is then behind it.
Result<std::vector<CopyIn::Field>> CopyIn::CsvRecord(size_t& at) {
  std::vector<Field> fields;
  std::string field;
  bool was_quoted = false;
  const auto finish = [&] {
    fields.push_back(!was_quoted && field == options_.null_text ? Field() : Field(field));
    field.clear();
    was_quoted = false;
  };
  while (at < bytes_.size()) {
    const char c = bytes_[at];
    if (c == options_.quote) {
      was_quoted = true;
      for (++at;; ++at) {
        if (at >= bytes_.size()) return BadFile("unterminated CSV quoted field");
        const bool has_next = at + 1 < bytes_.size();
        if (bytes_[at] == options_.escape && has_next &&
            (bytes_[at + 1] == options_.quote || bytes_[at + 1] == options_.escape)) {
          field += bytes_[++at];
        } else if (bytes_[at] == options_.quote) {
          break;
        } else {
          if (bytes_[at] == '\n') ++line_;
          field += bytes_[at];
        }
      }
      ++at;
    } else if (c == options_.delimiter) {
      finish();
      ++at;
    } else if (c == '\n' || (c == '\r' && at + 1 < bytes_.size() && bytes_[at + 1] == '\n')) {
      at += c == '\r' ? 2 : 1;
      break;
    } else {
      field += c;
      ++at;
    }
  }
  finish();
  return fields;
}

Status CopyIn::ReadCsv() {
  bool header = options_.header;
  for (size_t at = 0; at < bytes_.size(); ++line_) {
    const std::string_view rest = std::string_view(bytes_).substr(at);
    if (rest.starts_with("\\.\n") || rest.starts_with("\\.\r\n") || rest == "\\.") break;
    TRY(const std::vector<Field> fields, CsvRecord(at));
    if (header) {
      header = false;
      continue;
    }
    TRY(AddRow(fields));
  }
  return Ok();
}

Status CopyIn::ReadBinary() {
  if (!bytes_.starts_with(kSignature)) return BadFile("COPY file signature not recognized");
  MessageReader reader(std::string_view(bytes_).substr(kSignature.size()));
  if (reader.Int32() != 0) return BadFile("unrecognized critical flags in COPY file header");
  const int32_t extension = reader.Int32();
  if (extension < 0 || static_cast<size_t>(extension) > reader.size())
    return BadFile("invalid COPY file header");
  reader.Bytes(static_cast<size_t>(extension));
  for (; reader.size() > 0; ++line_) {
    const int16_t count = reader.Int16();
    if (count == -1) break;
    if (count < 0 || static_cast<size_t>(count) != schema_.columns.size()) {
      return BadFile(
          fmt::format("row field count is {}, expected {}", count, schema_.columns.size()));
    }
    std::vector<duckdb::Value> values;
    for (size_t i = 0; i < schema_.columns.size(); ++i) {
      const duckdb::LogicalType& type = schema_.columns[i].type;
      const int32_t size = reader.Int32();
      if (size < -1 || (size > 0 && static_cast<size_t>(size) > reader.size()))
        return BadFile("unexpected EOF in COPY data");
      if (size == -1) {
        values.emplace_back(type);
        continue;
      }
      const std::string_view bytes = reader.Bytes(static_cast<size_t>(size));
      auto value = ValueOfBinary(TypeOf(type).oid, bytes);
      if (!value.ok()) return At(value.error(), i);
      duckdb::Value cast;
      std::string message;
      if (!value->DefaultTryCastAs(type, cast, &message, true))
        return At(Error(Code::kInvalidArgument, "{}", message).SqlState("22P03"), i);
      values.push_back(std::move(cast));
    }
    TRY(AddValues(values));
  }
  return Ok();
}

Result<CopyIn::Chunks> CopyIn::Finish() {
  try {
    switch (options_.format) {
      case CopyOptions::Format::kText:
        TRY(ReadText());
        break;
      case CopyOptions::Format::kCsv:
        TRY(ReadCsv());
        break;
      case CopyOptions::Format::kBinary:
        TRY(ReadBinary());
        break;
    }
  } catch (const std::exception& exception) {
    return Error(Code::kInvalidArgument, "COPY {}, line {}: {}", relation_, line_,
                 duckdb::ErrorData(exception).RawMessage())
        .SqlState("22P02");
  }
  return std::move(chunks_);
}

}  // namespace millrace::pg
