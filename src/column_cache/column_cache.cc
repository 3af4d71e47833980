#include "column_cache/column_cache.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/logging.h"
#include "rows/chunk_bytes.h"

namespace millrace::column_cache {

namespace {

// Of DuckDB's row groups, which are written as soon as they are full.
constexpr int64_t kChunkRows = 4 * 122'880;
// Of rows in memory: a chunk of wide rows ends earlier.
constexpr uint64_t kChunkBytes = 256 << 20;
// Read at once: after so many the thread looks whether it should stop or wait.
constexpr int64_t kSliceRecordsMin = 256;
constexpr int64_t kSliceRecordsMax = 32 << 10;
constexpr uint64_t kSliceBytes = 16 << 20;
// Then others have their turn, and what is in memory only is written.
constexpr int kChunksATurn = 8;
constexpr int kNiceness = 19;
constexpr std::chrono::milliseconds kBusyWait{20};
constexpr std::chrono::seconds kTrimInterval{10};
// How long it is remembered that a stream was read, if it has no copy.
constexpr std::chrono::hours kReadMemory{1};

// What has to be free of the disk, of what the log refuses appends at: the cache ends first.
constexpr double kFreeToGrow = 1.5;
constexpr double kFreeToStay = 1.25;

enum class Room { kEnough, kNoMore, kTooLittle };

Room RoomOf(const Options& options) {
  Files& files = options.files == nullptr ? Files::System() : *options.files;
  const auto space = files.Space(options.directory);
  if (!space.ok()) return Room::kNoMore;
  const auto free = static_cast<double>(space->free_bytes);
  const auto reserve =
      static_cast<double>(options.disk_reserve_bytes.value_or(DefaultDiskReserve(*space)));
  if (free >= reserve * kFreeToGrow) return Room::kEnough;
  return free >= reserve * kFreeToStay ? Room::kNoMore : Room::kTooLittle;
}

}  // namespace

struct ColumnCache::Chunk {
  std::unique_ptr<sql::ColumnTables::Append> append;
  CopiedStream copied;  // as it is when the chunk is in
  int64_t rows = 0;
  int64_t records = 0;
  uint64_t bytes = 0;    // of the rows, before they are compressed
  bool damaged = false;  // records were lost: the chunk cannot be used, `copied` says where
  bool full() const { return rows >= kChunkRows || bytes >= kChunkBytes; }
  // Records to read next.
  int64_t slice() const {
    if (records == 0) return kSliceRecordsMin;
    const uint64_t of_each = bytes / static_cast<uint64_t>(records) + 1;
    return std::clamp(static_cast<int64_t>(kSliceBytes / of_each), kSliceRecordsMin,
                      kSliceRecordsMax);
  }
};

ColumnCache::ColumnCache(sql::ColumnTables& tables, StreamSource& source, Options options)
    : tables_(tables), source_(source), options_(std::move(options)), thread_([this] { Run(); }) {}

ColumnCache::~ColumnCache() { Stop(); }

void ColumnCache::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool ColumnCache::Has(const std::string& identity) const {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(identity);
  return found != streams_.end() && found->second.chunks_end > 0;
}

std::shared_ptr<const sql::ColumnCopy> ColumnCache::Find(const Stream& stream) {
  if (tables_.failed()) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream.identity);
  if (found == streams_.end() || failed_) return nullptr;
  found->second.last_read = std::chrono::steady_clock::now();
  auto copy = CopyFor(found->second, stream);
  if (copy != nullptr) ++scans_;
  return copy;
}

void ColumnCache::NoteRead(const std::string& identity, const std::string& name, int64_t records) {
  const std::lock_guard lock(mutex_);
  if (failed_) return;
  CopiedStream& stream = streams_[identity];
  stream.identity = identity;
  stream.name = name;
  stream.last_read = std::chrono::steady_clock::now();
  stream.wanted += records;
  if (stream.wanted >= options_.records_min) changed_.notify_all();
}

ColumnCache::Stats ColumnCache::stats() const {
  Stats stats;
  stats.bytes = tables_.bytes();
  stats.bytes_max = options_.bytes_max;
  const std::lock_guard lock(mutex_);
  for (const auto& [identity, stream] : streams_) {
    if (stream.chunks_end == 0 && stream.state == State::kWaiting) continue;
    stats.streams.push_back(stream);
    stats.streams.back().pin.reset();
  }
  stats.scans = scans_;
  stats.failed = failed_;
  return stats;
}

void ColumnCache::Run() {
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNiceness);
  Lock lock(mutex_);
  while (!stop_) {
    changed_.wait_for(lock, options_.look_interval);
    if (stop_ || failed_ || (streams_.empty() && forgotten_.empty())) continue;
    lock.unlock();
    Look();
    lock.lock();
  }
}

