// Keeps copies of streams' older rows in columns, for ad-hoc queries: sql reads a copy and takes
// only the rest from the log (sql/column_scan.h).
//
// A copy is made when queries have read many records of a stream from the log, and goes on when
// that comes again: a stream that nobody reads costs nothing. It holds all rows of its partitions
// from the start up to some offset below a published step, so that it is never wrong, only short.
// Where all copies together reach their bound, the one that was read longest ago goes; a single
// stream that is larger keeps its first part. Nothing is ever lost with a copy: an error of the
// disk ends the cache until the next start, and queries go on by the log.
//
// Thread-safe. One thread of its own, of low priority, writes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "column_cache/copied_stream.h"
#include "column_cache/stream_source.h"
#include "sql/column_copy.h"
#include "sql/column_tables.h"

namespace millrace::column_cache {

struct Options {
  std::string directory;  // for the room of its disk
  Files* files = nullptr;
  uint64_t bytes_max = 0;
  // Records that queries must have read from the log, and that must be new, before any are copied.
  int64_t records_min = 122'880;
  std::chrono::milliseconds look_interval{200};
  // Of disk, below which the log takes no more appends. nullopt: DefaultDiskReserve.
  std::optional<uint64_t> disk_reserve_bytes = std::nullopt;
};

class ColumnCache {
 public:
  // All outlive it.
  ColumnCache(sql::ColumnTables& tables, StreamSource& source, Options options);
  ~ColumnCache();
  ColumnCache(const ColumnCache&) = delete;
  ColumnCache& operator=(const ColumnCache&) = delete;
  void Stop();

  bool Has(const std::string& identity) const;
  // What a query at the stream's step may read in columns; nullptr: nothing.
  std::shared_ptr<const sql::ColumnCopy> Find(const Stream& stream);
  // Queries have read so many of its records from the log.
  void NoteRead(const std::string& identity, const std::string& name, int64_t records);

  struct Stats {
    std::vector<CopiedStream> streams;  // without their pins
    uint64_t bytes = 0;                 // that its file uses
    uint64_t bytes_max = 0;
    uint64_t scans = 0;   // that read a copy
    bool failed = false;  // it is off until the next start
  };
  Stats stats() const;

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct Chunk;  // one that is being made

  void Run();
  void Look();
  // What is gone or has other rows, and what need not be kept.
  Status Tidy();
  Status Trim(const CopiedStream& copied, const Stream& stream);
  // The errors of these are those of the tables: the cache ends with them.
  Status Fill(const std::string& identity);
  // One chunk more; false: there is nothing more to do for now.
  Result<bool> FillChunk(const Stream& stream);
  Status FillSpan(const Stream& stream, Stream::Span span, Chunk& chunk);
  Status MakeTable(const Stream& stream);
  // Room for one more chunk of the stream, where need be of others'.
  Result<bool> MakeRoom(const std::string& identity);
  void Forget(CopiedStream& copied);  // REQUIRES: mutex_ is held
  // Drops tables that nobody reads any more.
  Status DropForgotten();
  void SetState(const std::string& identity, State state);
  // False: the cache stops.
  bool WaitWhileBusy();
  bool Stopping() const;
  void GiveUp(const Error& error);
  std::optional<CopiedStream> Get(const std::string& identity) const;

  sql::ColumnTables& tables_;
  StreamSource& source_;
  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, CopiedStream> streams_;  // by identity
  struct Forgotten {
    std::string table;
    std::shared_ptr<const int> pin;
  };
  std::vector<Forgotten> forgotten_;
  uint64_t scans_ = 0;
  uint64_t chunk_bytes_ = 0;  // of the chunk before
  bool failed_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace millrace::column_cache
