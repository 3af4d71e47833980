// Log: the durable, partitioned log. Bytes go in, the same bytes come out, and what was
// acknowledged is never lost.
//
// Everything that is appended while one fdatasync runs is gathered into the next *frame* of one
// shared write-ahead file: one fdatasync acknowledges all of it, however many partitions it
// touches. A request goes whole into one frame and is recovered whole or not at all. A background
// thread copies frames into the partitions' segments and syncs those before the write-ahead space
// is used again. Formats: docs/formats/write_ahead.md and docs/formats/segment.md.
//
// Promises
// 1. A record whose append was acknowledged survives kill -9 and power loss; where its topic has a
// sync_delay_max, kill -9 only, until the delay is over.
// 2. Offsets of a partition are dense, until compaction takes records out, and never used twice.
// 3. Readers see durable records only, and the ends of all partitions move together, frame by frame
// (see Cut).
// 4. Damage on disk is reported with topic, partition and offsets, and costs the damaged batches
// only.
//
// Thread-safe: every method may be called from any thread. Completions run on the flusher thread;
// the durable listener on whichever thread synced the frame, which may be one inside AppendAndWait,
// so it must not lock what a caller of AppendAndWait holds. Both must be quick, and may call only
// Append, Read, DurableCut, SetFreeFloor and Stats. One Log per directory at a time: the owner of
// the directory holds the lock.
//
// Errors, apart from those named at a method: kIo or kUnavailable from any writing method once a
// write or sync has failed for good (the log then stops taking appends, readers go on, and opening
// it again recovers).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/result.h"
#include "log/append_problem.h"
#include "log/record_batch.h"
#include "log/stats.h"
#include "log/types.h"

namespace millrace::log {

struct LogOptions {
  Files* files = nullptr;  // default: Files::System()
  Clock* clock = nullptr;  // default: Clock::System()
  std::string directory;   // holds wal/ and log/; made when absent

  uint64_t write_ahead_bytes_max = 256ull << 20;
  uint64_t segment_bytes = 64ull << 20;
  std::chrono::seconds segment_age_max{7 * 24 * 3600};  // an older active segment is rolled
  uint64_t request_bytes_max = 16ull << 20;             // one append, all partitions together
  uint64_t frame_bytes_target = 1ull << 20;  // a frame takes no further request beyond it
  uint64_t queue_bytes_max = 64ull << 20;    // waiting to be written
  // Newest frames, kept in memory for readers; half as much again is kept for the next frames.
  uint64_t tail_bytes_max = 64ull << 20;

  // Frames that are written and answered, but not synced (TopicConfig::sync_delay_max): no more
  // than this, and one frame, waits for its time to come.
  uint64_t unsynced_bytes_max = 8ull << 20;

  // A segment that gets this much at once gets it past the page cache.
  uint64_t direct_fill_bytes_min = 256ull << 10;

  // The high mark: with less of the disk free, appends are refused. nullopt: DefaultDiskReserve.
  std::optional<uint64_t> disk_reserve_bytes;

  // Longest time that a frame waits to reach its segment, and that a segment stays unsynced.
  std::chrono::milliseconds fill_delay_max{100};
  std::chrono::milliseconds checkpoint_interval_max{5000};

  // What is known of an idempotent producer is forgotten so long after its last batch.
  std::chrono::seconds producer_expiry{24 * 3600};

