#include "auth/statement_rights.h"

#include <algorithm>
#include <array>

namespace millrace::auth {

namespace {

// The first word of statements that read, or change rows. Any other word: `admin`.
constexpr std::array<std::string_view, 17> kOfRows = {
    "CLOSE",     "DECLARE", "DELETE", "DESC",   "DESCRIBE", "EXPLAIN",
    "FETCH",     "FROM",    "INSERT", "SELECT", "SHOW",     "SUMMARIZE",
    "SUBSCRIBE", "TABLE",   "UPDATE", "VALUES", "WITH"};

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// In upper letters; empty where the statement begins with something else.
std::string FirstWord(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (text.substr(at, 2) == "--") {
      at = std::min(text.find('\n', at), text.size());
    } else if (text.substr(at, 2) == "/*") {
      const size_t end = text.find("*/", at + 2);
      at = end == std::string_view::npos ? text.size() : end + 2;
    } else if (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r' ||
               text[at] == '(') {
      ++at;
    } else {
      break;
    }
  }
  std::string word;
  while (at < text.size() && IsLetter(text[at])) word += Upper(text[at++]);
  return word;
}

}  // namespace

Status CheckStatement(const auth::PrincipalPtr& principal, std::string_view statement) {
  if (principal == nullptr || principal->scopes.Allow(Permission::kAdmin, "")) return Ok();
  const std::string word = FirstWord(statement);
  if (std::find(kOfRows.begin(), kOfRows.end(), word) != kOfRows.end()) return Ok();
  return Error(Code::kInvalidArgument, "{} has no scope admin, which {} needs",
               principal->ToString(), word.empty() ? "this statement" : word)
      .Hint("with scope sql a token reads, and changes rows; definitions are for admin")
      .SqlState(kInsufficientPrivilege);
}

}  // namespace millrace::auth
