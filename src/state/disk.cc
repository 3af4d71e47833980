#include "state/disk.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

#include "base/coding.h"
#include "base/logging.h"
#include "rows/key.h"
#include "rows/row_codec.h"
#include "state/careful_files.h"
#include "state/disk_key.h"
#include "state/flush_files.h"
#include "state/rocks.h"
#include "state/sort_by_bytes.h"

namespace millrace::state {
namespace {

constexpr uint32_t kStateFormatVersion = 3;
// Contents in the order of their rows: they are laid anew when they are loaded.
constexpr uint32_t kStateFormatVersionUngrouped = 2;
// Of contents that somebody still holds.
Error Closed() { return Error(Code::kUnavailable, "the state is closed: the node has ended"); }

constexpr std::string_view kFlushedStepKey = "flushed step";
constexpr std::string_view kEncodingsKey = "encodings";
constexpr std::string_view kEntriesKey = "entries";
constexpr std::string_view kIncoming = "incoming";
constexpr size_t kFileBytes = 64 << 20;  // after compaction
constexpr size_t kFlushThreadsMax = 4;
constexpr size_t kBlockCacheBytesMin = 4 << 20;
constexpr size_t kBlockCacheBytesMax = size_t{512} << 20;

std::string FixedBytes(int64_t value) {
  std::string out;
  PutFixed(out, value);
  return out;
}

// What must not change under data that is there.
std::string Encodings(uint32_t format_version) {
  std::string out;
  PutFixed(out, format_version);
  PutFixed(out, rows::kKeyEncodingVersion);
  PutFixed(out, rows::kRowEncodingVersion);
  PutFixed(out, static_cast<uint32_t>(rows::kVirtualShards));
  return out;
}

// The step comes first: a release that does not know the counts flushes without them, and theirs is
// then an earlier one.
std::string EncodeEntries(Step step, const EntryCounts& entries) {
  std::string out = FixedBytes(step.value);
  for (const auto& [table, count] : entries) {
    PutFixed(out, table.value);
    PutFixed(out, count);
  }
  return out;
}

Result<EntryCounts> DecodeEntries(Step step, std::string_view bytes) {
  constexpr size_t kPairBytes = sizeof(uint64_t) + sizeof(int64_t);
  EntryCounts entries;
  if (bytes.size() % kPairBytes != sizeof(int64_t))
    return Error(Code::kCorruption, "{} bytes of counts of entries", bytes.size());
  if (GetFixed<int64_t>(bytes.data()) != step.value) return entries;
  for (size_t at = sizeof(int64_t); at < bytes.size(); at += kPairBytes) {
    entries.emplace(TableId{GetFixed<uint64_t>(bytes.data() + at)},
                    GetFixed<int64_t>(bytes.data() + at + sizeof(uint64_t)));
  }
  return entries;
}

// Of all tables at the step that the job freezes.
EntryCounts EntriesOf(const FlushJob& job) {
  EntryCounts entries = job.entries;
  for (const FlushBuffer& worker : job.workers) {
    for (const auto& [id, buffer] : worker.tables) {
      const auto known = entries.find(id);
      if (known != entries.end()) known->second += buffer.entries_change();
    }
  }
  return entries;
}

// The part of a disk key up to the key of the cell or group. Its name is on disk: it changes with
// what it does.
class KeyPrefix final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "millrace.key.1"; }
  bool InDomain(const rocksdb::Slice& key) const override { return key.size() >= kKeyOffset; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    const size_t length = ReadKeyLength(key.data() + kTableIdBytes + 1);
    if (length == kNoLength) return key;
    return {key.data(), std::min(key.size(), kKeyOffset + length)};
  }
};

rocksdb::BlockBasedTableOptions TableOptions() {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 8 << 10;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.whole_key_filtering = false;
  // Index and filter in pieces, in the cache: bounded whatever the size of the state.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.cache_index_and_filter_blocks = true;
  table.pin_top_level_index_and_filter = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  // A look-up of many keys goes through pieces in turn: large ones are found less often.
  table.metadata_block_size = 32 << 10;
  return table;
}

