#include "pg/catalog_rewrite.h"

#include <algorithm>
#include <array>

#include "pg/token_cursor.h"
#include "rows/schema.h"
#include "sql/lexer.h"

namespace millrace::pg {

namespace {

using Kind = sql::Token::Kind;

struct Piece {
  Kind kind;
  std::string text;
  bool spaced;  // white space stood before it
};
using Pieces = std::vector<Piece>;

class Rewriter {
 public:
  Rewriter(Pieces pieces, const CatalogAsker& asker) : pieces_(std::move(pieces)), asker_(asker) {}

  Result<std::string> Run() {
    for (at_ = 0; at_ < pieces_.size();) TRY(TakePiece());
    NameSeries();
    Casts();
    CompareFunctions();
    std::string out;
    for (const Piece& piece : out_) {
      if (piece.spaced && !out.empty()) out += ' ';
      out += piece.text;
    }
    return out;
  }

 private:
  bool IsWord(size_t at, std::string_view word) const {
    return at < pieces_.size() && pieces_[at].kind == Kind::kWord &&
           rows::EqualNames(pieces_[at].text, word);
  }
  bool IsName(size_t at, std::string_view name) const {
    return IsWord(at, name) || (at < pieces_.size() && pieces_[at].kind == Kind::kQuotedName &&
                                pieces_[at].text == "\"" + std::string(name) + "\"");
  }
  bool IsSymbol(size_t at, char symbol) const {
    return at < pieces_.size() && pieces_[at].kind == Kind::kSymbol &&
           pieces_[at].text[0] == symbol;
  }
  void Put(std::string text, bool spaced, Kind kind = Kind::kWord) {
    out_.push_back({kind, std::move(text), spaced});
  }
  void Copy() { out_.push_back(pieces_[at_++]); }

  // What does not depend on what stands to the left: one piece, or several that belong together.
  Status TakePiece() {
    const Piece& piece = pieces_[at_];
    const bool after_dot = !out_.empty() && out_.back().text == ".";
    if (!after_dot && IsName(at_, kDatabaseName) && IsSymbol(at_ + 1, '.') &&
        (IsName(at_ + 2, "pg_catalog") || IsName(at_ + 2, "information_schema"))) {
      pieces_[at_ + 2].spaced = piece.spaced;
      at_ += 2;
      return Ok();
    }
    if (!after_dot && IsName(at_, "pg_catalog") && IsSymbol(at_ + 1, '.')) {
      at_ += 2;
      if (at_ < pieces_.size()) pieces_[at_].spaced = piece.spaced;
      return Ok();
    }
    if (!after_dot && IsName(at_, "information_schema") && IsSymbol(at_ + 1, '.')) {
      const bool spaced = piece.spaced;
      at_ += 2;
      // Its types, and the one function that clients call.
      for (const char* type : {"sql_identifier", "character_data", "yes_or_no"}) {
        if (!IsWord(at_, type)) continue;
        ++at_;
        Put("VARCHAR", spaced);
        return Ok();
      }
      if (IsWord(at_, "cardinal_number")) {
        ++at_;
        Put("INTEGER", spaced);
        return Ok();
      }
      if (!IsWord(at_, "_pg_expandarray")) {
        Put("information_schema_", spaced);
        Put(".", false, Kind::kSymbol);
      }
      return Ok();
    }
    if (IsWord(at_, "operator") && IsSymbol(at_ + 1, '(')) return TakeOperator();
    if (IsWord(at_, "collate")) {
      ++at_;
      if (IsName(at_, "pg_catalog") && IsSymbol(at_ + 1, '.')) at_ += 2;
      ++at_;
      return Ok();
    }
    if (piece.kind == Kind::kWord && !after_dot && !IsSymbol(at_ + 1, '.')) {
      TRY(const bool taken, TakeSessionWord());
      if (taken) return Ok();
    }
    if (IsSymbol(at_, '~') && IsSymbol(at_ + 1, '*') && !pieces_[at_ + 1].spaced) {
      const bool like = !out_.empty() && out_.back().text == "~" && !piece.spaced;
      if (!like && at_ + 2 < pieces_.size()) {
        Put("~", piece.spaced, Kind::kSymbol);
        Put("('(?i)' ||", true);
        Put(pieces_[at_ + 2].text, true, Kind::kString);
        Put(")", false, Kind::kSymbol);
        at_ += 3;
        return Ok();
      }
    }
    Copy();
    return Ok();
  }

  Status TakeOperator() {
    bool spaced = true;
    at_ += 2;
    if (IsName(at_, "pg_catalog") && IsSymbol(at_ + 1, '.')) at_ += 2;
    while (at_ < pieces_.size() && !IsSymbol(at_, ')')) {
      Put(pieces_[at_++].text, spaced, Kind::kSymbol);
      spaced = false;
    }
    ++at_;
    return Ok();
  }

