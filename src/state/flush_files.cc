#include "state/flush_files.h"

#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "rows/key.h"
#include "state/disk_key.h"
#include "state/rocks.h"
#include "state/sort_by_bytes.h"

namespace millrace::state {
namespace {

constexpr size_t kEntriesPerThreadMin = 32 << 10;
constexpr ptrdiff_t kEntriesAhead = 8;

class FlushWriter {
 public:
  FlushWriter(const rocksdb::Options& options, std::string prefix)
      : options_(options), prefix_(std::move(prefix)) {}

  Status Put(std::string_view key, std::string_view value) {
    TRY(Open());
    ++files_.result.entries;
    return Checked(writer_->Put(ToSlice(key), ToSlice(value)));
  }
  Status Delete(std::string_view key) {
    TRY(Open());
    ++files_.result.entries;
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
    files_.result.bytes += info.file_size;
    writer_.reset();
    return Ok();
  }
  const FlushFiles& files() const { return files_; }

 private:
  Status Checked(const rocksdb::Status& status) {
    if (status.ok()) return Ok();
    return FromRocks(status, "write state file " + files_.paths.back());
  }
  Status Open() {
    if (writer_ != nullptr && writer_->FileSize() >= options_.target_file_size_base) TRY(Finish());
    if (writer_ != nullptr) return Ok();
    files_.paths.push_back(prefix_ + "-" + std::to_string(files_.paths.size()) + ".sst");
    writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options_);
    return Checked(writer_->Open(files_.paths.back()));
  }

  const rocksdb::Options& options_;
  const std::string prefix_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  FlushFiles files_;
};

// Entries that lie side by side in key order: one shard of an operator's table, or a table of the
// runtime.
struct Piece {
  TableId table;
  int shard = 0;
  std::vector<TableBuffer*> buffers;  // at most one has entries: a shard belongs to one worker
  std::vector<const Mutation*> mutations;
  size_t entries = 0;
};

std::vector<Piece> CutIntoPieces(FlushJob& job) {
  std::map<TableId, std::vector<TableBuffer*>> buffers;
  for (FlushBuffer& worker : job.workers) {
    for (auto& [id, buffer] : worker.tables) {
      if (buffer.size() == 0) continue;
      buffer.CutIntoShards();
      buffers[id].push_back(&buffer);
    }
  }
  std::vector<Piece> pieces;
  for (const auto& [id, tables] : buffers) {
    for (int shard = 0; shard < rows::kVirtualShards; ++shard) {
      Piece piece{.table = id, .shard = shard, .buffers = {}, .mutations = {}};
      for (TableBuffer* buffer : tables) {
        if (buffer->ShardSize(shard) == 0) continue;
        piece.buffers.push_back(buffer);
        piece.entries += buffer->ShardSize(shard);
      }
      if (piece.entries > 0) pieces.push_back(std::move(piece));
    }
  }
  // Groups come before what has no length.
  std::map<std::pair<TableId, bool>, Piece> runtime;
  for (const Mutation& mutation : job.mutations) {
    Piece& piece = runtime[{mutation.table, !mutation.grouped}];
    piece.table = mutation.table;
    piece.mutations.push_back(&mutation);
    ++piece.entries;
  }
  for (auto& [order, piece] : runtime) pieces.push_back(std::move(piece));
  // A table is the runtime's or an operator's, never both.
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const Piece& a, const Piece& b) { return a.table < b.table; });
  return pieces;
}

Status WriteShard(FlushWriter& writer, const Piece& piece) {
  std::string key = ShardPrefix(piece.table, static_cast<uint8_t>(piece.shard));
  for (TableBuffer* buffer : piece.buffers) {
    const auto entries = buffer->SortShard(piece.shard);
    for (const auto* entry = entries.data(); entry != entries.data() + entries.size(); ++entry) {
      // Sorted entries lie anywhere in the buffer.
      if (entries.data() + entries.size() - entry > kEntriesAhead) {
        __builtin_prefetch(entry[kEntriesAhead].data);
      }
      key.resize(kTableIdBytes + 1);
      key.append(entry->key());
      if (entry->deleted) {
        TRY(writer.Delete(key));
      } else {
        TRY(writer.Put(key, entry->value()));
      }
    }
  }
  return Ok();
}

