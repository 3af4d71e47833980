#include "state/store.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "state/disk.h"
#include "state/disk_key.h"
#include "state/worker.h"

namespace millrace::state {

// The flush thread waits for the shares of all workers, then writes them. `mutex_` guards the
// handing over, and what a flush leaves behind.
struct Store::Impl final : FlushDesk {
  explicit Impl(std::unique_ptr<Disk> opened)
      : disk(std::move(opened)), flushed_step(disk->opened_step().value) {}
  ~Impl() override {
    Stop();
    disk->Close();
  }

  void Start() {
    thread = std::thread([this] { Run(); });
  }
  void Stop();
  void Run();
  void Write(FlushJob job);

  void HandOver(FlushBuffer buffer) override;
  uint64_t ingested() const override { return ingested_count.load(std::memory_order_acquire); }
  Status health() const override;
  bool IsDropped(TableId id) const override;
  void NoteEmpty(TableId id) override;

  const std::shared_ptr<Disk> disk;
  std::vector<std::unique_ptr<Worker>> workers;
  std::thread thread;

  mutable std::mutex mutex;
  std::condition_variable work;  // for the flush thread
  std::condition_variable done;  // for FinishFlush
  bool stopping = false;
  FlushJob job;             // being gathered
  size_t shares_left = 0;   // of the job
  std::set<TableId> drops;  // not part of a flush yet
  std::set<TableId> drops_in_flight;
  // Of the tables as they were when they were opened, and of those on disk that were not yet.
  EntryCounts opened_entries;
  Status error;
  Stats totals;

  std::atomic<bool> failed{false};
  std::atomic<bool> flush_under_way{false};
  std::atomic<uint64_t> ingested_count{0};
  std::atomic<int64_t> flushed_step;
};

void Store::Impl::Stop() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  work.notify_all();
  if (thread.joinable()) thread.join();
}

void Store::Impl::Run() {
  std::unique_lock lock(mutex);
  while (true) {
    work.wait(lock, [&] {
      return stopping || (flush_under_way && shares_left == 0 && job.step.value != 0);
    });
    if (stopping) return;
    FlushJob next = std::exchange(job, FlushJob{});
    lock.unlock();
    Write(std::move(next));
    lock.lock();
    flush_under_way = false;
    done.notify_all();
  }
}

void Store::Impl::Write(FlushJob next) {
  const auto start = Tick();
  Result<FlushResult> result = disk->Ingest(next);
  const std::lock_guard lock(mutex);
  if (!result.ok()) {
    error = result.error();
    failed = true;
    LOG_ERROR("flush of state failed", "step={} error={}", next.step.value,
              result.error().ToString());
    return;
  }
  totals.flushed_entries += result->entries;
  totals.flushed_bytes += result->bytes;
  totals.last_flush_seconds = SecondsSince(start);
  drops_in_flight.clear();
  flushed_step = next.step.value;
  ingested_count.fetch_add(1, std::memory_order_release);
}

void Store::Impl::HandOver(FlushBuffer buffer) {
  const std::lock_guard lock(mutex);
  job.workers.push_back(std::move(buffer));
  if (--shares_left == 0) work.notify_all();
}

Status Store::Impl::health() const {
  if (!failed.load(std::memory_order_acquire)) return Ok();
  const std::lock_guard lock(mutex);
  return error;
}

bool Store::Impl::IsDropped(TableId id) const {
  const std::lock_guard lock(mutex);
  return drops.contains(id) || drops_in_flight.contains(id);
}

void Store::Impl::NoteEmpty(TableId id) {
  const std::lock_guard lock(mutex);
  opened_entries.emplace(id, 0);
}

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  CHECK(options.workers > 0);
  TRY(auto disk, Disk::Open(options));
  auto impl = std::make_unique<Impl>(std::move(disk));
  for (int i = 0; i < options.workers; ++i) {
    TRY(auto arena, Arena::Create());
    impl->workers.push_back(std::make_unique<Worker>(
        i, options.workers, options.memory_bytes / static_cast<size_t>(options.workers),
        *impl->disk, std::move(arena), *impl));
  }
  impl->opened_entries = impl->disk->opened_entries();
  impl->Start();
  return std::make_unique<Store>(std::move(impl));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Step Store::flushed_step() const { return Step{impl_->flushed_step}; }