void ColumnCache::Look() {
  if (const auto error = tables_.failed()) return GiveUp(*error);
  if (const Status tidy = Tidy(); !tidy.ok()) return tables_.Fail(tidy.error());
  std::vector<std::string> wanted;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [identity, stream] : streams_) {
      if (stream.wanted >= options_.records_min) wanted.push_back(identity);
    }
  }
  for (const std::string& identity : wanted) {
    if (const Status filled = Fill(identity); !filled.ok()) return tables_.Fail(filled.error());
    if (Stopping()) return;
  }
  if (const Status dropped = DropForgotten(); !dropped.ok()) tables_.Fail(dropped.error());
}

Status ColumnCache::Tidy() {
  const bool too_little = RoomOf(options_) == Room::kTooLittle;
  std::vector<CopiedStream> all;
  {
    const std::lock_guard lock(mutex_);
    const auto long_ago = std::chrono::steady_clock::now() - kReadMemory;
    std::erase_if(streams_, [&](const auto& item) {
      return item.second.table.empty() && item.second.last_read < long_ago;
    });
    for (const auto& [identity, stream] : streams_) {
      if (!stream.table.empty()) all.push_back(stream);
    }
  }
  for (const CopiedStream& copied : all) {
    const std::optional<Stream> stream = source_.Find(copied.identity);
    if (stream && copied.layout == stream->layout && !too_little) {
      TRY(Trim(copied, *stream));
      continue;
    }
    const std::lock_guard lock(mutex_);
    Forget(streams_[copied.identity]);
    if (!stream) streams_.erase(copied.identity);
  }
  return Ok();
}

Status ColumnCache::Trim(const CopiedStream& copied, const Stream& stream) {
  const auto now = std::chrono::steady_clock::now();
  if (copied.chunks_end == 0 || now - copied.last_trim < kTrimInterval) return Ok();
  std::vector<CopiedStream::Part> parts = copied.parts;
  for (CopiedStream::Part& part : parts) {
    const Stream::Span* span = stream.Find(part.partition);
    if (span == nullptr || span->start <= part.first) continue;
    TRY(tables_.Trim(copied.table, stream.partition, part.partition, span->start));
    part.first = span->start;
    part.end = std::max(part.end, part.first);
  }
  const std::lock_guard lock(mutex_);
  CopiedStream& kept = streams_[copied.identity];
  kept.parts = std::move(parts);
  kept.last_trim = now;
  return Ok();
}

Status ColumnCache::Fill(const std::string& identity) {
  SetState(identity, State::kFilling);
  State after = State::kWaiting;
  int chunks = 0;
  while (WaitWhileBusy()) {
    if (chunks == kChunksATurn) return tables_.Checkpoint();  // it is still wanted: the next time
    const std::optional<Stream> stream = source_.Find(identity);
    // One that is begun takes all that there is.
    const int64_t least = chunks == 0 ? options_.records_min : 1;
    if (!stream || Uncovered(*Get(identity), *stream) < least) break;
    TRY(const bool room, MakeRoom(identity));
    if (!room) {
      after = State::kFull;
      break;
    }
    TRY(const bool more, FillChunk(*stream));
    ++chunks;
    if (!more) break;
  }
  if (chunks > 0 && !Stopping()) {
    TRY(tables_.Checkpoint());
  }
  const std::lock_guard lock(mutex_);
  CopiedStream& copied = streams_[identity];
  copied.state = after;
  copied.wanted = 0;
  return Ok();
}

Status ColumnCache::MakeTable(const Stream& stream) {
  TRY(const std::string table, tables_.Create(stream.types));
  const std::lock_guard lock(mutex_);
  CopiedStream& copied = streams_[stream.identity];
  copied.table = table;
  copied.layout = stream.layout;
  copied.pin = std::make_shared<const int>(0);
  return Ok();
}

