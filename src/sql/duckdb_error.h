// DuckDB reports by exception; inside Millrace errors are values. The border is here: Guard runs a
// call into DuckDB and turns what it throws into an Error, with the place in the user's text. Pure
// functions, thread-safe.
#pragma once

#include <exception>
#include <string>
#include <type_traits>

#include "base/result.h"
#include "duckdb/common/error_data.hpp"
#include "sql/database.h"

namespace millrace::sql {

// Around the SELECT of a view whose columns were named after the view: `(a, b)` follows.
inline constexpr std::string_view kNamedSelectBegin = "SELECT * FROM (";
inline constexpr std::string_view kNamedSelectEnd = "\n) AS _named";

// A piece of SQL text inside the text that the user wrote.
struct Place {
  Origin origin;
  // Byte in `origin.text` where the piece begins; npos where it does not stand in it: errors then
  // have no position.
  size_t begin = 0;
  // Bytes that DuckDB was given before the piece: its positions count them.
  size_t prefix = 0;

  // The place of an inner text: searched from the statement's begin, since an origin knows only
  // statements.
  static Place Of(const Origin& origin, std::string_view inner);
  static Place OfWhole(std::string_view text);

  // The error with the position of byte `offset` of the piece, where there is one.
  Error Mark(Error error, duckdb::optional_idx offset) const;
  // With that of the first of these words that the piece has, for what DuckDB keeps no position of.
  Error MarkWord(Error error, const std::vector<std::string_view>& words) const;
};

// `unknown_relation`: the name that Millrace's own lookup did not find in this call, empty: none;
// `relations`: the names that would have been found. A plain message comes out either way.
Error FromDuckDb(const duckdb::ErrorData& error, const Place& place,
                 const std::string& unknown_relation, const std::vector<std::string>& relations);

// The error with the place of what DuckDB reported.
Error AtPlaceOf(const duckdb::ErrorData& given, const Place& place, Error error);

// An assertion of DuckDB's own failed: nothing is said of what its connection holds then.
bool IsDefect(const duckdb::ErrorData& error);

// Runs `call`, which may throw DuckDB's exceptions; `convert` makes an Error of them.
template <typename Call, typename Convert>
auto Guard(Call&& call, Convert&& convert) -> std::invoke_result_t<Call> {
  try {
    return call();
  } catch (const std::exception& exception) {
    return convert(duckdb::ErrorData(exception));
  }
}

}  // namespace millrace::sql
