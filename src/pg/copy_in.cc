#include "pg/copy_in.h"

#include <utility>

#include "base/check.h"
#include "pg/message.h"
#include "pg/parameter.h"
#include "pg/types.h"

namespace millrace::pg {

namespace {

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

CopyIn::CopyIn(std::string relation, rows::Schema schema, CopyOptions options, TimeZonePtr zone)
    : relation_(std::move(relation)),
      schema_(std::move(schema)),
      options_(std::move(options)),
      zone_(std::move(zone)),
      in_header_(options_.header || options_.format == CopyOptions::Format::kBinary) {}

void CopyIn::Begin(std::string& out) const {
  const bool binary = options_.format == CopyOptions::Format::kBinary;
  MessageWriter message(out);
  message.Begin('G');
  message.Byte(binary ? '\1' : '\0');
  message.Int16(static_cast<int16_t>(schema_.columns.size()));
  for (size_t i = 0; i < schema_.columns.size(); ++i) message.Int16(binary ? 1 : 0);
  message.End();
}

void CopyIn::Add(std::string_view bytes) {
  CHECK(!is_full());
  if (!ended_) bytes_ += bytes;
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
    auto value = ValueOfText(type, *fields[i], *zone_);
    if (!value.ok()) return At(value.error(), i);
    values.push_back(*std::move(value));
  }
  return AddValues(values);
}

Result<size_t> CopyIn::ReadText(bool last) {
  size_t next = 0;
  for (; next < bytes_.size() && !ended_; ++line_) {
    size_t end = bytes_.find('\n', next);
    if (end == std::string::npos && !last) break;
    end = std::min(end, bytes_.size());
    std::string_view line = std::string_view(bytes_).substr(next, end - next);
    next = std::min(end + 1, bytes_.size());
    if (line.ends_with('\r')) line.remove_suffix(1);
    ended_ = line == "\\.";
    if (std::exchange(in_header_, false) || ended_) continue;
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
  return next;
}

// One record from byte `at` on, which is then behind it. nullopt: its end has not come yet.
Result<std::optional<std::vector<CopyIn::Field>>> CopyIn::CsvRecord(size_t& at, bool last) {
  std::vector<Field> fields;
  bool complete = last;
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
        if (at >= bytes_.size() && !last) return std::optional<std::vector<Field>>();
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
      complete = true;
      break;
    } else {
      field += c;
      ++at;
    }
  }
  if (!complete) return std::optional<std::vector<Field>>();
  finish();
  return std::optional(std::move(fields));
}

Result<size_t> CopyIn::ReadCsv(bool last) {
  size_t next = 0;
  for (; next < bytes_.size(); ++line_) {
    const std::string_view rest = std::string_view(bytes_).substr(next);
    ended_ = rest.starts_with("\\.\n") || rest.starts_with("\\.\r\n") || (last && rest == "\\.");
    if (ended_) break;
    const size_t line_before = line_;
    size_t at = next;
    TRY(const std::optional<std::vector<Field>> fields, CsvRecord(at, last));
    if (!fields) {
      line_ = line_before;
      break;
    }
    next = at;
    if (!std::exchange(in_header_, false)) TRY(AddRow(*fields));
  }
  return next;
}

// The header's bytes; 0: it has not come whole yet.
Result<size_t> CopyIn::BinaryHeader(bool last) {
  constexpr size_t kFixedBytes = kCopySignature.size() + 2 * sizeof(int32_t);
  if (bytes_.size() < kFixedBytes && !last) return size_t{0};
  if (!bytes_.starts_with(kCopySignature)) return BadFile("COPY file signature not recognized");
  MessageReader reader(std::string_view(bytes_).substr(kCopySignature.size()));
  if (reader.Int32() != 0) return BadFile("unrecognized critical flags in COPY file header");
  const int32_t extension = reader.Int32();
  const bool whole = extension >= 0 && static_cast<size_t>(extension) <= reader.size();
  if (extension < 0 || (!whole && last)) return BadFile("invalid COPY file header");
  return whole ? kFixedBytes + static_cast<size_t>(extension) : size_t{0};
}

// Takes one row off `rest`. nullopt: it has not come whole, or it is the mark of the end (ended_).
Result<std::optional<std::vector<duckdb::Value>>> CopyIn::BinaryRow(std::string_view& rest) {
  std::optional<std::vector<duckdb::Value>> none;
  MessageReader reader(rest);
  if (reader.size() < sizeof(int16_t)) return none;
  const int16_t count = reader.Int16();
  ended_ = count == -1;
  if (ended_) return none;
  if (count < 0 || static_cast<size_t>(count) != schema_.columns.size()) {
    return BadFile(
        fmt::format("row field count is {}, expected {}", count, schema_.columns.size()));
  }
  std::vector<duckdb::Value> values;
  for (size_t i = 0; i < schema_.columns.size(); ++i) {
    const duckdb::LogicalType& type = schema_.columns[i].type;
    if (reader.size() < sizeof(int32_t)) return none;
    const int32_t size = reader.Int32();
    if (size < -1) return BadFile("invalid field size");
    if (size == -1) {
      values.emplace_back(type);
      continue;
    }
    if (static_cast<size_t>(size) > reader.size()) return none;
    const std::string_view bytes = reader.Bytes(static_cast<size_t>(size));
    auto value = ValueOfBinary(TypeOf(type).oid, bytes);
    if (!value.ok()) return At(value.error(), i);
    duckdb::Value cast;
    std::string message;
    if (!value->DefaultTryCastAs(type, cast, &message, true))
      return At(Error(Code::kInvalidArgument, "{}", message).SqlState("22P03"), i);
    values.push_back(std::move(cast));
  }
  rest.remove_prefix(rest.size() - reader.size());
  return std::optional(std::move(values));
}

Result<size_t> CopyIn::ReadBinary(bool last) {
  std::string_view rest = bytes_;
  if (in_header_) {
    TRY(const size_t header, BinaryHeader(last));
    if (header == 0) return header;
    rest.remove_prefix(header);
    in_header_ = false;
  }
  for (; !rest.empty(); ++line_) {
    TRY(const auto values, BinaryRow(rest));
    if (ended_) break;
    if (!values && last) return BadFile("unexpected EOF in COPY data");
    if (!values) break;
    TRY(AddValues(*values));
  }
  return bytes_.size() - rest.size();
}

Result<CopyIn::Chunks> CopyIn::Read(bool last) {
  using Format = CopyOptions::Format;
  size_t taken = 0;
  try {
    TRY(taken, options_.format == Format::kText  ? ReadText(last)
               : options_.format == Format::kCsv ? ReadCsv(last)
                                                 : ReadBinary(last));
  } catch (const std::exception& exception) {
    return Error(Code::kInvalidArgument, "COPY {}, line {}: {}", relation_, line_,
                 duckdb::ErrorData(exception).RawMessage())
        .SqlState("22P02");
  }
  if (ended_) taken = bytes_.size();
  bytes_.erase(0, taken);
  if (!last && is_full()) {
    return Error(Code::kTooLarge, "COPY {}, line {}: the row has more than {} MiB", relation_,
                 line_, kCopyBytesMax >> 20)
        .SqlState("54000");
  }
  return std::exchange(chunks_, {});
}

Result<CopyIn::Chunks> CopyIn::Take() { return Read(/*last=*/false); }
Result<CopyIn::Chunks> CopyIn::Finish() { return Read(/*last=*/true); }

}  // namespace millrace::pg