// Of several changes of one key the last one counts.
Status WriteMutations(FlushWriter& writer, Piece& piece) {
  std::vector<const Mutation*>& all = piece.mutations;
  SortByBytes<const Mutation*>()(
      std::span(all), [](const Mutation* mutation) { return std::string_view(mutation->key); },
      // They lie in one array, in the order in which they came.
      [](const Mutation* mutation) { return reinterpret_cast<uintptr_t>(mutation); });
  for (size_t i = 0; i < all.size(); ++i) {
    if (i + 1 < all.size() && all[i + 1]->key == all[i]->key) continue;
    const std::string disk_key = all[i]->grouped ? GroupedKey(piece.table, all[i]->key)
                                                 : RuntimeKey(piece.table, all[i]->key);
    if (all[i]->value.has_value()) {
      TRY(writer.Put(disk_key, *all[i]->value));
    } else {
      TRY(writer.Delete(disk_key));
    }
  }
  return Ok();
}

Status WritePieces(FlushWriter& writer, std::span<Piece> pieces) {
  for (Piece& piece : pieces) {
    if (!piece.buffers.empty()) TRY(WriteShard(writer, piece));
    if (!piece.mutations.empty()) TRY(WriteMutations(writer, piece));
  }
  return Ok();
}

// Consecutive pieces of about equal size, one stretch a thread.
std::vector<std::span<Piece>> Deal(std::vector<Piece>& pieces, size_t threads) {
  size_t left = 0;
  for (const Piece& piece : pieces) left += piece.entries;
  threads = std::clamp<size_t>(left / kEntriesPerThreadMin, 1, threads);
  std::vector<std::span<Piece>> stretches;
  auto begin = pieces.begin();
  for (; threads > 0; --threads) {
    auto end = begin;
    size_t entries = 0;
    while (end != pieces.end() && (threads == 1 || entries < left / threads)) {
      entries += end++->entries;
    }
    stretches.emplace_back(begin, end);
    begin = end;
    left -= entries;
  }
  return stretches;
}

}  // namespace

Result<FlushFiles> WriteFlushFiles(FlushJob& job, const std::vector<Mutation>& last,
                                   const rocksdb::Options& options, const std::string& prefix,
                                   size_t threads) {
  // The drops lie in a file of their own, the first one: later files of one ingestion are newer.
  FlushWriter drops(options, prefix + "-drops");
  for (const TableId id : job.drops) TRY(drops.DeleteTable(id));
  TRY(drops.Finish());

  std::vector<Piece> pieces = CutIntoPieces(job);
  const auto stretches = Deal(pieces, threads);
  std::vector<FlushWriter> writers;
  writers.reserve(stretches.size());
  for (size_t i = 0; i < stretches.size(); ++i) {
    writers.emplace_back(options, prefix + "-" + std::to_string(i));
  }
  std::vector<Status> outcomes(stretches.size());
  const auto write = [&](size_t i) {
    outcomes[i] = WritePieces(writers[i], stretches[i]);
    const bool is_last = i + 1 == stretches.size();
    for (size_t m = 0; is_last && m < last.size() && outcomes[i].ok(); ++m) {
      outcomes[i] = writers[i].Put(RuntimeKey(last[m].table, last[m].key), *last[m].value);
    }
    if (outcomes[i].ok()) outcomes[i] = writers[i].Finish();
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < stretches.size(); ++i) others.emplace_back(write, i);
  write(0);
  for (std::thread& thread : others) thread.join();

  FlushFiles files = drops.files();
  for (size_t i = 0; i < stretches.size(); ++i) {
    TRY(Status(outcomes[i]));
    const FlushFiles& part = writers[i].files();
    files.paths.insert(files.paths.end(), part.paths.begin(), part.paths.end());
    files.result.entries += part.result.entries;
    files.result.bytes += part.result.bytes;
  }
  return files;
}

}  // namespace millrace::state
