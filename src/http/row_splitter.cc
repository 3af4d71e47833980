#include "http/row_splitter.h"

#include <algorithm>
#include <utility>

#include "rows/csv_decode.h"

namespace millrace::http {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view TrimSpace(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

class LineSplitter final : public RowSplitter {
 public:
  Result<size_t> Cut(std::string_view bytes, bool last, CutRows& cut) override {
    size_t begin = 0;
    for (;;) {
      const size_t end = bytes.find('\n', begin);
      if (end == std::string_view::npos) break;
      Take(bytes.substr(begin, end - begin), cut);
      begin = end + 1;
    }
    if (!last) return dropping_ ? bytes.size() : begin;
    Take(bytes.substr(begin), cut);
    return bytes.size();
  }

  size_t DropRow() override {
    dropping_ = true;
    return count_++;
  }
  size_t row_count() const override { return count_; }

 private:
  void Take(std::string_view line, CutRows& cut) {
    const bool dropped = std::exchange(dropping_, false);
    line = TrimSpace(line);
    if (line.empty() || dropped) return;
    cut.rows.push_back(line);
    cut.indexes.push_back(count_++);
  }

  size_t count_ = 0;
  bool dropping_ = false;  // the bytes up to the next line end belong to a row that was given up
};

// Follows strings and brackets only, so that it cannot mistake where a row ends in valid JSON; the
// decoder finds what is invalid.
class JsonSplitter final : public RowSplitter {
 public:
  Result<size_t> Cut(std::string_view bytes, bool last, CutRows& cut) override {
    size_t done = 0;  // bytes before it are not needed again
    for (size_t i = scanned_; i < bytes.size(); ++i) {
      const char c = bytes[i];
      switch (state_) {
        case State::kStart:
          if (IsSpace(c)) {
            done = i + 1;
          } else if (c == '[') {
            state_ = State::kFirstElement;
            done = i + 1;
          } else if (c == '{') {
            is_array_ = false;
            BeginRow(i);
            depth_ = 1;
          } else {
            return Error(Code::kInvalidArgument, "the JSON body is neither an object nor an array");
          }
          break;
        case State::kFirstElement:
        case State::kElement:
          if (IsSpace(c)) {
            done = i + 1;
          } else if (c == ']' && state_ == State::kFirstElement) {
            state_ = State::kEnd;
            done = i + 1;
          } else if (c == ']' || c == ',' || c == '}') {
            return Error(Code::kInvalidArgument, "the JSON array has an empty element");
          } else {
            BeginRow(i);
            if (c == '{' || c == '[') ++depth_;
            if (c == '"') in_string_ = true;
          }
          break;
        case State::kRow:
          if (in_string_) {
            if (escaped_) {
              escaped_ = false;
            } else if (c == '\\') {
              escaped_ = true;
            } else if (c == '"') {
              in_string_ = false;
            }
          } else if (c == '"') {
            in_string_ = true;
          } else if (c == '{' || c == '[') {
            ++depth_;
          } else if (depth_ > 0 && (c == '}' || c == ']')) {
            --depth_;
            if (depth_ == 0 && !is_array_) {
              EndRow(bytes, i + 1, cut);
              state_ = State::kEnd;
              done = i + 1;
            }
          } else if (depth_ == 0 && (c == ',' || c == ']')) {
            EndRow(bytes, i, cut);
            state_ = c == ',' ? State::kElement : State::kEnd;
            done = i + 1;
          }
          break;
        case State::kEnd:
          if (!IsSpace(c)) {
            return Error(Code::kInvalidArgument, "the JSON body goes on after its end")
                .Hint("rows one after the other are application/x-ndjson");
          }
          done = i + 1;
          break;
      }
    }
    if (last && state_ != State::kEnd) {
      return Error(Code::kInvalidArgument, state_ == State::kStart
                                               ? "the JSON body is empty"
                                               : "the JSON body ends in the middle");
    }
    if (state_ == State::kRow && dropping_) done = bytes.size();
    scanned_ = bytes.size() - done;
    row_begin_ -= std::min(done, row_begin_);
    return done;
  }

  size_t DropRow() override {
    dropping_ = true;
    scanned_ = 0;
    row_begin_ = 0;
    return count_++;
  }
  size_t row_count() const override { return count_; }

 private:
  enum class State {
    kStart,         // before the body's first character
    kFirstElement,  // after [: an element or ]
    kElement,       // after a comma: an element
    kRow,           // within a row
    kEnd,           // only white space may follow
  };

  void BeginRow(size_t at) {
    state_ = State::kRow;
    row_begin_ = at;
    depth_ = 0;
    in_string_ = escaped_ = false;
  }

  void EndRow(std::string_view bytes, size_t end, CutRows& cut) {
    if (std::exchange(dropping_, false)) return;
    cut.rows.push_back(TrimSpace(bytes.substr(row_begin_, end - row_begin_)));
    cut.indexes.push_back(count_++);
  }

  State state_ = State::kStart;
  size_t count_ = 0;
  bool is_array_ = true;
  bool in_string_ = false, escaped_ = false;
  bool dropping_ = false;
  size_t depth_ = 0;      // open brackets within the row
  size_t row_begin_ = 0;  // in the bytes of the next call
  size_t scanned_ = 0;    // bytes of the next call that were looked at already
};

// The decoder keeps what a piece cuts off, so that all bytes are done with at once. It refuses the
// body at a record that is too large.
class CsvSplitter final : public RowSplitter {
 public:
  explicit CsvSplitter(const rows::Schema& schema) : csv_(schema) {}

  Result<size_t> Cut(std::string_view bytes, bool last, CutRows& cut) override {
    auto converted = std::make_shared<std::pair<rows::CsvToJson::Rows, rows::CsvToJson::Rows>>();
    TRY(converted->first, csv_.Feed(bytes));
    Append(converted->first, cut);
    if (last) {
      TRY(converted->second, csv_.Finish());
      Append(converted->second, cut);
    }
    cut.owner = converted;
    return bytes.size();
  }

  size_t DropRow() override { return count_; }  // never asked for: nothing is left over
  size_t row_count() const override { return count_; }

 private:
  void Append(rows::CsvToJson::Rows& converted, CutRows& cut) {
    for (const std::string_view row : converted.values()) cut.rows.push_back(row);
    for (const uint64_t record : converted.records) Count(cut.indexes.emplace_back(record));
    for (rows::RowError& error : converted.errors) {
      Count(error.row);
      cut.wrong.push_back(std::move(error));
    }
  }
  void Count(size_t index) { count_ = std::max(count_, index + 1); }

  rows::CsvToJson csv_;
  size_t count_ = 0;
};

}  // namespace

std::unique_ptr<RowSplitter> MakeLineSplitter() { return std::make_unique<LineSplitter>(); }
std::unique_ptr<RowSplitter> MakeJsonSplitter() { return std::make_unique<JsonSplitter>(); }
std::unique_ptr<RowSplitter> MakeCsvSplitter(const rows::Schema& schema) {
  return std::make_unique<CsvSplitter>(schema);
}

}  // namespace millrace::http
