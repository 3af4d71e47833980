// What of a stream's rows stands in a table of ColumnTables, as far as one query may read it there.
// A value; `pin` keeps the table from being dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace::sql {

struct ColumnCopy {
  std::string table;       // of ColumnTables
  int64_t chunks_end = 0;  // the rows of all chunks below it are meant, those of later ones are not
  struct Part {
    int32_t partition;
    int64_t first;  // the table has the rows with offsets from here
    int64_t begin;  // and those from here on are still in the stream
    int64_t end;    // up to here; the stream has the rows from here on
    bool operator==(const Part&) const = default;
  };
  std::vector<Part> parts;  // by partition, ascending; of the others the table has nothing

  // For people: records of the stream that the parts are, and all that a query reads.
  int64_t records = 0;
  int64_t records_all = 0;
  std::shared_ptr<const void> pin;

  // Whether both mean the same rows of the same table.
  bool SameRows(const ColumnCopy& other) const {
    return table == other.table && chunks_end == other.chunks_end && parts == other.parts;
  }
};

}  // namespace millrace::sql
