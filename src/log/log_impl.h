// The inside of Log: how leader, background thread, readers and topics share the state. Private to
// this module.
//
//   Append → queue_ → leader: one frame → write-ahead file, fdatasync → Publish (tails, topics) →
//   completions (before the fdatasync, which then may wait, where topics have a sync_delay_max)
//                                                                          │
//   readers ← tail or segments            background: Fill (segments) ← frames_ → Checkpoint →
//   write-ahead released
//
// Locks, in the order in which they may be held together:
//   admin_mutex_     one change of topics at a time, held until it is durable
//   listener_mutex_  the durable listener, held while it runs
//   publish_mutex_   what a frame changes for readers, together: ends, topics, published_
//   topics_mutex_    the table of topics (shared)
//   Partition::mutex_, SegmentFiles::mutex_, frames_mutex_, stats_mutex_, damage_mutex_: leaves
//
// Files: log.cc (calls), topics.cc, flusher.cc, background.cc, recovery.cc.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <thread>
#include <unordered_map>

#include "log/checkpoint.h"
#include "log/commit_queue.h"
#include "log/compaction.h"
#include "log/log.h"
#include "log/partition.h"
#include "log/producer_staging.h"
#include "log/write_ahead.h"

namespace millrace::log {

class Log::Impl {
 public:
  explicit Impl(LogOptions options);
  ~Impl();

  // files.cc
  Status UseFiles(const std::function<Status(const LogFiles&)>& use);
  Status AddFiles(const TopicState& topic, std::vector<LogFiles::File>& files);
  void ServeFiles();

  // recovery.cc
  Status Open();
  // log.cc
  Status Close();
  Status Append(AppendRequest request, AppendDone done);
  Result<Appended> AppendAndWait(AppendRequest request);
  Status AppendAlways(AppendRequest request, AppendDone done);
  Status AppendMarkers(const TransactionEnd& end, AppendDone done);
  Result<Appended> AppendMarkersAndWait(const TransactionEnd& end);
  std::vector<OpenTransaction> OpenTransactions() const;
  std::shared_ptr<const Cut> DurableCut();
  FrameSequence DurableFrame() const { return {durable_frame_.load(std::memory_order_acquire)}; }
  void SetDurableListener(std::function<void(FrameSequence)> listener);
  FrameSequence WaitForDurable(FrameSequence after, std::chrono::milliseconds timeout);
  FrameSequence WrittenFrame() const { return {written_frame_.load(std::memory_order_acquire)}; }
  void SyncSoon(FrameSequence frame);
  Result<ReadResult> Read(PartitionId id, const ReadOptions& options);
  Result<std::shared_ptr<Partition>> GetPartition(PartitionId id) const;
  LogStats Stats();
  Result<uint64_t> PartitionBytes(PartitionId id) const;
  std::vector<Damage> damage();
  bool RunOnce(bool background);
  // files.cc
  Status WithFiles(const std::function<Status(const LogFiles&)>& use);
  // topics.cc
  Result<TopicInfo> CreateTopic(std::string_view name, const TopicConfig& config);
  Status DeleteTopic(TopicId id);
  Result<TopicInfo> AlterTopic(TopicId id, const TopicConfig& config);
  Result<Offset> DeleteRecords(PartitionId id, Offset before);
  std::vector<TopicInfo> Topics() const;
  std::optional<TopicInfo> FindTopic(std::string_view name) const;

 private:
  struct Topic {
    TopicInfo info;
    std::vector<std::shared_ptr<Partition>> partitions;
  };
  struct Control {
    EntryKind kind;
    PartitionId partition;
    Offset offset;
    std::string payload;
  };
  // What waits in the queue: an append, or a change of topics.
  struct Request {
    AppendRequest appends;
    std::vector<std::shared_ptr<Partition>> partitions;  // one for each append
    std::vector<uint32_t> batch_sizes;                   // of all batches, in order
    std::vector<int32_t> batch_records;
    std::vector<uint32_t> batch_counts;  // one for each append
    std::optional<Control> control;
    AppendDone done;
    uint64_t bytes = 0;
    bool always = false;         // waits for space where others are refused
    bool has_producers = false;  // a batch has a producer id
    bool transactional = false;  // a batch belongs to a transaction, or ends one
    // How long the frame may wait for its fdatasync once the request is answered; 0: it is answered
    // after that.
    std::chrono::milliseconds sync_delay{0};
    Appended appended;
    uint64_t duplicates = 0;  // batches that were stored already, with their
    uint64_t duplicate_records = 0;
    uint64_t duplicate_bytes = 0;
    std::optional<Error> error;
  };

