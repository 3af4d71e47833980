// CSV → rows, fed in pieces of any size, in constant memory. RFC 4180, and: LF or CRLF ends a
// record, a quoted field may hold line breaks, a byte order mark is skipped, a quote within an
// unquoted field is an ordinary character. The first record names the columns, in any order.
//
// An empty field is NULL, a quoted empty field ("") is an empty text. A blank line is no record
// (but NULL where there is only one column). A record that is wrong by itself (number of fields, a
// misplaced quote, invalid UTF-8) is a RowError and harms no other; a header that is wrong, a
// record above the limit and an end inside quotes are errors of the whole. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rows/decode.h"
#include "rows/json_split.h"
#include "rows/schema.h"

namespace millrace::rows {

struct CsvOptions {
  char delimiter = ',';
  char quote = '"';
  size_t row_bytes_max = kRowBytesMaxDefault;
};

// Records as fields of text; knows no header and no types.
class CsvReader {
 public:
  struct Field {
    std::string_view text;  // valid during the call
    bool quoted;
  };
  struct Record {
    std::span<const Field> fields;
    uint64_t line;   // where it begins, from 1
    bool malformed;  // text behind a closing quote
  };
  using Sink = std::function<Status(const Record&)>;

  explicit CsvReader(CsvOptions options);
  Status Feed(std::string_view piece, const Sink& sink);
  Status Finish(const Sink& sink);

 private:
  enum class Place {
    kFieldStart,   // the first byte of a field decides
    kUnquoted,     // up to the delimiter or the line end
    kQuoted,       // up to the closing quote
    kQuoteInside,  // behind a quote within quotes: a second one, the delimiter or the line end
    kCarriage,     // behind the carriage return after a closing quote
  };
  struct Bounds {
    size_t end;
    bool quoted;
  };

  Status Take(char c, const Sink& sink);
  void EndField();
  Status EndRecord(const Sink& sink);
  Status Limit() const;

  CsvOptions options_;
  Place place_ = Place::kFieldStart;
  bool quoted_ = false;     // the field being read
  bool malformed_ = false;  // the record being read
  std::string bytes_;       // the record's fields, one behind the other
  std::vector<Bounds> bounds_;
  std::vector<Field> fields_;
  uint64_t line_ = 1;
  uint64_t record_line_ = 1;
  size_t mark_ = 0;  // bytes of a byte order mark seen at the very beginning
  bool started_ = false;
};

// CSV records as JSON objects that JsonDecoder of the same schema turns into the typed rows.
// Columns of the header that the schema does not know are kept, as text.
class CsvToJson {
 public:
  struct Rows {
    std::string text;               // the objects, each on a line
    std::vector<size_t> ends;       // one per object: the byte behind it
    std::vector<uint64_t> records;  // one per object: index of its record, the header not counted
    std::vector<RowError> errors;   // `row` is the index of the record
    std::vector<std::string_view> values() const;
  };

  explicit CsvToJson(const Schema& schema, CsvOptions options = {});
  ~CsvToJson();
  CsvToJson(CsvToJson&&) noexcept;
  CsvToJson& operator=(CsvToJson&&) noexcept;

  Result<Rows> Feed(std::string_view piece);
  Result<Rows> Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// CSV records as typed rows. `inputs` and the errors' `row` are indexes of records, the header not
// counted.
class CsvDecoder {
 public:
  explicit CsvDecoder(const Schema& schema, CsvOptions options = {});
  ~CsvDecoder();
  CsvDecoder(CsvDecoder&&) noexcept;
  CsvDecoder& operator=(CsvDecoder&&) noexcept;

  Result<Decoded> Feed(std::string_view piece);
  Result<Decoded> Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::rows