rocksdb::Options MakeOptions(const StoreOptions& store, rocksdb::Env* env) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.env = env;
  options.prefix_extractor = std::make_shared<KeyPrefix>();
  options.table_properties_collector_factories.push_back(CarefulFiles::EntryCounter());
  // Nothing is ever written but by ingesting files: the write path stays as small as it can be.
  options.write_buffer_size = 64 << 10;
  options.arena_block_size = 4 << 10;
  options.max_write_buffer_number = 2;
  options.max_open_files = 512;
  options.max_file_opening_threads = 1;
  options.max_background_jobs = 2;
  options.max_subcompactions = 1;
  options.level0_file_num_compaction_trigger = 6;
  // Until the first flush: a start has better use for the processor.
  options.disable_auto_compactions = true;
  options.target_file_size_base = kFileBytes;
  options.max_bytes_for_level_base = 4 * kFileBytes;
  options.level_compaction_dynamic_level_bytes = true;
  // Flushed files live shortly and are written next to busy workers; what stays is compressed by
  // compaction.
  options.compression = rocksdb::kNoCompression;
  options.compression_per_level = {rocksdb::kNoCompression, rocksdb::kNoCompression,
                                   rocksdb::kLZ4Compression};
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_log_file_size = 1 << 20;
  options.keep_log_file_num = 2;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = false;

  rocksdb::BlockBasedTableOptions table = TableOptions();
  table.block_cache = rocksdb::NewLRUCache(
      std::clamp(store.memory_bytes / 8, kBlockCacheBytesMin, kBlockCacheBytesMax), 2);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// A file writer takes the compression of the last level where levels have their own, and flushed
