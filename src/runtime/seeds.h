// Rows of tables that are declared WITH (seed = 'file.csv'): put in by key when the table is made
// and again whenever the file has changed. Which content a table has had is noted in the data
// directory after its rows are in; a crash in between puts the same rows in once more, which
// changes nothing.
//
// Not thread-safe: one change of the catalog at a time. Calls wait for disk and step.
#pragma once

#include <string>

#include "base/files.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "runtime/table_writer.h"

namespace millrace::runtime {

class Seeds {
 public:
  // `directory`: of the notes. Seeds' relative paths begin at `project_directory`.
  Seeds(Files& files, std::string directory, std::string project_directory, sql::Database& database,
        TableWriter& writer)
      : files_(files),
        directory_(std::move(directory)),
        project_directory_(std::move(project_directory)),
        database_(database),
        writer_(writer) {}

  // Whether the table's seed can be read and all its rows are the table's: asked before the table
  // is made. The error names table, file, row and column.
  Status Check(const catalog::Catalog& catalog, const catalog::TableDefinition& table);

  // Fills every table whose seed it has not seen in its present content. The error names table,
  // file, row and column; the tables before it are filled.
  Status Apply(const catalog::Catalog& catalog);

 private:
  std::string ContextOf(const catalog::TableDefinition& table) const;
  Result<std::string> Read(const catalog::TableDefinition& table);
  Result<TableWriter::Chunks> Decode(const catalog::Catalog& catalog,
                                     const catalog::TableDefinition& table,
                                     const std::string& text);

  Files& files_;
  const std::string directory_;
  const std::string project_directory_;
  sql::Database& database_;
  TableWriter& writer_;
};

}  // namespace millrace::runtime
