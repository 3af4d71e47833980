#include "runtime/step_loop.h"

#include <algorithm>
#include <limits>
#include <map>

#include "base/logging.h"

namespace millrace::runtime {

namespace {

using std::chrono::steady_clock;

// A step reads at most about this many bytes of all partitions together (whole frames in any case).
constexpr size_t kStepBytesMax = 32 << 20;
// A transaction of which no more is read ahead, together with what else is, becomes visible at
// once.
constexpr size_t kWholeTransactionBytesMax = 64 << 20;
// What a step aims at when there is more to do than fits in; never fewer records than these.
constexpr double kStepSeconds = 0.2;
constexpr int64_t kStepRecordsMin = 2000;
// What the history of a build may take of a step in which others' rows wait too.
constexpr double kHistorySeconds = 0.05;
// The first slice of a build, before it is known what its rows cost.
constexpr int64_t kHistoryRowsFirst = 20'000;
// Steps that were computed and wait for their journal record. More would only hide that the disk is
// slow.
constexpr size_t kComputedMax = 16;
// How long a node that stops waits for a disk that is full to take their records.
constexpr std::chrono::seconds kStopWait{2};

}  // namespace

StepLoop::StepLoop(StepLoopContext context)
    : context_(context),
      last_flush_(steady_clock::now()),
      records_target_(context.step_records_max),
      history_target_(std::min(kHistoryRowsFirst, context.step_records_max)) {}

StepLoop::~StepLoop() { Stop(); }

void StepLoop::Start() {
  {
    const std::lock_guard lock(mutex_);
    accepting_work_ = true;
    journal_durable_ = context_.pipeline->state().step;
  }
  context_.log->SetDurableListener([this](log::FrameSequence frame) {
    const std::lock_guard lock(mutex_);
    durable_frame_ = frame;
    wake_.notify_one();
  });
  thread_ = std::thread([this] { Loop(); });
}

void StepLoop::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_all();
  }
  if (!thread_.joinable()) return;
  thread_.join();
  context_.log->SetDurableListener({});
}

bool StepLoop::Stopping() const {
  const std::lock_guard lock(mutex_);
  return stop_;
}

Status StepLoop::health() const {
  const std::lock_guard lock(mutex_);
  if (failed_) return *failed_;
  return journal_error_ ? Status(*journal_error_) : Ok();
}

StepLoop::Stats StepLoop::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

Status StepLoop::AtBoundary(std::function<Status()> work) {
  BoundaryWork task{std::move(work), {}};
  std::future<Status> outcome = task.outcome.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (!accepting_work_)
      return failed_ ? Status(*failed_) : Status(Error(Code::kUnavailable, "the node is stopping"));
    boundary_work_.push_back(std::move(task));
    wake_.notify_one();
  }
  return outcome.get();
}

void StepLoop::Loop() {
  // A crash came between the last step and the record of what failed in it.
  if (!context_.pipeline->stopped().empty()) {
    if (Status halted = context_.on_stopped(); !halted.ok()) Fail(halted.error());
  }
  while (true) {
    bool worked = false;
    if (Status status = GuardedOnce(worked); !status.ok()) {
      Fail(status.error());
      break;
    }
    std::unique_lock lock(mutex_);
    const auto has_news = [&] {
      return stop_ || !boundary_work_.empty() || durable_frame_ > seen_frame_;
    };
    if (stop_ && !worked && boundary_work_.empty()) break;
    if (!worked && !has_news()) wake_.wait_for(lock, kIdleTick, has_news);
  }
  if (health().ok()) {
    if (Status status = FlushNow(); !status.ok()) Fail(status.error());
  }
  // Whoever still waits is told.
  std::deque<BoundaryWork> left;
  {
    const std::lock_guard lock(mutex_);
    accepting_work_ = false;
    left.swap(boundary_work_);
  }
  const Status reason =
      health().ok() ? Status(Error(Code::kUnavailable, "the node is stopping")) : health();
  for (BoundaryWork& task : left) task.outcome.set_value(reason);
  context_.publisher->Close(reason.error());
}

void StepLoop::Fail(const Error& error) {
  LOG_ERROR("the step loop cannot go on", "error={}", error.message());
  const std::lock_guard lock(mutex_);
  if (!failed_) failed_ = error;
}

// DuckDB's values throw where they are made; what no part below expected ends the loop and not the
// process, so that readers go on.
Status StepLoop::GuardedOnce(bool& worked) {
  try {
    return LoopOnce(worked);
  } catch (const std::exception& exception) {
    return Error(Code::kInternal, "an exception in the step loop: {}", exception.what());
  }
}

