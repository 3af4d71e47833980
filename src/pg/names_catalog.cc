// NamesCatalog: which queries are for the catalog's tables.
#include <algorithm>

#include "pg/session_statement.h"
#include "rows/schema.h"
#include "sql/statement.h"

namespace millrace::pg {

namespace {

using Kind = sql::Token::Kind;

// Relations of pg_catalog are told by how they begin; these have other uses too.
bool IsCatalogRelation(std::string_view word) { return rows::LowerName(word).starts_with("pg_"); }

bool IsCatalogFunction(std::string_view word) {
  const std::string lower = rows::LowerName(word);
  if (lower.starts_with("pg_") || lower.starts_with("to_reg")) return true;
  if (lower.starts_with("has_") && lower.ends_with("_privilege")) return true;
  for (const char* known :
       {"version", "current_schema", "current_schemas", "current_database", "current_setting",
        "set_config", "format_type", "obj_description", "col_description", "shobj_description",
        "quote_ident", "txid_current", "inet_server_addr", "inet_server_port", "inet_client_addr",
        "inet_client_port", "row_security_active"}) {
    if (lower == known) return true;
  }
  return false;
}

bool IsSessionWord(std::string_view word) {
  for (const char* known : {"current_user", "session_user", "current_role", "current_catalog",
                            "current_schema", "regclass", "regtype", "regproc", "regnamespace"}) {
    if (rows::EqualNames(word, known)) return true;
  }
  return false;
}

}  // namespace

bool NamesCatalog(std::string_view text, const std::vector<sql::Token>& tokens) {
  bool maybe = false;
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    const sql::Token& token = tokens[i];
    if (token.kind != Kind::kWord && token.kind != Kind::kQuotedName) continue;
    const std::string word = sql::NameOf(text, token);
    const sql::Token& next = tokens[i + 1];
    const auto is = [&](char symbol) {
      return next.kind == Kind::kSymbol && text[next.begin] == symbol;
    };
    if (is('.') &&
        (rows::EqualNames(word, "pg_catalog") || rows::EqualNames(word, "information_schema")))
      return true;
    if (token.kind != Kind::kWord) continue;
    if (is('(') ? IsCatalogFunction(word) : IsSessionWord(word)) maybe = true;
    const bool after_dot = i > 0 && text[tokens[i - 1].begin] == '.';
    if (!is('(') && !is('.') && !after_dot && IsCatalogRelation(word)) maybe = true;
  }
  if (!maybe) return false;
  // Functions of the session beside the user's own relations are DuckDB's.
  const auto relations = sql::RelationsNamed(text);
  if (!relations.ok()) return true;
  return std::all_of(relations->begin(), relations->end(),
                     [](const std::string& name) { return IsCatalogRelation(name); });
}

}  // namespace millrace::pg