// files are to have none. Their filters and indexes are in one piece: files of a flush overlap
// until they are compacted, so each is asked for each key, and there are few of them.
rocksdb::Options FlushOptions(rocksdb::Options options) {
  options.compression_per_level.clear();
  rocksdb::BlockBasedTableOptions table = TableOptions();
  table.index_type = rocksdb::BlockBasedTableOptions::kBinarySearch;
  table.partition_filters = false;
  table.cache_index_and_filter_blocks = false;  // a writer has no cache
  table.no_block_cache = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

// Members go in the order that they need: the iterator before what it reads through.
struct DiskCursor::Impl {
  std::shared_ptr<const Disk> disk;
  std::shared_ptr<const DiskSnapshot> snapshot;
  std::string prefix;
  std::string end;
  rocksdb::Slice end_slice;
  std::unique_ptr<rocksdb::Iterator> it;  // nullptr: the disk was closed
  uint64_t steps = 0;
};

struct Disk::Impl {
  std::string directory;
  std::shared_ptr<CarefulFiles> files;
  std::unique_ptr<rocksdb::Env> env;
  rocksdb::Options options;
  std::unique_ptr<rocksdb::DB> db;
  Step opened_step;
  EntryCounts opened_entries;
  bool read_only = false;
  bool compacts = false;
  int next_file = 0;
  std::atomic<uint64_t> cursors_made{0};
  std::atomic<uint64_t> cursor_steps{0};
  // What has to go before the RocksDB does.
  std::mutex readers_mutex;
  std::set<DiskCursor::Impl*> cursors;
  std::set<const DiskSnapshot*> snapshots;

  Status Load();
  Status ClearIncoming() const;
  rocksdb::Status Get(std::string_view name, std::string& value) const {
    return db->Get({}, db->DefaultColumnFamily(), RuntimeKey(kMetaTable, name), &value);
  }
};

Disk::Disk(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Disk::~Disk() = default;

Result<std::unique_ptr<Disk>> Disk::Open(const StoreOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->directory = options.directory;
  impl->read_only = options.read_only;
  rocksdb::Env* base = options.env != nullptr ? options.env : rocksdb::Env::Default();
  impl->files = std::make_shared<CarefulFiles>(base->GetFileSystem());
  impl->env = rocksdb::NewCompositeEnv(impl->files);
  impl->options = MakeOptions(options, impl->env.get());
  if (options.read_only) {
    rocksdb::DB* opened = nullptr;
    impl->options.create_if_missing = false;
    const auto status = rocksdb::DB::OpenForReadOnly(impl->options, options.directory, &opened);
    if (!status.ok()) return FromRocks(status, "read state in " + options.directory);
    impl->db.reset(opened);
    TRY(impl->Load());
    return std::make_unique<Disk>(std::move(impl));
  }
  std::error_code made;
  std::filesystem::create_directories(options.directory, made);
  if (made) {
    return Error(Code::kIo, "make directory {}: {}", options.directory, made.message());
  }
  rocksdb::DB* db = nullptr;
  if (const auto status = rocksdb::DB::Open(impl->options, options.directory, &db); !status.ok()) {
    return FromRocks(status, "open state in " + options.directory);
  }
  impl->db.reset(db);
  TRY(impl->Load());
  TRY(impl->ClearIncoming());
  impl->options.env->LowerThreadPoolCPUPriority(rocksdb::Env::LOW);
  return std::make_unique<Disk>(std::move(impl));
}

Status Disk::Impl::Load() {
  std::string encodings;
  auto status = Get(kEncodingsKey, encodings);
  if (status.IsNotFound()) return Ok();
  if (!status.ok()) return FromRocks(status, "read state in " + directory);
  if (encodings != Encodings(kStateFormatVersion) &&
      encodings != Encodings(kStateFormatVersionUngrouped)) {
    return Error(Code::kConflict, "the state in {} was written with other encodings", directory)
        .Hint("open it with the release that wrote it");
  }
  std::string step;
  status = Get(kFlushedStepKey, step);
  if (!status.ok() || step.size() != sizeof(int64_t)) {
    return Error(Code::kCorruption, "read the flushed step in {}: {}", directory,
                 status.ToString());
  }
  opened_step = Step{GetFixed<int64_t>(step.data())};
  std::string entries;
  status = Get(kEntriesKey, entries);
  if (status.IsNotFound()) return Ok();
  if (!status.ok()) return FromRocks(status, "read the counts of entries in " + directory);
  TRY(opened_entries, DecodeEntries(opened_step, entries));
  return Ok();
}

Status Disk::Impl::ClearIncoming() const {
  // Files of a flush that a crash cut off.
  rocksdb::Env* env = options.env;
  const std::string incoming = directory + "/" + std::string(kIncoming);
  auto status = env->CreateDirIfMissing(incoming);
  std::vector<std::string> names;
  if (status.ok()) status = env->GetChildren(incoming, &names);
  for (const std::string& name : names) {
    if (status.ok() && name.ends_with(".sst")) status = env->DeleteFile(incoming + "/" + name);
  }
  if (!status.ok()) return FromRocks(status, "clear " + incoming);
  return Ok();
}

Step Disk::opened_step() const { return impl_->opened_step; }
const EntryCounts& Disk::opened_entries() const { return impl_->opened_entries; }
std::string Disk::cold_directory() const { return impl_->read_only ? "" : impl_->directory; }

Result<FlushResult> Disk::Ingest(FlushJob& job) {
  const std::vector<Mutation> last = {
      {kMetaTable, std::string(kEncodingsKey), Encodings(kStateFormatVersion)},
      {kMetaTable, std::string(kEntriesKey), EncodeEntries(job.step, EntriesOf(job))},
      {kMetaTable, std::string(kFlushedStepKey), FixedBytes(job.step.value)}};
  TRY(const FlushFiles files,
      WriteFlushFiles(
          job, last, FlushOptions(impl_->options),
          impl_->directory + "/" + std::string(kIncoming) + "/" +
              std::to_string(impl_->next_file++),
          std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kFlushThreadsMax)));
  rocksdb::IngestExternalFileOptions ingest;
  ingest.move_files = true;
  ingest.write_global_seqno = false;
  // Readers that hold an iterator or a snapshot keep their version.
  ingest.snapshot_consistency = true;
  impl_->files->BeginIngestion();
  const auto status = impl_->db->IngestExternalFile(files.paths, ingest);
  if (!status.ok()) return FromRocks(status, fmt::format("flush step {}", job.step.value));
  impl_->files->EndIngestion();
  if (!std::exchange(impl_->compacts, true)) {
    const auto enabled = impl_->db->EnableAutoCompaction({impl_->db->DefaultColumnFamily()});
    if (!enabled.ok()) return FromRocks(enabled, "let state be compacted");
  }
  return files.result;
}

Status Disk::MultiGet(
    std::span<const std::string_view> keys,
    const std::function<Status(size_t at, std::optional<std::string_view> value)>& visit,
    const DiskSnapshot* snapshot) const {
  if (impl_->db == nullptr) return Closed();
  constexpr size_t kBatch = 256;
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  std::vector<uint32_t> order(keys.size());
  std::iota(order.begin(), order.end(), uint32_t{0});
  SortByBytes<uint32_t>()(
      std::span(order), [&](uint32_t at) { return keys[at]; }, [](uint32_t at) { return at; });
  std::vector<rocksdb::Slice> slices(kBatch);
  std::vector<rocksdb::Status> statuses(kBatch);
  std::vector<rocksdb::PinnableSlice> found(kBatch);
  for (size_t begin = 0; begin < keys.size(); begin += kBatch) {
    const size_t count = std::min(kBatch, keys.size() - begin);
    for (size_t i = 0; i < count; ++i) slices[i] = ToSlice(keys[order[begin + i]]);
    impl_->db->MultiGet(options, impl_->db->DefaultColumnFamily(), count, slices.data(),
                        found.data(), statuses.data(), true);
    for (size_t i = 0; i < count; ++i) {
      if (!statuses[i].ok() && !statuses[i].IsNotFound())
        return FromRocks(statuses[i], "read state");
      TRY(visit(order[begin + i],
                statuses[i].ok() ? std::optional(FromSlice(found[i])) : std::nullopt));
      found[i].Reset();
    }
  }
  return Ok();
}

Status Disk::ReadGroups(const std::vector<std::string>& prefixes,
                        const std::function<Status(size_t group, std::string_view row,
                                                   std::string_view value)>& visit) const {
  rocksdb::ReadOptions options;
  options.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(options));
  for (size_t i = 0; i < prefixes.size(); ++i) {
    for (it->Seek(prefixes[i]); it->Valid() && it->key().starts_with(prefixes[i]); it->Next()) {
      TRY(visit(i, FromSlice(it->key()).substr(prefixes[i].size()), FromSlice(it->value())));
    }
    if (!it->status().ok()) return FromRocks(it->status(), "read state");
  }
  return Ok();
}