  // True: the word was one of the session's, or of a function with another name here.
  Result<bool> TakeSessionWord() {
    const bool spaced = pieces_[at_].spaced;
    const bool called = IsSymbol(at_ + 1, '(');
    const bool called_bare = called && IsSymbol(at_ + 2, ')');
    for (const char* word : {"current_user", "session_user", "current_role"}) {
      if (!IsWord(at_, word) || called) continue;
      ++at_;
      Put("CAST(" + SqlText(asker_.user) + " AS name)", spaced);
      return true;
    }
    if (IsWord(at_, "current_catalog") && !called) {
      ++at_;
      Put("current_database()", spaced);
      return true;
    }
    if (IsWord(at_, "current_schema") && !called) {
      ++at_;
      Put("current_schema()", spaced);
      return true;
    }
    if (IsWord(at_, "pg_backend_pid") && called_bare) {
      at_ += 3;
      Put(std::to_string(asker_.process), spaced, Kind::kNumber);
      return true;
    }
    if (IsWord(at_, "current_setting") && called && pieces_.size() > at_ + 3 &&
        pieces_[at_ + 2].kind == Kind::kString && asker_.variables != nullptr)
      return TakeSetting();
    // The session sets it when the query has been answered.
    if (IsWord(at_, "set_config") && called && IsSymbol(at_ + 3, ',') && IsSymbol(at_ + 5, ',') &&
        IsSymbol(at_ + 7, ')')) {
      Put(pieces_[at_ + 4].text, spaced, Kind::kString);
      at_ += 8;
      return true;
    }
    static constexpr std::array<std::array<const char*, 2>, 6> kRenamed = {
        {{"json_build_object", "json_object"},
         {"jsonb_build_object", "json_object"},
         {"json_agg", "json_group_array"},
         {"jsonb_agg", "json_group_array"},
         {"row_to_json", "to_json"},
         {"string_to_array", "string_split"}}};
    for (const auto& [from, to] : kRenamed) {
      if (!called || !IsWord(at_, from)) continue;
      ++at_;
      Put(to, spaced);
      return true;
    }
    return false;
  }

  Result<bool> TakeSetting() {
    const bool spaced = pieces_[at_].spaced;
    const std::string& quoted = pieces_[at_ + 2].text;
    const std::string name = quoted.substr(1, quoted.size() - 2);
    const bool missing_ok = IsSymbol(at_ + 3, ',') && IsWord(at_ + 4, "true");
    size_t end = at_ + 3;
    while (end < pieces_.size() && !IsSymbol(end, ')')) ++end;
    at_ = std::min(end + 1, pieces_.size());
    const Result<std::string> value = asker_.variables->Get(name);
    if (!value.ok() && !missing_ok) return value.error();
    Put(value.ok() ? SqlText(*value) : "CAST(NULL AS VARCHAR)", spaced, Kind::kString);
    return true;
  }

  // FROM generate_series(…) s: in PostgreSQL s is a number too, in DuckDB a row with one. FROM
  // string_to_array(…) s: a function of one value is a table of one row.
  void NameSeries() {
    for (size_t i = 1; i + 1 < out_.size(); ++i) {
      const bool one_row = OutIs(i, "string_split");
      if ((!OutIs(i, "generate_series") && !OutIs(i, "unnest") && !one_row) || !OutIs(i + 1, "("))
        continue;
      if (!OutIs(i - 1, "from") && !OutIs(i - 1, "join") && !OutIs(i - 1, "lateral") &&
          !(one_row && OutIs(i - 1, ",")))
        continue;
      size_t close = i + 1;
      for (int depth = 0; close < out_.size(); ++close) {
        if (OutIs(close, "(")) ++depth;
        if (OutIs(close, ")") && --depth == 0) break;
      }
      size_t alias = close + 1;
      if (OutIs(alias, "as")) ++alias;
      if (alias >= out_.size() || out_[alias].kind != Kind::kWord || OutIs(alias + 1, "("))
        continue;
      if (IsKeyword(out_[alias].text) || OutIs(alias, "left") || OutIs(alias, "cross") ||
          OutIs(alias, "inner") || OutIs(alias, "order") || OutIs(alias, "group"))
        continue;
      if (one_row) {
        out_[i].text = "(SELECT " + out_[i].text;
        out_[close].text += " AS " + out_[alias].text + ")";
      } else {
        out_[alias].text += "(" + out_[alias].text + ")";
      }
    }
  }

