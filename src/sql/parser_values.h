// Values inside our statements: lengths of time, sizes, and WITH (name = value, …) lists.
// Pure functions, thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sql/parser_cursor.h"

namespace millrace::sql {

// INTERVAL 10 SECONDS, INTERVAL '1' DAY, INTERVAL '1 day', or '1 day'. Months and years are
// refused: their length is not fixed.
Result<std::chrono::microseconds> ExpectDuration(Cursor& cursor, std::string_view what);
// "7 days" → microseconds. The error has no place yet.
Result<std::chrono::microseconds> DurationFromText(std::string_view text);
// "10 GB", "64 KiB", "1000" → bytes. KB, MB, … are powers of 1000; KiB, MiB, … of 1024.
Result<int64_t> SizeFromText(std::string_view text);

struct Option {
  std::string name;   // lower case
  std::string value;  // as text
  size_t name_begin = 0;
  size_t value_begin = 0;
};
// (name = value, …) at the cursor. A value is a text, a number, or a word.
Result<std::vector<Option>> ExpectOptions(Cursor& cursor);

// Refuses options outside `known`, naming the nearest; those in `later` are understood but not
// available yet.
Status CheckOptionNames(const Cursor& cursor, const std::vector<Option>& options,
                        std::string_view of, const std::vector<std::string>& known,
                        const std::vector<std::string>& later);
// The index of the option's value in `values`.
Result<size_t> ChoiceOf(const Cursor& cursor, const Option& option,
                        const std::vector<std::string>& values);
Result<std::chrono::microseconds> DurationOf(const Cursor& cursor, const Option& option);
Result<int64_t> SizeOf(const Cursor& cursor, const Option& option);
// A length of time; of a size the error says where that belongs.
Result<std::chrono::microseconds> RetentionOf(const Cursor& cursor, const Option& option);

// The options of a kind of object.
struct KnownOptions {
  std::string_view of;                  // "a stream"
  std::vector<std::string> changeable;  // when it is there already
  std::vector<std::string> fixed;
  std::string_view otherwise;  // behind "a, b can be set", how the others are changed
  std::vector<std::string> All() const;
};
// kNotSupported for one that stays as it was created.
Status RefuseFixed(const Cursor& cursor, const KnownOptions& known, const std::string& name,
                   size_t begin);
// (name, …) of changeable ones at the cursor.
Result<std::set<std::string>> ExpectOptionNames(Cursor& cursor, const KnownOptions& known);

}  // namespace millrace::sql