Status StepLoop::LoopOnce(bool& worked) {
  RunBoundaryWork();
  TRY(health());
  {
    const std::lock_guard lock(mutex_);
    seen_frame_ = durable_frame_;
  }
  TRY(Chosen chosen, Choose());
  chosen.history = context_.pipeline->NextHistory(history_target_);
  if (chosen.history) chosen.history_rows = context_.pipeline->RowsOf(*chosen.history);
  if (!chosen.slices.empty() || chosen.history || !follow_.empty() ||
      context_.pipeline->WantsStep(context_.clock->Now())) {
    worked = true;
    TRY(RunStep(std::move(chosen)));
  }
  for (const uint64_t build : context_.pipeline->built()) context_.on_built(build);
  PublishDurable();
  TRY(MaybeFlush(/*idle=*/!worked));
  context_.pipeline->MakeRoom();
  // What a restart has left on disk comes back while there is room and nobody waits.
  const bool warmed = context_.pipeline->Warm();
  worked = worked || (warmed && !Stopping());
  return Ok();
}

void StepLoop::RunBoundaryWork() {
  while (true) {
    BoundaryWork task;
    {
      const std::lock_guard lock(mutex_);
      if (boundary_work_.empty()) return;
      task = std::move(boundary_work_.front());
      boundary_work_.pop_front();
    }
    task.outcome.set_value(task.run());
  }
}

// Tables of topics whose next records are of frames that the other readers have behind them: they
// are new, and read what their topic holds.
StepLoop::Lagging StepLoop::FindLagging() const {
  Lagging lagging;
  const log::FrameSequence taken = context_.pipeline->state().frame;
  for (const auto& [known_as, reader] : context_.pipeline->readers()) {
    if (known_as.topic != reader.partition().topic && !reader.empty() &&
        reader.first_visible() <= taken)
      lagging[known_as.topic] = {std::numeric_limits<uint64_t>::max()};
  }
  return lagging;
}

// Whether the reader is that of the one that lags, or with `of` none, of those that do not.
bool StepLoop::IsOf(log::PartitionId known_as, const Lagging& lagging,
                    std::optional<log::TopicId> of) {
  return of ? known_as.topic == *of : !lagging.contains(known_as.topic);
}

// Takes everything up to the newest durable frame where that is little enough, else up to an
// earlier frame: a step ends on a boundary of frames, so that nothing that was appended together,
// or committed by one transaction, is ever half visible. Those that lag are taken up to frames of
// their own, and hold nobody back.
Result<StepLoop::Chosen> StepLoop::Choose() {
  const std::shared_ptr<const log::Cut> cut = context_.log->DurableCut();
  auto& readers = context_.pipeline->readers();
  size_t bytes_max =
      std::max<size_t>(kStepBytesMax / std::max<size_t>(readers.size(), 1), 64 << 10);
  int64_t records_max = std::max<int64_t>(
      context_.step_records_max / static_cast<int64_t>(std::max<size_t>(readers.size(), 1)), 1);

  Chosen chosen;
  Lagging lagging;
  const auto frame_of = [&](log::PartitionId known_as) -> log::FrameSequence& {
    const auto own = lagging.find(known_as.topic);
    return own == lagging.end() ? chosen.frame : own->second;
  };
  int64_t lag = 0;
  while (true) {
    lag = 0;
    size_t buffered_bytes = 0;
    for (auto& [known_as, reader] : readers) {
      const log::Cut::End* end = cut->Find(reader.partition());
      if (end == nullptr) continue;
      lag += end->stable - reader.next();
      TRY(reader.Fill(end->stable, bytes_max, records_max));
      buffered_bytes += reader.buffered_bytes();
    }
    lagging = FindLagging();
    chosen.frame = cut->frame;
    for (auto& [topic, frame] : lagging) frame = cut->frame;
    for (auto& [known_as, reader] : readers) {
      const log::Cut::End* end = cut->Find(reader.partition());
      if (end == nullptr || reader.empty() || reader.Reached(end->stable)) continue;
      // That frame is not whole: what is not read yet may begin with it.
      log::FrameSequence& frame = frame_of(known_as);
      frame = std::min(frame, {reader.read_frame().value - 1});
    }
    // One frame, or transaction, is larger than the bound: it is taken whole, unless it is a
    // transaction that is larger by far.
    const auto stuck = [&](std::optional<log::TopicId> of) {
      bool waits = false;
      for (const auto& [known_as, reader] : readers) {
        if (reader.empty() || !IsOf(known_as, lagging, of)) continue;
        const log::FrameSequence frame = frame_of(known_as);
        if (frame == cut->frame || reader.first_visible() <= frame) return false;
        waits = true;
      }
      return waits;
    };
    const bool lagging_stuck = std::any_of(lagging.begin(), lagging.end(),
                                           [&](const auto& item) { return stuck(item.first); });
    if (!lagging_stuck && !stuck(std::nullopt)) break;
    if (buffered_bytes >= kWholeTransactionBytesMax) {
      for (auto& [known_as, reader] : readers) reader.SplitTransactions();
    }
    bytes_max *= 2;
    records_max *= 2;
  }
  lag_records_.store(lag, std::memory_order_relaxed);
  chosen.frame = std::min(chosen.frame, LastFrameThatFits(lagging, std::nullopt));
  for (auto& [topic, frame] : lagging)
    frame = std::min({frame, chosen.frame, LastFrameThatFits(lagging, topic)});
  for (auto& [known_as, reader] : readers) {
    const log::Cut::End* end = cut->Find(reader.partition());
    if (end == nullptr || reader.next() >= end->stable) continue;
    const log::FrameSequence frame = frame_of(known_as);
    const bool all = frame == cut->frame;
    if (!all && (reader.empty() || reader.first_visible() > frame)) continue;
    PartitionSlice slice =
        all ? reader.Take(PartitionReader::kOpen, end->stable) : reader.Take(frame, std::nullopt);
    chosen.records += slice.records;
    chosen.slices.push_back(std::move(slice));
  }
  return chosen;
}

