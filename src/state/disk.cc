#include "state/disk.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <filesystem>

#include "base/coding.h"
#include "base/logging.h"
#include "rows/key.h"
#include "rows/row_codec.h"
#include "state/careful_files.h"
#include "state/disk_key.h"

namespace millrace::state {
namespace {

constexpr uint32_t kStateFormatVersion = 2;
constexpr std::string_view kFlushedStepKey = "flushed step";
constexpr std::string_view kEncodingsKey = "encodings";
constexpr std::string_view kIncoming = "incoming";
constexpr size_t kFileBytes = 64 << 20;
constexpr size_t kBlockCacheBytesMin = 4 << 20;
constexpr size_t kBlockCacheBytesMax = size_t{512} << 20;

// What must not change under data that is there.
std::string Encodings() {
  std::string out;
  PutFixed(out, kStateFormatVersion);
  PutFixed(out, rows::kKeyEncodingVersion);
  PutFixed(out, rows::kRowEncodingVersion);
  PutFixed(out, static_cast<uint32_t>(rows::kVirtualShards));
  return out;
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

Error FromRocks(const rocksdb::Status& status, std::string_view action) {
  const Code code = status.IsCorruption()                      ? Code::kCorruption
                    : status.IsIOError() || status.IsNoSpace() ? Code::kIo
                                                               : Code::kInternal;
  Error error(code, "{}: {}", action, status.ToString());
  if (!status.IsNoSpace()) return error;
  return std::move(error).Hint("free space on the disk, then start the node again");
}

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view FromSlice(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

rocksdb::Options MakeOptions(const StoreOptions& store, rocksdb::Env* env) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.env = env;
  options.prefix_extractor = std::make_shared<KeyPrefix>();
  // Nothing is ever written but by ingesting files: the write path stays as small as it can be.
  options.write_buffer_size = 64 << 10;
  options.arena_block_size = 4 << 10;
  options.max_write_buffer_number = 2;
  options.max_open_files = 512;
  options.max_file_opening_threads = 1;
  options.max_background_jobs = 2;
  options.max_subcompactions = 1;
  options.level0_file_num_compaction_trigger = 6;
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

  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(
      std::clamp(store.memory_bytes / 8, kBlockCacheBytesMin, kBlockCacheBytesMax), 2);
  table.block_size = 8 << 10;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.whole_key_filtering = false;
  // Index and filter in pieces, in the cache: bounded whatever the size of the state.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.cache_index_and_filter_blocks = true;
  table.pin_top_level_index_and_filter = true;
  table.metadata_block_size = 4 << 10;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// A file writer takes the compression of the last level where levels have their own, and flushed
// files are to have none.
rocksdb::Options FlushOptions(rocksdb::Options options) {
  options.compression_per_level.clear();
  return options;
}

}  // namespace

struct Disk::Impl {
  std::string directory;
  std::shared_ptr<CarefulFiles> files;
  std::unique_ptr<rocksdb::Env> env;
  rocksdb::Options options;
  std::unique_ptr<rocksdb::DB> db;
  Step opened_step;
  int next_file = 0;

  Status Load();
  Status ClearIncoming() const;
  rocksdb::Status Get(std::string_view name, std::string& value) const {
    return db->Get({}, db->DefaultColumnFamily(), RuntimeKey(kMetaTable, name), &value);
  }
};

// Writes the sorted files of one flush.
class FlushWriter {
 public:
  FlushWriter(rocksdb::Options options, std::string prefix)
      : options_(std::move(options)), prefix_(std::move(prefix)) {}

  Status Put(std::string_view key, std::string_view value) {
    TRY(Open());
    ++result_.entries;
    return Checked(writer_->Put(ToSlice(key), ToSlice(value)));
  }
  Status Delete(std::string_view key) {
    TRY(Open());
    ++result_.entries;
    return Checked(writer_->Delete(ToSlice(key)));
  }
  Status DeleteTable(TableId table) {
    TRY(Open());
    const std::string begin = ShardPrefix(table, 0).substr(0, kTableIdBytes);
    return Checked(writer_->DeleteRange(begin, PrefixEnd(begin)));
  }
  Status Finish() {
    if (writer_ == nullptr) return Ok();
    rocksdb::ExternalSstFileInfo info;
    TRY(Checked(writer_->Finish(&info)));
    result_.bytes += info.file_size;
    writer_.reset();
    return Ok();
  }
  const std::vector<std::string>& files() const { return files_; }
  const FlushResult& result() const { return result_; }

 private:
  Status Checked(const rocksdb::Status& status) {
    if (status.ok()) return Ok();
    return FromRocks(status, "write state file " + files_.back());
  }
  Status Open() {
    if (writer_ != nullptr && writer_->FileSize() >= kFileBytes) TRY(Finish());
    if (writer_ != nullptr) return Ok();
    files_.push_back(prefix_ + "-" + std::to_string(files_.size()) + ".sst");
    writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options_);
    return Checked(writer_->Open(files_.back()));
  }

  const rocksdb::Options options_;
  const std::string prefix_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::vector<std::string> files_;
  FlushResult result_;
};

Disk::Disk(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Disk::~Disk() = default;

Result<std::unique_ptr<Disk>> Disk::Open(const StoreOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->directory = options.directory;
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
  if (encodings != Encodings()) {
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

namespace {

constexpr ptrdiff_t kEntriesAhead = 8;

Status WriteTable(FlushWriter& writer, TableId id, std::vector<TableBuffer*>& buffers) {
  for (TableBuffer* buffer : buffers) buffer->Sort();
  std::string key;
  for (int shard = 0; shard < rows::kVirtualShards; ++shard) {
    key = ShardPrefix(id, static_cast<uint8_t>(shard));
    for (const TableBuffer* buffer : buffers) {
      const auto [begin, end] = buffer->Shard(shard);
      for (const auto* entry = begin; entry != end; ++entry) {
        // Sorted entries lie anywhere in the buffer.
        if (end - entry > kEntriesAhead) __builtin_prefetch(entry[kEntriesAhead].data);
        key.resize(kTableIdBytes + 1);
        key.append(entry->key());
        if (entry->deleted) {
          TRY(writer.Delete(key));
        } else {
          TRY(writer.Put(key, entry->value()));
        }
      }
    }
  }
  return Ok();
}

Status WriteMutations(FlushWriter& writer, const std::map<std::string, const Mutation*>& last) {
  for (const auto& [key, mutation] : last) {
    const std::string disk_key = RuntimeKey(mutation->table, key);
    if (mutation->value.has_value()) {
      TRY(writer.Put(disk_key, *mutation->value));
    } else {
      TRY(writer.Delete(disk_key));
    }
  }
  return Ok();
}

Status WriteFiles(FlushWriter& writer, FlushJob& job) {
  // The drops lie in a file of their own, the first one: later files of one ingestion are newer.
  for (const TableId id : job.drops) TRY(writer.DeleteTable(id));
  TRY(writer.Finish());
  std::map<TableId, std::vector<TableBuffer*>> tables;
  for (FlushBuffer& worker : job.workers) {
    for (auto& [id, buffer] : worker.tables) {
      if (buffer.size() > 0) tables[id].push_back(&buffer);
    }
  }
  std::map<TableId, std::map<std::string, const Mutation*>> mutations;
  for (const Mutation& mutation : job.mutations) {
    mutations[mutation.table][mutation.key] = &mutation;
    tables.try_emplace(mutation.table);
  }
  for (auto& [id, buffers] : tables) {
    TRY(WriteTable(writer, id, buffers));
    if (const auto found = mutations.find(id); found != mutations.end()) {
      TRY(WriteMutations(writer, found->second));
    }
  }
  std::string step;
  PutFixed(step, job.step.value);
  TRY(writer.Put(RuntimeKey(kMetaTable, kEncodingsKey), Encodings()));
  TRY(writer.Put(RuntimeKey(kMetaTable, kFlushedStepKey), step));
  return writer.Finish();
}

}  // namespace

Result<FlushResult> Disk::Ingest(FlushJob& job) {
  FlushWriter writer(FlushOptions(impl_->options), impl_->directory + "/" + std::string(kIncoming) +
                                                       "/" + std::to_string(impl_->next_file++));
  TRY(WriteFiles(writer, job));
  rocksdb::IngestExternalFileOptions ingest;
  ingest.move_files = true;
  ingest.write_global_seqno = false;
  // Readers that hold an iterator keep their version; no snapshot outlives a call.
  ingest.snapshot_consistency = true;
  impl_->files->BeginIngestion();
  const auto status = impl_->db->IngestExternalFile(writer.files(), ingest);
  if (!status.ok()) return FromRocks(status, fmt::format("flush step {}", job.step.value));
  impl_->files->EndIngestion();
  return writer.result();
}

Status Disk::MultiGet(const std::vector<std::string>& keys,
                      std::vector<std::optional<std::string>>& values) const {
  constexpr size_t kBatch = 256;
  std::vector<size_t> order(keys.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  values.assign(keys.size(), std::nullopt);
  std::vector<rocksdb::Slice> slices(kBatch);
  std::vector<rocksdb::Status> statuses(kBatch);
  for (size_t begin = 0; begin < keys.size(); begin += kBatch) {
    const size_t count = std::min(kBatch, keys.size() - begin);
    std::vector<rocksdb::PinnableSlice> found(count);
    for (size_t i = 0; i < count; ++i) slices[i] = ToSlice(keys[order[begin + i]]);
    impl_->db->MultiGet({}, impl_->db->DefaultColumnFamily(), count, slices.data(), found.data(),
                        statuses.data(), true);
    for (size_t i = 0; i < count; ++i) {
      if (statuses[i].IsNotFound()) continue;
      if (!statuses[i].ok()) return FromRocks(statuses[i], "read state");
      values[order[begin + i]] = found[i].ToString();
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

}  // namespace millrace::state
