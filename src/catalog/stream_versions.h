// The columns of a stream over its ALTERs: which version reads a record, what is the next version,
// and where columns stand in the rows that go through the engine. Pure functions.
//
// Columns are told apart by their ids, so one that was dropped and one that is added later under
// the same name have nothing to do with each other. A column of another type is, for the engine,
// another column.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/definitions.h"

namespace millrace::catalog {

inline constexpr size_t kStreamVersionsMax = 1000;
inline constexpr size_t kStreamColumnsMax = 1000;

// How the records from `first` up to `end` of a partition are read.
struct VersionRange {
  const rows::Schema* schema;
  const std::vector<Check>* checks;
  std::optional<int64_t> end;  // none: this version reads all that follow
};
VersionRange VersionAt(const StreamDefinition& stream, int32_t partition, int64_t offset);

// The stream as it was for objects bound at a generation; none: as it is.
std::optional<StreamDefinition> AsOf(const StreamDefinition& stream, uint64_t generation);

// What a row of an earlier version has in a column that came later: the DEFAULT with which it came.
// REQUIRES: the column is one of the stream's.
duckdb::Value ValueBefore(const StreamDefinition& stream, const rows::Column& column);

// Whether every value of `from` is one of `to`, in rows that are there and in records to come.
bool CanWiden(const duckdb::LogicalType& from, const duckdb::LogicalType& to);

// An id that no column of the stream ever had.
int NextColumnId(const StreamDefinition& stream);

// Notes in `after` that what came before it is read as `before` says; the ends are not known yet.
// Error: too many versions or columns.
Status KeepVersion(const StreamDefinition& before, StreamDefinition& after);

// `wanted` as a later version of `before`, for a definition that was written anew: columns of equal
// names are the same ones. Error, as a reason: rows that are there could not be read by it.
Result<StreamDefinition> Evolve(const StreamDefinition& before, const StreamDefinition& wanted);

// Columns of `before` that `after` does not have as they were: dropped, of another type, or of
// another name. By id.
std::vector<int> Touched(const StreamDefinition& before, const StreamDefinition& after);

// A row in the engine: the columns of the stream's first version, the hidden ones, then every
// column that came later, in the order of coming. Columns that went keep their places, as NULL.
class EngineLayout {
 public:
  explicit EngineLayout(const StreamDefinition& stream);

  size_t hidden() const { return first_.size(); }  // position of the first hidden column
  size_t width() const;
  // Positions of the columns of a version: the declared ones, then the hidden ones.
  std::vector<size_t> PositionsOf(const rows::Schema& version) const;
  rows::Schema schema() const;
  // True when rows stand in the engine as the stream has them.
  bool plain() const { return plain_; }

 private:
  std::vector<rows::Column> first_;
  std::vector<rows::Column> later_;
  bool plain_ = true;
};

}  // namespace millrace::catalog
