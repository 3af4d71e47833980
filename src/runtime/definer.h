// From parsed CREATE statements to bound objects of the catalog: what each reads, its columns, and
// everything that can be wrong with it is found out here, before anything changes. Thread-safe:
// works on values.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "sql/database.h"
#include "sql/statement.h"

namespace millrace::runtime {

// A CREATE statement with the text that it stands in.
struct Declared {
  sql::CreateStatement create;
  std::string statement_text;
  std::string file;                         // empty: typed or sent
  std::shared_ptr<const std::string> text;  // the whole text of the file
  size_t begin = 0;                         // of the statement in it
};

// REQUIRES: the statement is a CREATE of `text`.
Declared DeclaredFrom(const sql::Statement& statement, std::shared_ptr<const std::string> text,
                      const std::string& file);

// Binds all of them against `base` and each other, in the order that their dependencies ask for;
// objects of `base` with the same name are shadowed. Returns them in an order in which each stands
// after what it needs. The error has the place in its file. `notices`: things the user should know,
// as "ORDER BY without LIMIT is ignored".
struct Defined {
  std::vector<catalog::Object> objects;
  std::vector<std::string> notices;
};
Result<Defined> Define(sql::Database& database, const catalog::Catalog& base,
                       const std::vector<Declared>& declared);

}  // namespace millrace::runtime