// The frame up to which what was read is about records_target_ records; at least the first one. Of
// those that lag by themselves, or of all that do not.
log::FrameSequence StepLoop::LastFrameThatFits(const Lagging& lagging,
                                               std::optional<log::TopicId> of) const {
  std::map<log::FrameSequence, int64_t> records;
  for (const auto& [known_as, reader] : context_.pipeline->readers()) {
    if (!IsOf(known_as, lagging, of)) continue;
    log::FrameSequence visible{0};  // nothing overtakes what stands before it
    for (const auto& [batch, by_itself] : reader.buffered()) {
      visible = std::max(visible, by_itself);
      records[visible] += batch.last_offset - batch.base_offset + 1;
    }
  }
  int64_t sum = 0;
  log::FrameSequence last{std::numeric_limits<uint64_t>::max()};
  for (const auto& [frame, count] : records) {
    if (sum > 0 && sum + count > records_target_) return last;
    sum += count;
    last = frame;
  }
  return {std::numeric_limits<uint64_t>::max()};
}

StepRecord StepLoop::MakeRecord(const Chosen& chosen) {
  const NodeState& state = context_.pipeline->state();
  StepRecord record;
  record.step = {state.step.value + 1};
  record.clock = std::max(state.clock, context_.clock->Now());
  record.frame = chosen.frame;
  record.catalog_version = context_.pipeline->catalog()->version();
  for (const PartitionSlice& slice : chosen.slices)
    record.ends.emplace_back(slice.partition, slice.end);
  record.door = context_.door->Take();
  record.history = chosen.history;
  record.followed.swap(follow_);
  return record;
}

Status StepLoop::Journal(const StepRecord& record, log::AppendRequest more) {
  log::RecordBatchBuilder builder;
  builder.Add(std::nullopt, EncodeStepRecord(record), log::Millis{record.clock.value / 1000});
  more.push_back({{context_.journal, 0}, builder.Finish()});
  const auto done = [this, step = record.step](Result<log::Appended> appended) {
    {
      const std::lock_guard lock(mutex_);
      if (appended.ok()) {
        journal_durable_ = std::max(journal_durable_, step);
      } else if (!journal_error_) {
        journal_error_ = std::move(appended).error().With("write the step journal");
      }
      wake_.notify_all();
    }
    PublishDurable();
  };
  return context_.log->AppendAlways(std::move(more), done);
}