Status Disk::Scan(std::string_view prefix, const Visit& visit) const {
  if (impl_->db == nullptr) return Closed();
  const std::string end = PrefixEnd(std::string(prefix));
  const rocksdb::Slice end_slice(end);
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  options.fill_cache = false;
  if (!end.empty()) options.iterate_upper_bound = &end_slice;
  const std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(options));
  for (it->Seek(ToSlice(prefix)); it->Valid(); it->Next()) {
    TRY(visit(FromSlice(it->key()), FromSlice(it->value())));
  }
  if (!it->status().ok()) return FromRocks(it->status(), "read state");
  return Ok();
}

DiskCursor::DiskCursor() : impl_(std::make_unique<Impl>()) {}
DiskCursor::~DiskCursor() {
  Disk::Impl& disk = *impl_->disk->impl_;
  disk.cursor_steps += impl_->steps;
  const std::lock_guard lock(disk.readers_mutex);
  disk.cursors.erase(impl_.get());
  impl_->it.reset();
}

void DiskCursor::Seek(std::string_view from) {
  ++impl_->steps;
  if (impl_->it == nullptr) return;
  std::string key = impl_->prefix;
  key.append(from);
  impl_->it->Seek(key);
}
bool DiskCursor::Valid() const { return impl_->it != nullptr && impl_->it->Valid(); }
void DiskCursor::Next() {
  ++impl_->steps;
  impl_->it->Next();
}
std::string_view DiskCursor::key() const {
  return FromSlice(impl_->it->key()).substr(impl_->prefix.size());
}
std::string_view DiskCursor::value() const { return FromSlice(impl_->it->value()); }
Status DiskCursor::status() const {
  if (impl_->it == nullptr) return Closed();
  if (impl_->it->status().ok()) return Ok();
  return FromRocks(impl_->it->status(), "read state");
}