bool Store::flushing() const { return impl_->flush_under_way; }
Status Store::health() const { return impl_->health(); }

WorkerState& Store::worker(int index) { return *impl_->workers.at(static_cast<size_t>(index)); }

void Store::BeginFlush(Step step, std::vector<Mutation> mutations) {
  CHECK(!flushing()) << "a flush is under way";
  CHECK(step >= flushed_step() && step.value > 0) << "flush of step " << step.value;
  if (impl_->failed) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->drops_in_flight = std::exchange(impl_->drops, {});
    impl_->job = FlushJob{.step = step,
                          .workers = {},
                          .mutations = std::move(mutations),
                          .drops = impl_->drops_in_flight,
                          .entries = impl_->opened_entries};
    impl_->shares_left = impl_->workers.size();
    impl_->flush_under_way = true;
  }
  for (const auto& worker : impl_->workers) worker->BeginFlush();
}

Status Store::FinishFlush() {
  for (const auto& worker : impl_->workers) worker->FinishShare();
  {
    std::unique_lock lock(impl_->mutex);
    impl_->done.wait(lock, [&] { return !impl_->flush_under_way; });
  }
  for (const auto& worker : impl_->workers) worker->NoteIngested();
  return health();
}

Status Store::Scan(TableId table, std::string_view prefix,
                   const std::function<Status(std::string_view, std::string_view)>& visit) const {
  return impl_->disk->Scan(RuntimeKey(table, prefix),
                           [&](std::string_view key, std::string_view value) {
                             return visit(key.substr(kKeyOffset), value);
                           });
}

Result<std::optional<std::string>> Store::Get(TableId table, std::string_view key) const {
  const std::string disk_key = RuntimeKey(table, key);
  const std::string_view keys[] = {disk_key};
  std::optional<std::string> out;
  TRY(impl_->disk->MultiGet(keys, [&](size_t, std::optional<std::string_view> value) {
    if (value.has_value()) out = std::string(*value);
    return Ok();
  }));
  return out;
}

std::shared_ptr<const Disk> Store::disk() const { return impl_->disk; }

void Store::Drop(TableId table) {
  CHECK(table != kMetaTable);
  for (const auto& worker : impl_->workers) worker->Drop(table);
  const std::lock_guard lock(impl_->mutex);
  impl_->drops.insert(table);
  impl_->opened_entries.erase(table);
}

bool Store::wants_flush() const {
  if (flushing()) return false;
  for (const auto& worker : impl_->workers) {
    if (worker->published().wants_flush) return true;
  }
  return false;
}

TableStats& TableStats::operator+=(const TableStats& other) {
  entries = entries && other.entries ? std::optional(*entries + *other.entries) : std::nullopt;
  entries_in_memory += other.entries_in_memory;
  memory_bytes += other.memory_bytes;
  look_ups += other.look_ups;
  misses += other.misses;
  return *this;
}

std::optional<TableStats> Store::table_stats(TableId id) const {
  std::optional<TableStats> out;
  for (const auto& worker : impl_->workers) {
    const Table* table = worker->Find(id);
    if (table == nullptr) continue;
    if (!out) out.emplace();
    *out += table->stats();
  }
  if (!out) return out;
  const std::lock_guard lock(impl_->mutex);
  const auto opened = impl_->opened_entries.find(id);
  if (opened == impl_->opened_entries.end()) {
    out->entries.reset();
  } else {
    *out->entries += opened->second;
  }
  return out;
}

Status Store::CopyTo(const std::string& directory) const {
  TRY(health());
  CHECK(!flushing()) << "a flush is under way";
  return impl_->disk->CopyTo(directory);
}

Result<size_t> Store::DiskBytes(TableId table) const {
  return impl_->disk->ApproximateBytes(table);
}

Store::Stats Store::stats() const {
  Stats out;
  {
    const std::lock_guard lock(impl_->mutex);
    out = impl_->totals;
  }
  for (const auto& worker : impl_->workers) {
    out.memory_bytes += worker->published().memory_bytes;
    out.misses += worker->published().misses;
    out.cold_hits += worker->published().cold_hits;
    out.evicted_entries += worker->published().evicted;
  }
  return out;
}

}  // namespace millrace::state
