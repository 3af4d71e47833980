// What the log counts: plain numbers, which the node's metrics read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace millrace::log {

// Durations by powers of two: bucket i counts those below 2^i × 16 µs; the last takes the rest
// (from 524 ms).
struct LatencyHistogram {
  static constexpr size_t kBuckets = 17;
  static constexpr int64_t kFirstBoundMicros = 16;
  std::array<uint64_t, kBuckets> counts{};
  uint64_t total_micros = 0;

  void Add(int64_t micros);
  // Upper bound of bucket `i` in microseconds; INT64_MAX for the last.
  static int64_t BoundMicros(size_t i);
};

// Totals since Open unless a comment says otherwise.
struct LogStats {
  uint64_t appends = 0;          // requests acknowledged
  uint64_t appends_refused = 0;  // kOverloaded
  uint64_t batches = 0;
  uint64_t duplicate_batches = 0;  // of idempotent producers: were stored already
  uint64_t records = 0;
  uint64_t bytes = 0;  // of batches acknowledged
  uint64_t frames = 0;
  uint64_t write_ahead_bytes = 0;  // written, padding included
  uint64_t write_ahead_syncs = 0;
  LatencyHistogram write_ahead_sync_latency;
  uint64_t segment_syncs = 0;  // files synced in the background
  uint64_t checkpoints = 0;
  uint64_t segments_deleted = 0;
  uint64_t segments_compacted = 0;
  uint64_t damaged_ranges = 0;
  uint64_t recovered_frames = 0;  // replayed by Open
  uint64_t recovery_micros = 0;   // how long Open took

  // Now:
  uint64_t queue_bytes = 0;
  uint64_t queue_requests = 0;
  uint64_t tail_bytes = 0;      // frames kept in memory
  uint64_t unfilled_bytes = 0;  // of those, not yet in the segments
  uint64_t unsynced_bytes = 0;  // answered before their fdatasync, which is to come
  uint64_t write_ahead_file_bytes = 0;
  uint64_t open_segments = 0;
  bool disk_above_high_mark = false;
  bool failed = false;  // takes no appends until opened again
};

}  // namespace millrace::log