Status StepLoop::RunStep(Chosen chosen) {
  const auto start = Tick();
  const StepRecord record = MakeRecord(chosen);
  TRY(Journal(record, {}));
  TRY(context_.pipeline->Run(record, std::move(chosen.slices)));
  dirty_ = true;
  const double seconds = SecondsSince(start);
  AdaptSteps(chosen, seconds);
  busy_since_flush_ += seconds;
  last_step_ = steady_clock::now();
  // A step in which views fail is not shown before it is durable that they have.
  const bool shown = context_.pipeline->stopped().empty();
  {
    std::unique_lock lock(mutex_);
    if (shown) computed_.push_back(context_.pipeline->Publishable());
    ++stats_.steps;
    stats_.records += static_cast<uint64_t>(chosen.records);
    stats_.busy_seconds += seconds;
    stats_.last_step_seconds = seconds;
  }
  if (!shown) return context_.on_stopped();
  PublishDurable();
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return computed_.size() < kComputedMax || journal_error_ || stop_; });
  return Ok();
}

// The next step may take as many records as fit into kStepSeconds, if they cost what the last ones
// did: long steps delay what is visible, and a crash has whole steps to do again.
void StepLoop::AdaptSteps(const Chosen& chosen, double seconds) {
  const int64_t records = chosen.records + chosen.history_rows;
  if (records < kStepRecordsMin && seconds < kStepSeconds) return;  // too few to learn from
  const double rate = static_cast<double>(records) / std::max(seconds, 1e-6);
  const int64_t least = std::min(kStepRecordsMin, context_.step_records_max);
  const auto fitting = [&](double budget) {
    return std::clamp(static_cast<int64_t>(std::min(rate * budget, 1e15)), least,
                      context_.step_records_max);
  };
  records_target_ = fitting(kStepSeconds);
  history_target_ = fitting(chosen.records > 0 ? kHistorySeconds : kStepSeconds);
}

// Called by the loop and by the log's flusher, whichever of compute and fdatasync ends later.
void StepLoop::PublishDurable() {
  const std::lock_guard in_order(publish_mutex_);
  while (true) {
    PublishedPtr next;
    {
      const std::lock_guard lock(mutex_);
      if (computed_.empty() || computed_.front()->state.step > journal_durable_) return;
      next = computed_.front();
    }
    context_.publisher->Publish(std::move(next));
    const std::lock_guard lock(mutex_);
    computed_.pop_front();
    wake_.notify_all();
  }
}

Status StepLoop::WaitJournal() {
  PublishDurable();
  std::unique_lock lock(mutex_);
  const auto written = [&] { return computed_.empty() || journal_error_; };
  wake_.wait(lock, [&] { return written() || stop_; });
  if (!wake_.wait_for(lock, kStopWait, written)) {
    return Error(Code::kOverloaded, "the disk takes no records of the last steps")
        .Hint("no rows are lost: the next start computes the steps anew");
  }
  return journal_error_ ? Status(*journal_error_) : Ok();
}

Status StepLoop::CatalogStep(uint64_t catalog_version, std::string catalog_record,
                             const std::function<Status()>& install) {
  log::RecordBatchBuilder builder;
  StepRecord record = MakeRecord({.frame = context_.pipeline->state().frame,
                                  .slices = {},
                                  .records = 0,
                                  .history = std::nullopt,
                                  .history_rows = 0});
  record.catalog_version = catalog_version;
  builder.Add(std::to_string(catalog_version), catalog_record,
              log::Millis{record.clock.value / 1000});
  log::AppendRequest more;
  more.push_back({{context_.catalog_topic, 0}, builder.Finish()});
  TRY(WaitJournal());
  TRY(Journal(record, std::move(more)));
  {
    std::unique_lock lock(mutex_);
    const auto written = [&] { return journal_durable_ >= record.step || journal_error_; };
    wake_.wait(lock, [&] { return written() || stop_; });
    if (!wake_.wait_for(lock, kStopWait, written)) {
      lock.unlock();
      // No step may follow one whose outcome is open.
      const auto error = Error(Code::kUnavailable, "the disk did not take the change")
                             .Hint("whether it happened shows at the next start");
      Fail(error);
      return error;
    }
    if (journal_error_) return *journal_error_;
  }
  // From here on the change has happened: an error below ends the loop, and recovery completes it.
  const auto finish = [&]() -> Status {
    TRY(install());
    return context_.pipeline->Run(record, {});
  };
  if (Status status = finish(); !status.ok()) {
    Fail(status.error());
    return status;
  }
  dirty_ = true;
  if (!context_.pipeline->stopped().empty()) return context_.on_stopped();
  context_.publisher->Publish(context_.pipeline->Publishable());
  return Ok();
}

}  // namespace millrace::runtime
