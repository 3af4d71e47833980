// ENUM types as pg_type and pg_enum show them: those that CREATE TYPE made, by their names, and
// those that only columns have, by a name that follows from their labels. Columns are shown to have
// these types; results and parameters have them as text (docs/postgres.md says why). OIDs follow
// from names, so they stay the same over restarts. Internal to pg; not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "pg/catalog_rows.h"
#include "pg/types.h"

namespace millrace::pg {

class EnumRows {
 public:
  // An OID for a kind of object and a name that nobody has yet.
  using Unique = std::function<uint32_t(std::string_view kind, std::string_view name)>;
  EnumRows(const catalog::Catalog& catalog, TableRows& rows, Unique unique);

  // As a column of an ENUM, or of a list of them, is described; none: it is neither.
  std::optional<ColumnType> OfColumn(const duckdb::LogicalType& type);

 private:
  struct Oids {
    uint32_t type;
    uint32_t array;
  };
  using Labels = std::vector<std::string>;
  Oids Add(const std::string& name, const Labels& labels, const std::string& comment);

  // The first of so many that follow one another: clients put labels in the order of their OIDs.
  uint32_t LabelOids(const std::string& name, size_t count);

  TableRows& rows_;
  const Unique unique_;
  std::map<Labels, Oids> by_labels_;  // the first one's by name
  std::set<uint32_t> label_oids_;
};

}  // namespace millrace::pg
