#include <cstring>

#include "rows/csv_decode.h"

namespace millrace::rows {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

CsvReader::CsvReader(CsvOptions options) : options_(options) {}

Status CsvReader::Limit() const {
  if (bytes_.size() <= options_.row_bytes_max) return Ok();
  return Error(Code::kTooLarge, "CSV record at line {}: larger than {} bytes", record_line_,
               options_.row_bytes_max);
}

void CsvReader::EndField() {
  bounds_.push_back({bytes_.size(), quoted_});
  quoted_ = false;
  place_ = Place::kFieldStart;
}

Status CsvReader::EndRecord(const Sink& sink) {
  // The carriage return before a line feed is part of the line end.
  if (!quoted_ && place_ == Place::kUnquoted && bytes_.back() == '\r') bytes_.pop_back();
  EndField();
  fields_.clear();
  size_t begin = 0;
  for (const Bounds& bound : bounds_) {
    fields_.push_back({std::string_view(bytes_).substr(begin, bound.end - begin), bound.quoted});
    begin = bound.end;
  }
  TRY(sink(Record{fields_, record_line_, malformed_}));
  bytes_.clear();
  bounds_.clear();
  malformed_ = false;
  return Ok();
}

// One byte; the long runs within fields do not come here.
Status CsvReader::Take(char c, const Sink& sink) {
  const bool line_end = c == '\n';
  if (line_end) ++line_;
  switch (place_) {
    case Place::kFieldStart:
    case Place::kUnquoted:
      if (line_end) {
        TRY(EndRecord(sink));
        record_line_ = line_;
      } else if (c == options_.delimiter) {
        EndField();
      } else if (c == options_.quote && place_ == Place::kFieldStart) {
        quoted_ = true;
        place_ = Place::kQuoted;
      } else {
        bytes_.push_back(c);
        place_ = Place::kUnquoted;
      }
      return Limit();
    case Place::kQuoted:
      if (c == options_.quote) {
        place_ = Place::kQuoteInside;
      } else {
        bytes_.push_back(c);
      }
      return Limit();
    case Place::kQuoteInside:
    case Place::kCarriage:
      if (line_end) {
        TRY(EndRecord(sink));
        record_line_ = line_;
      } else if (c == options_.delimiter) {
        malformed_ |= place_ == Place::kCarriage;
        EndField();
      } else if (c == options_.quote && place_ == Place::kQuoteInside) {
        bytes_.push_back(c);
        place_ = Place::kQuoted;
      } else if (c == '\r' && place_ == Place::kQuoteInside) {
        place_ = Place::kCarriage;
      } else {
        malformed_ = true;
        bytes_.push_back(c);
        place_ = Place::kUnquoted;
      }
      return Limit();
  }
  return Ok();
}

Status CsvReader::Feed(std::string_view piece, const Sink& sink) {
  while (!started_ && !piece.empty()) {
    if (piece.front() == kByteOrderMark[mark_]) {
      piece.remove_prefix(1);
      if (++mark_ == kByteOrderMark.size()) started_ = true;
      continue;
    }
    started_ = true;
    // No mark after all: its first bytes were text.
    for (size_t i = 0; i < mark_; ++i) TRY(Take(kByteOrderMark[i], sink));
  }
  const char* at = piece.data();
  const char* const end = at + piece.size();
  while (at != end) {
    const char* run = at;
    if (place_ == Place::kUnquoted) {
      while (run != end && *run != options_.delimiter && *run != '\n') ++run;
    } else if (place_ == Place::kQuoted) {
      const void* quote = std::memchr(at, options_.quote, static_cast<size_t>(end - at));
      run = quote == nullptr ? end : static_cast<const char*>(quote);
      for (const char* c = at; c != run; ++c) line_ += *c == '\n' ? 1 : 0;
    }
    bytes_.append(at, run);
    TRY(Limit());
    at = run;
    if (at != end) TRY(Take(*at++, sink));
  }
  return Ok();
}

Status CsvReader::Finish(const Sink& sink) {
  if (place_ == Place::kQuoted) {
    return Error(Code::kInvalidArgument, "CSV record at line {}: a quoted field is not closed",
                 record_line_);
  }
  // A last record without a line end.
  if (place_ != Place::kFieldStart || !bounds_.empty()) TRY(EndRecord(sink));
  return Ok();
}

}  // namespace millrace::rows
