// Files of an embedded DuckDB that are pieces of memory: what is written to one waits until it is
// taken. Internal to columnar. Thread-safe; a file is used by one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "duckdb.hpp"

namespace millrace::columnar {

class PieceFiles {
 public:
  PieceFiles();
  ~PieceFiles();

  // Its paths can be opened in `database` from now on, for writing.
  void Register(duckdb::DuckDB& database);

  // A file, there until it ends.
  class File {
   public:
    explicit File(PieceFiles& files);
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    const std::string& path() const { return path_; }
    std::string Take();  // what was written since the last call

   private:
    PieceFiles& files_;
    std::string path_;
    std::shared_ptr<std::string> bytes_;
  };

 private:
  class System;
  struct Table;
  std::shared_ptr<Table> table_;  // shared with the DuckDBs
};

}  // namespace millrace::columnar
