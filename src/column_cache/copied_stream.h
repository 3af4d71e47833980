// How much of one stream stands in columns, and what is known of its readers. A value: the cache
// guards it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "column_cache/stream_source.h"
#include "sql/column_copy.h"

namespace millrace::column_cache {

enum class State {
  kWaiting,  // too little was read, or too little is new: nothing is to be done
  kFilling,  // the cache's thread reads the stream
  kFull,     // the cache's bound, or a disk that is nearly full, lets no more in
};
const char* StateName(State state);

struct CopiedStream {
  std::string identity;
  std::string name;
  std::string layout;
  std::string table;               // empty: there is none
  std::shared_ptr<const int> pin;  // of the table; queries that read it hold it too
  int64_t chunks_end = 0;
  struct Part {
    int32_t partition;
    int64_t first;  // the table has [first, end)
    int64_t end;
    bool damaged = false;  // records behind it are lost: it goes no further
  };
  std::vector<Part> parts;  // by partition, ascending
  int64_t rows = 0;         // that were put in
  uint64_t bytes = 0;       // that the file grew by

  State state = State::kWaiting;
  int64_t wanted = 0;  // records that queries have read from the log since it was filled last
  std::chrono::steady_clock::time_point last_read{};
  std::chrono::steady_clock::time_point last_trim{};

  Part& PartOf(int32_t partition, int64_t start);  // a new one begins and ends at `start`
  int64_t records() const;
};

// What a query at the stream's step may read; nullptr: nothing, or it would be too much to leave
// out again.
std::shared_ptr<const sql::ColumnCopy> CopyFor(const CopiedStream& copied, const Stream& stream);

// Records that could be put in.
int64_t Uncovered(const CopiedStream& copied, const Stream& stream);

}  // namespace millrace::column_cache