  // A column of functions compared with 0, which is none: in PostgreSQL it is a number that shows
  // as a name, here a name.
  void CompareFunctions() {
    for (size_t i = 2; i < out_.size(); ++i) {
      if (!OutIs(i, "0") || (!OutIs(i - 1, "=") && !OutIs(i - 1, ">"))) continue;
      const size_t column = OutIs(i - 2, "!") || OutIs(i - 2, "<") ? i - 3 : i - 2;
      for (const char* name : {"typinput", "typoutput", "typreceive", "typsend", "typmodin",
                               "typmodout", "typanalyze"}) {
        if (OutIs(column, name)) out_[i] = {Kind::kString, "'-'", out_[i].spaced};
      }
    }
  }

  bool OutIs(size_t at, std::string_view text) const {
    return at < out_.size() && rows::EqualNames(out_[at].text, text) &&
           out_[at].kind != Kind::kString && out_[at].kind != Kind::kQuotedName;
  }

  // `operand::type` and CAST(operand AS type) of the types that DuckDB has not.
  void Casts() {
    for (size_t i = 0; i + 2 < out_.size(); ++i) {
      if (OutIs(i, ":") && OutIs(i + 1, ":") && !out_[i + 1].spaced) {
        Cast(i);
      } else if (OutIs(i, "cast") && OutIs(i + 1, "(")) {
        CallCast(i);
      }
    }
  }

  static std::string RegName(const Piece& piece) {
    for (const char* name : {"regclass", "regtype", "regproc", "regnamespace", "regrole"}) {
      if (rows::EqualNames(piece.text, name)) return name;
    }
    for (const char* name : {"regprocedure", "regoper", "regoperator", "regconfig"}) {
      if (rows::EqualNames(piece.text, name)) return "regproc";
    }
    return "";
  }

  static std::string TypeName(const std::string& type) {
    if (rows::EqualNames(type, "oid")) return "pgoid";
    if (type == "\"char\"") return "pgchar";
    for (const char* text : {"cstring", "aclitem", "pg_node_tree", "bpchar", "citext"}) {
      if (rows::EqualNames(type, text)) return "VARCHAR";
    }
    if (rows::EqualNames(type, "jsonb")) return "JSON";
    return type;
  }

  void Cast(size_t colons) {
    const size_t type = colons + 2;
    const size_t begin = OperandBegin(colons);
    const bool array = OutIs(type + 1, "[") && OutIs(type + 2, "]");
    if (array && colons > 0 && out_[colons - 1].kind == Kind::kString)
      ArrayLiteral(out_[colons - 1]);
    const std::string reg = RegName(out_[type]);
    if (reg.empty()) {
      out_[type].text = TypeName(out_[type].text);
      return;
    }
    if (array) {
      out_[type].text = "BIGINT";
      return;
    }
    const bool to_number = OutIs(type + 1, ":") && type + 3 < out_.size() && IsNumberType(type + 3);
    const bool literal = begin + 1 == colons && (out_[begin].kind == Kind::kString ||
                                                 out_[begin].kind == Kind::kParameter);
    const bool oid = literal || to_number || IsArgument(begin, type + 1);
    Piece call{Kind::kWord, "_" + reg + (oid ? "_oid(" : "("), out_[begin].spaced};
    out_[begin].spaced = false;
    out_.erase(out_.begin() + static_cast<long>(colons),
               out_.begin() + static_cast<long>(type + 1));
    out_.insert(out_.begin() + static_cast<long>(colons), {Kind::kSymbol, ")", false});
    out_.insert(out_.begin() + static_cast<long>(begin), std::move(call));
  }

  void CallCast(size_t cast) {
    const size_t open = cast + 1;
    int depth = 0;
    size_t close = open;
    for (; close < out_.size(); ++close) {
      if (OutIs(close, "(")) ++depth;
      if (OutIs(close, ")") && --depth == 0) break;
    }
    if (close >= out_.size()) return;
    size_t as = close;
    while (as > open && !OutIs(as, "as")) --as;
    if (as == open) return;
    const std::string reg = RegName(out_[as + 1]);
    if (reg.empty() || as + 2 != close) {
      if (as + 2 == close) out_[as + 1].text = TypeName(out_[as + 1].text);
      return;
    }
    const bool literal = as == open + 2 && out_[open + 1].kind == Kind::kString;
    const bool oid = literal || IsArgument(cast, close + 1);
    out_[cast].text = "_" + reg + (oid ? "_oid" : "");
    out_.erase(out_.begin() + static_cast<long>(as), out_.begin() + static_cast<long>(close));
  }

  bool IsNumberType(size_t at) const {
    for (const char* type : {"oid", "int", "int4", "int8", "integer", "bigint"}) {
      if (OutIs(at, type)) return true;
    }
    return false;
  }