  enum class Origin {
    kProducer,
    kCoordinator,  // may write control batches
  };

  // log.cc
  // kQueued or kLead; see CommitQueue.
  Result<CommitQueue<Request>::Push> Enqueue(AppendRequest appends, AppendDone done,
                                             CommitQueue<Request>::How how, Origin origin);
  Result<Appended> EnqueueAndWait(AppendRequest appends, CommitQueue<Request>::How how,
                                  Origin origin);
  Result<Request> MakeRequest(AppendRequest appends, AppendDone done, Origin origin) const;
  Result<AppendRequest> MakeMarkers(const TransactionEnd& end) const;
  Status CheckWritable() const;
  void ReportDamage(const Partition& partition, const std::vector<DamagedRange>& ranges);

  // topics.cc
  std::shared_ptr<Partition> FindPartition(PartitionId id) const;
  Result<Appended> Submit(Control control);
  std::string TopicDirectory(std::string_view name) const {
    return log_directory_ + "/" + std::string(name);
  }
  // Published by the leader, or by recovery. Idempotent, as replay may come after a newer
  // checkpoint.
  void ApplyTopic(const TopicInfo& info);
  void ApplyDelete(TopicId id);
  // On disk, by the background thread. Idempotent.
  Status MakeTopicDirectory(const TopicInfo& info);
  Status RemoveTopicDirectory(const TopicInfo& info);
  Result<std::optional<TopicInfo>> TopicOnDisk(std::string_view name) const;
  Status SetAside(std::string_view name, TopicId id);

  // flusher.cc
  void FlusherLoop();
  Result<Appended> WaitFor(std::future<Result<Appended>> answer, CommitQueue<Request>::Push pushed);
  bool RunFrame();
  Result<std::shared_ptr<Frame>> MakeFrame(std::deque<Request>& requests, bool patient);
  void Refuse(std::deque<Request>& requests, const Error& error, bool all);
  void Stage(Request& request, FrameBuilder& builder,
             std::vector<std::pair<Partition*, Offset>>& undo);
  Status StageBatches(Request& request, FrameBuilder& builder,
                      std::vector<std::pair<Partition*, Offset>>& undo);
  Status WaitForRoom(const Frame& frame, bool patient);
  Status WriteFrame(Frame& frame, bool patient);
  void AnswerEarly(std::deque<Request>& requests);
  bool SyncIsDue(const std::deque<Request>& requests) const;
  Status SyncWritten();
  Status SyncAndTell();
  void Publish(const std::shared_ptr<const Frame>& frame);
  void Answer(std::deque<Request>& requests);
  void TellListener();
  void Fail(const Error& error);

  // background.cc
  void BackgroundLoop();
  // `room_wanted`: bytes of the frame that a leader waits to write; 0: none.
  void RunBackground(uint64_t room_wanted, bool force_checkpoint);
  bool GrowthIsDue() const;
  Status GrowWriteAhead(uint64_t room_wanted);
  Status Fill();
  Status Collect(const std::shared_ptr<const Frame>& frame);
  Status FillCollected();
  Status ApplyOnDisk(const Frame& frame, const FrameEntry& entry);
  void Evict(uint64_t bytes_max);
  Status Checkpoint(bool clean);
  Result<uint64_t> SyncPartitions();
  log::Checkpoint MakeCheckpoint(bool clean);
  void WatchDisk();
  std::vector<std::shared_ptr<const Topic>> AllTopics() const;
  Status ApplyRetention();
  Status FreeByRetention();
  void ExpireProducers();
  bool CompactionIsDue(bool busy) const;
  Status Compact();
  bool CheckpointIsDue() const;

  // recovery.cc
  Status CheckOptions() const;
  Status LoadCheckpoint(const log::Checkpoint& checkpoint);
  Status ReplayFrame(const std::shared_ptr<Frame>& frame, bool intact);
  Status FillHoles(const Frame& frame);
  void MarkDamagedBatches(Frame& frame);

  const LogOptions options_;
  Files& files_;
  Clock& clock_;
  const std::string log_directory_;
  const std::string checkpoint_path_;
  SegmentFiles segment_files_;
  std::unique_ptr<WriteAhead> write_ahead_;
  uint64_t generation_ = 0;
  int32_t leader_epoch_ = 0;