Result<bool> ColumnCache::FillChunk(const Stream& stream) {
  if (Get(stream.identity)->table.empty()) TRY(MakeTable(stream));
  Chunk chunk;
  chunk.copied = *Get(stream.identity);
  if (chunk.copied.layout != stream.layout) return false;  // altered: Tidy forgets it
  TRY(chunk.append, tables_.Begin(chunk.copied.table, stream.types, chunk.copied.chunks_end));
  const uint64_t bytes_before = tables_.bytes();
  for (const Stream::Span& span : stream.spans) {
    if (chunk.full() || chunk.damaged) break;
    const Status filled = FillSpan(stream, span, chunk);
    // Of the log, or of memory: another time, if it is asked for again.
    if (!filled.ok() && filled.error().code() != Code::kIo) {
      LOG_INFO("columns of a stream", "stream={} error={}", stream.name, filled.error().message());
      return false;
    }
    TRY(filled);
  }
  if (chunk.damaged) {
    const std::lock_guard lock(mutex_);
    for (const CopiedStream::Part& part : chunk.copied.parts) {
      if (part.damaged) streams_[stream.identity].PartOf(part.partition, part.first).damaged = true;
    }
    return true;  // what is before the damage in this chunk is left out with it
  }
  const bool more = chunk.full();
  if (Stopping()) return false;
  TRY(chunk.append->Commit());
  // Of wide rows no row group is full: they are still in memory.
  if (chunk.bytes >= kChunkBytes) {
    TRY(tables_.Checkpoint());
  }
  const uint64_t bytes_after = tables_.bytes();
  chunk_bytes_ = bytes_after > bytes_before ? bytes_after - bytes_before : 0;
  const std::lock_guard lock(mutex_);
  CopiedStream& copied = streams_[stream.identity];
  copied.chunks_end = chunk.copied.chunks_end + 1;
  copied.parts = std::move(chunk.copied.parts);
  copied.rows += chunk.rows;
  copied.bytes += chunk_bytes_;
  copied.name = stream.name;
  return more;
}

Status ColumnCache::FillSpan(const Stream& stream, Stream::Span span, Chunk& chunk) {
  CopiedStream::Part& part = chunk.copied.PartOf(span.partition, span.start);
  if (part.damaged) return Ok();
  part.end = std::max(part.end, span.start);
  while (part.end < span.end && !chunk.full()) {
    if (!WaitWhileBusy()) return Ok();
    const int64_t end = std::min(span.end, part.end + chunk.slice());
    const auto reader = stream.read({span.partition, part.end, end});
    while (true) {
      TRY(const auto read, reader->Next());
      if (read == nullptr) break;
      TRY(chunk.append->Add(*read));
      chunk.rows += static_cast<int64_t>(read->size());
      chunk.bytes += rows::BytesOf(*read);
    }
    if (reader->lost()) {
      part.damaged = chunk.damaged = true;
      return Ok();
    }
    chunk.records += end - part.end;
    part.end = end;
  }
  return Ok();
}

Result<bool> ColumnCache::MakeRoom(const std::string& identity) {
  if (RoomOf(options_) != Room::kEnough) return false;
  while (tables_.bytes() + chunk_bytes_ > options_.bytes_max) {
    {
      const std::lock_guard lock(mutex_);
      if (!forgotten_.empty()) return false;  // queries still read what has to go
      CopiedStream* oldest = nullptr;
      for (auto& [other, stream] : streams_) {
        if (other == identity || stream.table.empty()) continue;
        if (oldest == nullptr || stream.last_read < oldest->last_read) oldest = &stream;
      }
      if (oldest == nullptr || oldest->last_read > streams_[identity].last_read) return false;
      Forget(*oldest);
    }
    TRY(DropForgotten());
  }
  return true;
}

void ColumnCache::Forget(CopiedStream& copied) {
  if (!copied.table.empty()) forgotten_.push_back({copied.table, copied.pin});
  CopiedStream fresh;
  fresh.identity = copied.identity;
  fresh.name = copied.name;
  fresh.last_read = copied.last_read;
  copied = std::move(fresh);
}

Status ColumnCache::DropForgotten() {
  std::vector<std::string> tables;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(forgotten_, [&](const Forgotten& item) {
      if (item.pin.use_count() > 1) return false;
      tables.push_back(item.table);
      return true;
    });
  }
  for (const std::string& table : tables) TRY(tables_.Drop(table));
  return tables.empty() ? Ok() : tables_.Checkpoint();
}

void ColumnCache::SetState(const std::string& identity, State state) {
  const std::lock_guard lock(mutex_);
  streams_[identity].state = state;
}

bool ColumnCache::WaitWhileBusy() {
  while (true) {
    const bool busy = source_.Busy();
    Lock lock(mutex_);
    if (stop_) return false;
    if (!busy) return true;
    changed_.wait_for(lock, kBusyWait, [&] { return stop_; });
  }
}

bool ColumnCache::Stopping() const {
  const std::lock_guard lock(mutex_);
  return stop_;
}

std::optional<CopiedStream> ColumnCache::Get(const std::string& identity) const {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(identity);
  return found == streams_.end() ? std::nullopt : std::optional(found->second);
}

void ColumnCache::GiveUp(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [identity, stream] : streams_) Forget(stream);
    streams_.clear();
    for (const Forgotten& item : forgotten_) {
      if (item.pin.use_count() > 1) return;  // once more when its readers are through
    }
    forgotten_.clear();
    failed_ = true;
  }
  LOG_WARNING("the column cache is off until the next start, queries read the log", "error={}",
              error.message());
  tables_.Close();
}

}  // namespace millrace::column_cache
