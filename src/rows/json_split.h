// Splits a body of JSON into the raw text of each row, fed in pieces of any size, in constant
// memory. It finds where rows begin and end and nothing more: whether a row is valid JSON is for
// JsonDecoder to say.
//
// Three forms: a single object, an array of values, and values one after another (NDJSON: one a
// line). `kAny` finds out by the first byte and allows a value to span lines; `kLines` takes each
// line that is not blank as a row, at the speed of memchr, and is what a content type of NDJSON
// asks for. Errors name the row and the byte, both counted from 1: kInvalidArgument, or kTooLarge
// for a row above the limit. After an error the splitter is of no more use. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::rows {

inline constexpr size_t kRowBytesMaxDefault = 1 << 20;

enum class JsonBody { kAny, kLines };

class JsonSplitter {
 public:
  explicit JsonSplitter(JsonBody body, size_t row_bytes_max = kRowBytesMaxDefault);

  // The rows that the piece completes. Views into `piece` or into the splitter: valid while `piece`
  // is and until the next call.
  Result<std::vector<std::string_view>> Feed(std::string_view piece);
  // The body has ended: its last row where the body was lines, an error where it ends in the
  // middle.
  Result<std::vector<std::string_view>> Finish();

  // Rows given out so far.
  uint64_t rows() const { return rows_; }

 private:
  enum class Place {
    kStart,    // nothing but whitespace yet
    kBetween,  // values in sequence: a value or the end may follow
    kElement,  // array: behind the comma, a value must follow
    kFirst,    // array: behind the bracket, a value or the closing bracket
    kBehind,   // array: behind a value, a comma or the closing bracket
    kValue,    // inside an object or array
    kString,   // inside a string within a value
    kEscape,   // behind a backslash within a string
    kScalar,   // inside a number, word or string at the top
    kClosed,   // behind the array: only whitespace may follow
  };

  Status FeedLines(std::string_view piece, std::vector<std::string_view>& rows);
  Status FeedAny(std::string_view piece, std::vector<std::string_view>& rows);
  // Outside of values: returns the place after byte `c`, or an error.
  Result<Place> Outside(char c);
  Status Emit(std::string_view tail, std::vector<std::string_view>& rows);
  Status Keep(std::string_view tail);
  Error Wrong(std::string_view what, char c) const;
  Error TooLarge() const;

  JsonBody body_;
  size_t row_bytes_max_;
  Place place_ = Place::kStart;
  bool array_ = false;          // the body is an array
  bool scalar_string_ = false;  // the value at the top is a string: kScalar ends at its quote
  uint64_t depth_ = 0;          // of braces and brackets within the value
  uint64_t rows_ = 0;
  uint64_t at_ = 0;        // bytes of the body before the byte being looked at
  std::string carry_;      // the beginning of a row that a later piece completes
  std::string completed_;  // the row that the last piece completed
};

}  // namespace millrace::rows