  // For deterministic tests: no threads; RunOnce does what they would do.
  bool manual = false;
};

// What is written is never left unsynced for longer.
inline constexpr std::chrono::milliseconds kSyncDelayMax{10'000};
// Of a topic's own segment_bytes.
inline constexpr uint64_t kSegmentBytesMin = 16u << 10;
inline constexpr uint64_t kSegmentBytesMax = 1ull << 30;

struct TopicConfig {
  int32_t partitions = 1;
  std::optional<std::chrono::milliseconds> retention_time =
      {};                                        // by time of append; nullopt: unlimited
  std::optional<uint64_t> retention_bytes = {};  // per partition; nullopt: unlimited
  // Of one batch as sent; nullopt: LogOptions::request_bytes_max alone bounds it.
  std::optional<uint32_t> max_message_bytes = {};
  // Records are values of their keys, of which the newest counts: one without a key is refused.
  bool compact = false;
  // How long the record that deletes a key (one without value) is kept at least, with `compact`.
  std::chrono::milliseconds delete_retention{24 * 3600 * 1000};
  // How long written records may wait for their fdatasync once their producer was answered, up to
  // kSyncDelayMax; 0: the producer is answered after it. Readers see durable records only, whatever
  // it is.
  std::chrono::milliseconds sync_delay_max{0};
  // Records get the time of their append instead of their producer's (LogAppendTime).
  bool append_time = false;
  // When a segment is full, or old enough for the next append to begin another one; nullopt:
  // LogOptions' values.
  std::optional<uint64_t> segment_bytes = {};
  std::optional<std::chrono::milliseconds> segment_age_max = {};
  bool operator==(const TopicConfig&) const = default;
};

struct TopicInfo {
  TopicId id;
  std::string name;
  TopicConfig config;
};

// All batches for one partition within a request.
struct PartitionAppend {
  PartitionId partition;
  std::string
      batches;  // one or more whole RecordBatches; base offsets and leader epochs are filled in
};

using AppendRequest = std::vector<PartitionAppend>;

struct Appended {
  FrameSequence frame;
  Micros clock;  // the frame's time of append; never goes back from frame to frame
  // Of the first record of each PartitionAppend, in the request's order. A batch that was stored
  // already is answered with the offset that it has; where all were, frame and clock are those of
  // the newest frame.
  std::vector<Offset> base_offsets;
  int64_t repeated_records = 0;  // of batches that were stored already
  // An open transaction keeps readers of committed records from what was appended.
  bool held_back = false;
  // Of topics with append_time: what their records got; for one that was stored before, what it
  // would have got.
  std::optional<Millis> append_time = {};
};

using AppendDone = std::function<void(Result<Appended>)>;

// What was durable at the end of one frame: a consistent cut through all partitions. Everything of
// frames up to `frame` lies below the ends, nothing of later frames does. Immutable and shared.
struct Cut {
  struct End {
    PartitionId partition;
    Offset start;  // first offset that retention has left
    Offset end;    // one after the last durable record
    // Kafka's last stable offset: below it every transaction has ended. At most `end`; equal to it
    // where no transaction is open.
    Offset stable = end;
  };
  FrameSequence frame;
  Micros clock;
  std::vector<End> ends;  // every partition of every topic, ordered by partition

  // nullptr: no such partition.
  const End* Find(PartitionId partition) const;
};

// One batch, as stored. Append order of the whole log = (frame, index_in_frame).
struct ReadBatch {
  std::string_view bytes;  // valid as long as the ReadResult lives; CRC verified
  Offset base_offset;
  Offset last_offset;
  FrameSequence frame;
  uint32_t index_in_frame = 0;  // among the batches of the frame, from 0
  Micros clock;                 // the frame's: time of append

  // Lengths were checked and the CRC verified, so this does not fail.
  RecordBatchView view() const;
};

// Offsets `first` to `last`, both included.
struct OffsetRange {
  Offset first;
  Offset last;
};

// Records that are lost to damage on disk, ends included.
struct DamagedRange {
  Offset first;
  Offset last;
  std::string reason;
};

// Ends a producer's transaction, with all of its partitions in one frame.
struct Marker {
  Offset offset;
  int64_t producer_id = -1;
  FrameSequence frame;
};

// Movable; keeps the memory of its batches alive. Batches are in offset order and cover, together
// with `damaged`, every offset in [batches' first base, next); with `committed_only` all but those
// that are left out, and of a compacted topic all but those that were removed, so that `next` moves
// on even where there is no batch. A batch that was compacted holds fewer records than offsets.
struct ReadResult {
  std::vector<ReadBatch> batches;
  std::vector<DamagedRange> damaged;
  // With `committed_only`: the batches of aborted transactions that were left out, and the markers,
  // each in offset order.
  std::vector<OffsetRange> aborted;
  std::vector<Marker> markers;
  Offset next;          // where to read on; equals `end` when all was read
  Offset start;         // first available offset
  Offset end;           // the durable end, at the time of the read
  Offset stable = end;  // the last stable offset, then
  std::vector<std::shared_ptr<const void>> holds;
};

struct ReadOptions {
  Offset from = {};            // a batch that holds it in its middle is returned whole
  Offset until = kOffsetMax;   // batches that begin here or later are left out; e.g. a cut's end
  size_t bytes_max = 1 << 20;  // at least one batch is returned, however large
  // Compressed batches are returned unpacked (unpack.h): for whoever reads records. One that does
  // not unpack is damaged.
  bool unpack = false;
  // Reads up to the last stable offset only, and leaves out control batches and batches of aborted
  // transactions.
  bool committed_only = false;
};

// The end of a producer's transaction in some partitions, for AppendMarkers.
struct TransactionEnd {
  Producer producer;  // a higher epoch than that of the batches fences whoever sent them
  TransactionOutcome outcome = TransactionOutcome::kAbort;
  int32_t coordinator_epoch = 0;  // stands in the markers
  std::vector<PartitionId> partitions;
};

// A transaction that was aborted in a partition: the producer's batches in it are not to be read.
struct AbortedTransaction {
  int64_t producer_id = -1;
  Offset first;  // of its first batch
  Offset last;   // of the marker that ended it
};

struct OpenTransaction {
  PartitionId partition;
  Producer producer;
  Offset first;
  Micros since;  // time of append of its first batch
};

// Damage that was met since the log was opened, for the operator.
struct Damage {
  std::string topic;
  PartitionId partition;
  DamagedRange range;
};

// What a copy of the log is made of (WithFiles).
struct LogFiles {
  struct File {
    std::string path;    // within LogOptions::directory
    uint64_t bytes = 0;  // that belong to the copy; the file may be longer, and grow
  };
  FrameSequence frame;     // everything up to it is in the files
  std::string checkpoint;  // the content of the copy's wal/checkpoint; it needs no wal/frames
  std::vector<File> files;
};

class Log {
 public:
  // Opens or creates, and recovers: replays the write-ahead frames that the segments do not hold
  // yet, cuts a torn tail, and sets damage apart (see damage()). Takes time in proportion to the
  // write-ahead file, not to the log. Errors: kInvalidArgument (options that contradict each
  // other), kCorruption (the checkpoint itself is unreadable), kNotSupported (a newer format), kIo.
  static Result<std::unique_ptr<Log>> Open(LogOptions options);

  // Close, its error logged.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Writes everything out, syncs, and stops the threads; the next Open has nothing to recover.
  // Appends still queued are completed first; later appends and changes of topics fail with
  // kUnavailable. A second Close does nothing.
  Status Close();

  // ---- Topics. Each call is durable when it returns. ----

  // Kafka's rule for names: 1 to 249 of [a-zA-Z0-9._-], not "." or "..". Names that begin with "__"
  // are internal, which concerns the callers alone. kAlreadyExists: the name is taken, also by one
  // that differs in case only.
  Result<TopicInfo> CreateTopic(std::string_view name, const TopicConfig& config);
  // The records are gone for readers when it returns; the files follow. kNotFound.
  Status DeleteTopic(TopicId topic);
  // New retention, or more partitions (fewer: kInvalidArgument). kNotFound.
  Result<TopicInfo> AlterTopic(TopicId topic, const TopicConfig& config);
  std::vector<TopicInfo> Topics() const;  // ordered by name
  std::optional<TopicInfo> FindTopic(std::string_view name) const;

  // ---- Appending ----

  // Queues the request; `done` runs once, on the flusher thread, after the fdatasync (or with the
  // error). Where every topic of the request has a sync_delay_max, and no batch is transactional,
  // it runs before the fdatasync, as soon as the frame is written: the records become visible
  // later, and a power loss until then takes them back, after which others get their offsets. When
  // Append itself returns an error, nothing was queued and `done` never runs: kInvalidArgument
  // (malformed batches), kTooLarge (request_bytes_max), kNotFound (topic or partition), kOverloaded
  // (queue full or disk above its high mark: try again later), kUnavailable (closed), and, by the
  // topic's configuration, kTooLarge (max_message_bytes) and kInvalidArgument (compact, and a
  // record without key; the log cannot look into compressed batches, and takes them). An error
  // handed to `done` with kIo means that the outcome is unknown: the records may be there after a
  // restart.
  //
  // Batches with a producer id are sequenced, in the order of queuing (rules: producers.h): one
  // that is sent again is stored once, one out of order is refused through `done` with kConflict,
  // and AppendProblemOf says why; the whole request is refused then. Control batches, and
  // transactional ones without a producer, are kInvalidArgument.
  Status Append(AppendRequest request, AppendDone done);
  // The same, waiting. Writes the frame in the calling thread when nobody else is at it, which
  // saves two hand-overs. Must not be called by a completion or the listener.
  Result<Appended> AppendAndWait(AppendRequest request);
  // For the few records of the node itself, without which what is already acknowledged could not be
  // processed: like Append, but never kOverloaded. Neither a full queue nor the disk's high mark
  // turns it away, and without any space on the disk it waits for some, until Close. (With
  // options.manual nobody could make room meanwhile: there a full disk refuses it.)
  Status AppendAlways(AppendRequest request, AppendDone done);

  // ---- Transactions ----
  //
  // A transactional batch opens a transaction of its producer in its partition, unless one is open;
  // a marker ends it. Who may end what, and when, is the coordinator's business, not the log's.

  // Writes a marker to every partition, all in one frame: what the transaction wrote becomes
  // visible in one step. Like AppendAlways otherwise: never kOverloaded. A marker where nothing is
  // open ends nothing, and does no harm. `done` may get kConflict with kInvalidProducerEpoch: the
  // producer has a higher epoch by now. kInvalidArgument: no partitions, or no producer. kNotFound:
  // one of the partitions is gone, and no marker was written.
  Status AppendMarkers(TransactionEnd end, AppendDone done);
  // The same, waiting; see AppendAndWait.
  Result<Appended> AppendMarkersAndWait(TransactionEnd end);
  // Those that hold an offset in [from, to), ordered by `last`. kNotFound; kCorruption: what is
  // known of the range is damaged (reads with committed_only report the batches as damaged).
  Result<std::vector<AbortedTransaction>> AbortedTransactions(PartitionId partition, Offset from,
                                                              Offset to) const;
  // Of all partitions, ordered by partition and first offset, for operators: an open transaction
  // holds back every reader of committed records.
  std::vector<OpenTransaction> OpenTransactions() const;

  // ---- Reading ----

  // The newest cut. Cheap: shared until the next frame.
  std::shared_ptr<const Cut> DurableCut() const;
  // Sequence of the newest durable frame; one atomic load.
  FrameSequence DurableFrame() const;
  // Runs after frames have become durable and visible, with the newest of them, one call at a time,
  // in order. One listener; empty removes it. When this returns the former listener is not running
  // and will not run again. Must not be called by the listener.
  void SetDurableListener(std::function<void(FrameSequence)> listener);
  // Waits until a frame later than `after` is durable and returns the newest; `after` or less on
  // timeout or Close.
  FrameSequence WaitForDurable(FrameSequence after, std::chrono::milliseconds timeout) const;

  // Sequence of the newest frame of which a producer may have been answered: DurableFrame, or a
  // later one.
  FrameSequence WrittenFrame() const;
  // Somebody waits for this frame, which is written: it is made durable at once, whatever the
  // sync_delay_max of its topics. Does not wait.
  void SyncSoon(FrameSequence frame);

  // Whole batches from options.from on, up to the durable end. Empty when `from` is the end. Newest
  // batches come from memory without a copy or system call, older ones with one copy. kNotFound: no
  // such partition. kInvalidArgument, SQLSTATE 22003: `from` lies outside [start, end]; the message
  // names both. kIo.
  Result<ReadResult> Read(PartitionId partition, const ReadOptions& options) const;
  // The first batch appended at `time` or later; the end where there is none.
  Result<Offset> OffsetForAppendTime(PartitionId partition, Micros time) const;
  // The first batch that holds a record with this producer's timestamp or a later one; the end
  // where there is none.
  Result<Offset> OffsetForTimestamp(PartitionId partition, Millis timestamp) const;

  // ---- Retention ----

  // Retention frees no record at or above the floor, and compaction takes none out. Nothing of a
  // partition goes until its floor was set since Open; kOffsetMax lifts it. kNotFound.
  Status SetFreeFloor(PartitionId partition, Offset floor);

  // Deletes the records below `before`, whatever retention and floor say, and returns the first
  // available offset: `before`, or a later one that was reached already. Durable when it returns;
  // the files follow. A batch that holds `before` in its middle stays whole. kInvalidArgument,
  // SQLSTATE 22003: beyond the durable end. kNotFound.
  Result<Offset> DeleteRecords(PartitionId partition, Offset before);

  // ---- Copying ----

  // Brings everything that is durable into segments, and calls `use` with the files that hold it.
  // Nothing removes or replaces one of them before `use` returns, and their bytes never change; the
  // segments are not filled meanwhile, so it must be quick: link, then copy. Topics must not be
  // made, altered or deleted meanwhile. Waits. kOverloaded: no space left; kUnavailable: closed.
  Status WithFiles(const std::function<Status(const LogFiles&)>& use);
  // The checkpoint of a copy that is to live on its own: its leader epoch is above any that the
  // original may have had since, so that consumers notice where the two part. kCorruption.
  static Result<std::string> CheckpointOfCopy(std::string_view checkpoint);

  // ---- Watching ----

  LogStats Stats() const;
  // Of the partition's segments. What was appended in the last moments may stand in the write-ahead
  // file alone, and is not counted. kNotFound.
  Result<uint64_t> PartitionBytes(PartitionId partition) const;
  // At most the first 1,000 ranges; LogStats::damaged_ranges counts all.
  std::vector<Damage> damage() const;

  // REQUIRES: options.manual. Writes one frame of what is queued, and syncs it unless nothing but
  // sync_delay_max is at stake; with `background`, syncs it in any case, fills the segments,
  // applies retention and writes a checkpoint. Returns false when nothing was queued.
  bool RunOnce(bool background);

 private:
  class Impl;
  explicit Log(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::log