std::unique_ptr<DiskCursor> Disk::Cursor(std::string prefix, bool one_group,
                                         std::shared_ptr<const DiskSnapshot> snapshot) const {
  std::unique_ptr<DiskCursor> cursor(new DiskCursor);
  DiskCursor::Impl& impl = *cursor->impl_;
  ++impl_->cursors_made;
  impl.disk = shared_from_this();
  impl.snapshot = std::move(snapshot);
  impl.prefix = std::move(prefix);
  impl.end = PrefixEnd(impl.prefix);
  impl.end_slice = impl.end;
  rocksdb::ReadOptions options;
  options.snapshot = impl.snapshot.get();
  options.iterate_upper_bound = &impl.end_slice;
  options.prefix_same_as_start = one_group;
  options.total_order_seek = !one_group;
  options.fill_cache = one_group;
  const std::lock_guard lock(impl_->readers_mutex);
  impl_->cursors.insert(&impl);
  if (impl_->db != nullptr) impl.it.reset(impl_->db->NewIterator(options));
  return cursor;
}

std::shared_ptr<const DiskSnapshot> Disk::TakeSnapshot() const {
  const std::lock_guard lock(impl_->readers_mutex);
  if (impl_->db == nullptr) return nullptr;
  const DiskSnapshot* taken = impl_->db->GetSnapshot();
  impl_->snapshots.insert(taken);
  return {taken, [disk = shared_from_this()](const DiskSnapshot* snapshot) {
            const std::lock_guard release_lock(disk->impl_->readers_mutex);
            if (disk->impl_->snapshots.erase(snapshot) > 0)
              disk->impl_->db->ReleaseSnapshot(snapshot);
          }};
}

void Disk::Close() {
  const std::lock_guard lock(impl_->readers_mutex);
  for (DiskCursor::Impl* cursor : impl_->cursors) cursor->it.reset();
  for (const DiskSnapshot* snapshot : std::exchange(impl_->snapshots, {}))
    impl_->db->ReleaseSnapshot(snapshot);
  impl_->db.reset();
}

uint64_t Disk::cursors_made() const { return impl_->cursors_made; }
uint64_t Disk::cursor_steps() const { return impl_->cursor_steps; }

Result<bool> Disk::HasTable(TableId table) const {
  const std::string begin = ShardPrefix(table, 0).substr(0, kTableIdBytes);
  const std::string end = PrefixEnd(begin);
  const rocksdb::Slice end_slice(end);
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  options.iterate_upper_bound = &end_slice;
  const std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(options));
  it->Seek(begin);
  if (!it->status().ok()) return FromRocks(it->status(), "read state");
  return it->Valid();
}

Status Disk::CopyTo(const std::string& directory) const {
  rocksdb::Checkpoint* made = nullptr;
  if (const auto status = rocksdb::Checkpoint::Create(impl_->db.get(), &made); !status.ok())
    return FromRocks(status, "copy state");
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  const auto status = checkpoint->CreateCheckpoint(directory);
  return status.ok() ? Ok() : Status(FromRocks(status, "copy state to " + directory));
}

Result<size_t> Disk::ApproximateBytes(TableId table) const {
  if (impl_->db == nullptr) return Closed();
  const std::string from = ShardPrefix(table, 0).substr(0, kTableIdBytes);
  const std::string to = PrefixEnd(from);
  const rocksdb::Range range(from, to);
  uint64_t bytes = 0;
  const auto status =
      impl_->db->GetApproximateSizes({}, impl_->db->DefaultColumnFamily(), &range, 1, &bytes);
  if (!status.ok()) return FromRocks(status, "estimate the size of state");
  return bytes;
}

}  // namespace millrace::state
