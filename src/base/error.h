// What went wrong, for a person who can act on it: object, action, cause, place in the text, and
// the way out.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {

enum class Code {
  kInvalidArgument,  // the request is wrong as it stands: syntax, type, value out of range
  kNotFound,         // a named thing does not exist
  kAlreadyExists,    // a name or key is taken
  kConflict,         // it would break something that depends on it, or the state does not allow it
  kNotSupported,     // understood, but Millrace does not do it
  kTooLarge,         // a limit of size was hit; the message names the limit
  kOverloaded,       // try again later: log or engine is behind, disk nearly full
  kUnavailable,      // the node is starting, stopping, or the peer does not answer
  kTimeout,          // a limit of time was hit
  kCancelled,        // somebody asked to stop it
  kCorruption,       // bytes on disk are not what was written
  kIo,               // the operating system refused
  kInternal,         // a bug of ours that was caught before harm
};

// "kNotFound" → "not_found": the code as protocols show it.
std::string_view CodeName(Code code);

// A place in a text that the user wrote. Lines and columns count from 1, columns in characters.
struct SourcePosition {
  std::string file;  // empty: typed at a prompt or sent in a request
  int line = 0;
  int column = 0;
  std::string line_text;
};

class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  template <typename... Args>
  Error(Code code, fmt::format_string<Args...> format, Args&&... args) requires(sizeof...(Args) > 0)
      : code_(code), message_(fmt::format(format, std::forward<Args>(args)...)) {}

  Code code() const { return code_; }
  // The message without position and hint.
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  const std::optional<SourcePosition>& position() const { return position_; }
  // A five-letter SQLSTATE where the code alone does not say it ("23505"); else derived from the
  // code.
  std::string_view sqlstate() const;

  Error With(std::string_view context) &&;
  Error At(SourcePosition position) &&;
  Error Hint(std::string hint) &&;
  Error SqlState(std::string_view sqlstate) &&;

  // "CREATE VIEW v: column "x" does not exist (file.sql:3:9)", then the line with a caret, then the
  // hint.
  std::string ToString() const;

 private:
  Code code_;
  std::string message_;
  std::string hint_;
  std::string sqlstate_;
  std::optional<SourcePosition> position_;
};

// `"name"` with inner quotes doubled.
std::string Quoted(std::string_view name);
// The place of byte `offset` in `text`.
SourcePosition PositionAt(std::string_view text, size_t offset, std::string_view file = {});
// `did you mean "price"?` for the nearest of `candidates`, empty where none is near.
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace millrace
