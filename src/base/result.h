// Errors are values: a function that can fail returns Result<T> (or Status), and the caller either
// handles the error or passes it on with TRY. Bugs are not errors: see check.h.
//
//   Result<Segment> segment = OpenSegment(path);
//   if (!segment.ok()) return segment.error();
//   TRY(auto batch, segment->Read(offset));       // passes the error on
//   TRY(Flush());                                 // the same for a Status
//
// TRY is a whole statement, never part of an expression: on GCC 12 an early return from inside an
// initialiser list would skip the destructors of the elements already made.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/error.h"

namespace millrace {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }

  // REQUIRES: ok().
  T& value() & {
    CHECK(ok()) << error().ToString();
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(ok()) << error().ToString();
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(ok()) << error().ToString();
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // REQUIRES: !ok().
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

  // Says what was being done when the error came up: "open segment 7: crc mismatch at byte 4096".
  Result With(std::string_view context) && {
    if (!ok()) return std::move(*this).error().With(context);
    return std::move(*this);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  void value() const { CHECK(ok()) << error().ToString(); }
  // REQUIRES: !ok().
  const Error& error() const& { return *error_; }
  Error&& error() && { return *std::move(error_); }

  Result With(std::string_view context) && {
    if (!ok()) return std::move(*this).error().With(context);
    return std::move(*this);
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;
inline Status Ok() { return Status(); }

namespace internal {
inline Error TakeError(Status&& status) { return std::move(status).error(); }
template <typename T>
Error TakeError(Result<T>&& result) {
  return std::move(result).error();
}
}  // namespace internal

#define MILLRACE_CONCAT_(a, b) a##b
#define MILLRACE_CONCAT(a, b) MILLRACE_CONCAT_(a, b)
#define MILLRACE_TRY_STATUS(expr)                                    \
  do {                                                               \
    if (auto try_status = (expr); !try_status.ok())                  \
      return ::millrace::internal::TakeError(std::move(try_status)); \
  } while (false)
#define MILLRACE_TRY_VALUE_(tmp, declaration, expr)                      \
  auto tmp = (expr);                                                     \
  if (!tmp.ok()) return ::millrace::internal::TakeError(std::move(tmp)); \
  declaration = std::move(tmp).value()
#define MILLRACE_TRY_VALUE(declaration, ...) \
  MILLRACE_TRY_VALUE_(MILLRACE_CONCAT(try_result_, __COUNTER__), declaration, (__VA_ARGS__))
// TRY(status) or TRY(declaration, result). A status call whose arguments hold top-level commas
// outside parentheses does not occur; calls keep theirs inside parentheses.
#define MILLRACE_TRY_PICK(a, b, c, d, e, f, name, ...) name
#define TRY(...)                                                                             \
  MILLRACE_TRY_PICK(__VA_ARGS__, MILLRACE_TRY_VALUE, MILLRACE_TRY_VALUE, MILLRACE_TRY_VALUE, \
                    MILLRACE_TRY_VALUE, MILLRACE_TRY_VALUE, MILLRACE_TRY_STATUS)             \
  (__VA_ARGS__)

}  // namespace millrace