  static bool IsKeyword(const std::string& word) {
    for (const char* keyword :
         {"select", "and",  "or",     "not",      "in",     "on",   "where",
          "from",   "when", "then",   "else",     "case",   "any",  "all",
          "exists", "by",   "having", "as",       "values", "join", "union",
          "limit",  "like", "is",     "distinct", "array",  "with", "lateral"}) {
      if (rows::EqualNames(word, keyword)) return true;
    }
    return false;
  }

  // Whether the operand is an argument of a function's, or is compared with something: then the
  // number is meant, not the name.
  bool IsArgument(size_t begin, size_t after) const {
    if (begin > 0 && (OutIs(begin - 1, "=") || OutIs(begin - 1, ">"))) return true;
    if (OutIs(after, "=")) return true;
    int depth = 0;
    for (size_t i = begin; i-- > 0;) {
      if (OutIs(i, ")")) ++depth;
      if (!OutIs(i, "(")) continue;
      if (depth-- > 0) continue;
      return i > 0 && out_[i - 1].kind == Kind::kWord && !IsKeyword(out_[i - 1].text);
    }
    return false;
  }

  // Where the operand begins that ends before `end`.
  size_t OperandBegin(size_t end) const {
    size_t at = end;
    while (at > 0) {
      --at;
      if (OutIs(at, ")") || OutIs(at, "]")) {
        const char* const open = OutIs(at, ")") ? "(" : "[";
        const char* const close = OutIs(at, ")") ? ")" : "]";
        const bool subscript = *open == '[';
        int depth = 0;
        while (true) {
          if (OutIs(at, close)) ++depth;
          if (OutIs(at, open) && --depth == 0) break;
          if (at == 0) return end;
          --at;
        }
        if (subscript) continue;
        const bool called =
            at > 0 && out_[at - 1].kind == Kind::kWord && !IsKeyword(out_[at - 1].text);
        if (called) --at;
      }
      if (at > 0 && OutIs(at - 1, ".")) {
        --at;
        continue;
      }
      if (at > 1 && OutIs(at - 1, ":") && OutIs(at - 2, ":")) {
        at -= 2;
        continue;
      }
      return at;
    }
    return at;
  }

  // '{a,"b c"}' → ['a', 'b c'].
  static void ArrayLiteral(Piece& piece) {
    const std::string& text = piece.text;
    if (text.size() < 4 || text[0] != '\'' || text[1] != '{' || text[text.size() - 2] != '}')
      return;
    std::string out = "[";
    std::string item;
    bool any = false;
    bool quoted = false;
    const auto finish = [&] {
      out += (out.size() > 1 ? ", " : "") + SqlText(item);
      item.clear();
    };
    for (size_t i = 2; i + 2 < text.size(); ++i) {
      any = true;
      if (text[i] == '"') {
        quoted = !quoted;
      } else if (text[i] == ',' && !quoted) {
        finish();
      } else {
        if (text[i] == '\\' && i + 3 < text.size()) ++i;
        item += text[i];
      }
    }
    if (any) finish();
    piece.text = out + "]";
  }

  Pieces pieces_;
  Pieces out_;
  size_t at_ = 0;
  const CatalogAsker& asker_;
};

}  // namespace

Result<std::string> RewriteCatalogQuery(std::string_view text, const CatalogAsker& asker) {
  TRY(const std::vector<sql::Token> tokens, sql::Lex(text));
  Pieces pieces;
  size_t end = 0;
  for (const sql::Token& token : tokens) {
    if (token.kind == Kind::kEnd) break;
    pieces.push_back({token.kind, std::string(text.substr(token.begin, token.end - token.begin)),
                      token.begin > end});
    end = token.end;
  }
  return Rewriter(std::move(pieces), asker).Run();
}

std::string PlainColumnName(const std::string& name, std::string_view query) {
  if (name.empty() || query.find("\"" + name + "\"") != std::string_view::npos) return name;
  const size_t open = name.find('(');
  if (open == std::string::npos) {
    const bool plain = name.find(' ') == std::string::npos && name.front() != '\'' &&
                       !(name.front() >= '0' && name.front() <= '9');
    return plain ? name : name.starts_with("CASE ") ? "case" : "?column?";
  }
  std::string function = name.substr(0, open);
  if (function.starts_with("main.")) function = function.substr(5);
  if (function.size() >= 2 && function.front() == '"' && function.back() == '"')
    function = function.substr(1, function.size() - 2);
  if (rows::EqualNames(function, "cast")) return "?column?";
  const bool plain =
      !function.empty() && function.find_first_of(" '\"+-*/|<>=:") == std::string::npos;
  return plain ? function : name.starts_with("CASE ") ? "case" : "?column?";
}

}  // namespace millrace::pg