  CommitQueue<Request> queue_;
  const std::shared_ptr<FrameBuffers> frame_buffers_;
  std::atomic<bool> failed_{false};
  std::atomic<bool> disk_full_{false};           // above the high mark,
  std::atomic<uint64_t> disk_reserve_bytes_{0};  // as WatchDisk saw it last
  std::atomic<bool> stalled_{false};             // segments cannot be filled: no space at all
  std::atomic<bool> closed_{false};
  mutable std::mutex failure_mutex_;
  std::optional<Error> failure_;  // guarded by failure_mutex_

  std::mutex admin_mutex_;
  std::mutex files_mutex_;  // one WithFiles at a time
  std::mutex listener_mutex_;
  std::function<void(FrameSequence)> listener_;  // guarded by listener_mutex_

  std::mutex publish_mutex_;
  FrameSequence published_;         // guarded by publish_mutex_
  Micros published_clock_;          // guarded by publish_mutex_
  std::shared_ptr<const Cut> cut_;  // guarded by publish_mutex_; nullptr: to be made
  std::atomic<uint64_t> durable_frame_{0};
  std::atomic<uint64_t> written_frame_{0};  // is not behind it
  std::mutex wait_mutex_;
  std::condition_variable durable_changed_;
  std::atomic<int> durable_waiters_{0};

  mutable std::shared_mutex topics_mutex_;
  std::map<TopicId, std::shared_ptr<const Topic>> topics_;  // guarded by topics_mutex_
  std::map<std::string, TopicId> topic_names_;              // lower case; guarded by topics_mutex_

  // Published frames that are kept in memory, oldest first; the first `filled_count_` are in the
  // segments.
  mutable std::mutex frames_mutex_;
  std::condition_variable background_wakes_;         // work for the background thread
  std::condition_variable room_made_;                // the leader may go on
  std::deque<std::shared_ptr<const Frame>> frames_;  // guarded by frames_mutex_
  size_t filled_count_ = 0;                          // guarded by frames_mutex_
  uint64_t tail_bytes_ = 0;                          // guarded by frames_mutex_
  uint64_t unfilled_bytes_ = 0;                      // guarded by frames_mutex_
  uint64_t room_wanted_ = 0;      // by the leader that waits; guarded by frames_mutex_
  bool stop_background_ = false;  // guarded by frames_mutex_
  struct FilesRequest {
    const std::function<Status(const LogFiles&)>& use;
    std::promise<Status> outcome;
  };
  FilesRequest* files_request_ = nullptr;  // waits for the background thread; frames_mutex_

  // Leader:
  FrameSequence last_sequence_;  // written
  Micros last_clock_;
  ProducerStaging staging_;
  // Written, but not synced yet: nobody sees them, and they free no space.
  std::vector<std::shared_ptr<const Frame>> written_;
  std::atomic<uint64_t> written_bytes_{0};
  uint64_t early_answers_ = 0;  // requests in them that were answered
  FrameSequence told_;          // to the listener

  // Background:
  size_t collected_frames_ = 0;  // of the unfilled frames; the next one is collected as far as:
  size_t fill_entry_ = 0;
  uint32_t fill_index_ = 0;
  std::vector<std::shared_ptr<Partition>> collected_;  // partitions with batches to fill
  std::map<PartitionId, std::shared_ptr<Partition>> unsynced_;
  uint64_t checkpoint_position_ = 0;
  FrameSequence checkpoint_next_;
  bool growth_refused_ = false;     // by a full disk, lately
  bool checkpoint_behind_ = false;  // something was filled since the last one
  std::chrono::steady_clock::time_point last_checkpoint_;
  std::chrono::steady_clock::time_point last_housekeeping_;
  std::chrono::steady_clock::time_point last_expiry_;
  std::unique_ptr<Compaction> compaction_;  // that is under way
  std::chrono::steady_clock::time_point last_compaction_;
  std::chrono::steady_clock::time_point compaction_failed_;

  mutable std::mutex stats_mutex_;
  LogStats stats_;  // guarded by stats_mutex_
  std::atomic<uint64_t> refused_{0};
  std::mutex damage_mutex_;
  std::vector<Damage> damage_;                                      // guarded by damage_mutex_
  std::set<std::tuple<PartitionId, Offset, Offset>> known_damage_;  // guarded by damage_mutex_

  std::thread flusher_;
  std::thread background_;
};

}  // namespace millrace::log
