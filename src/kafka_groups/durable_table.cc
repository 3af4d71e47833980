#include "kafka_groups/durable_table.h"

#include "base/coding.h"
#include "base/logging.h"

namespace millrace::kafka_groups {

namespace {

constexpr uint8_t kRecordVersion = 1;

void PutChange(std::string& out, std::string_view key, const std::string* value) {
  PutBytes(out, key);
  PutFixed<uint8_t>(out, value != nullptr);
  if (value != nullptr) PutBytes(out, *value);
}

Result<TableChange> ReadChange(Reader& reader) {
  TableChange change;
  TRY(change.key, reader.Bytes());
  TRY(const uint8_t has_value, reader.Fixed<uint8_t>());
  if (has_value > 1) return Error(Code::kCorruption, "a flag is {}", has_value);
  if (has_value == 0) return change;
  TRY(change.value, reader.Bytes());
  return change;
}

}  // namespace

DurableTable::DurableTable(Turns& turns, Storage& storage, TableOptions options)
    : turns_(turns), storage_(storage), options_(options) {}

Status DurableTable::Load() {
  return storage_.ReadAll([this](StoragePosition position, std::string_view record) -> Status {
    Reader reader(record);
    TRY(const uint8_t version, reader.Fixed<uint8_t>());
    if (version != kRecordVersion)
      return Error(Code::kNotSupported, "record {}: version {}", position.value, version);
    while (reader.remaining() > 0) {
      Result<TableChange> change = ReadChange(reader);
      if (!change.ok())
        return std::move(change).error().With(fmt::format("record {}", position.value));
      Put(*change);
    }
    stored_bytes_ += record.size();
    return Ok();
  });
}

void DurableTable::Put(const TableChange& change) {
  const auto at = entries_.find(change.key);
  if (at != entries_.end()) live_bytes_ -= at->first.size() + at->second.size();
  if (!change.value) {
    if (at != entries_.end()) entries_.erase(at);
    return;
  }
  live_bytes_ += change.key.size() + change.value->size();
  if (at != entries_.end()) {
    at->second = *change.value;
  } else {
    entries_.emplace(change.key, *change.value);
  }
}

Status DurableTable::Apply(const std::vector<TableChange>& changes, Done done) {
  CHECK(!changes.empty());
  if (failed_)
    return Error(Code::kUnavailable, "an earlier append failed; the node has to be started again");
  std::string record;
  PutFixed(record, kRecordVersion);
  for (const TableChange& change : changes)
    PutChange(record, change.key, change.value ? &*change.value : nullptr);
  const uint64_t bytes = record.size();
  TRY(storage_.Append(std::move(record),
                      [this, done = std::move(done)](Result<StoragePosition> position) {
                        const Turns::Turn turn(turns_);
                        if (!position.ok()) failed_ = true;
                        done(position.ok() ? Ok() : Status(std::move(position).error()));
                      }));
  for (const TableChange& change : changes) Put(change);
  stored_bytes_ += bytes;
  RewriteMore();
  return Ok();
}

const std::string* DurableTable::Find(const std::string& key) const {
  const auto at = entries_.find(key);
  return at == entries_.end() ? nullptr : &at->second;
}

bool DurableTable::Any(std::string_view prefix) const {
  const auto at = entries_.lower_bound(std::string(prefix));
  return at != entries_.end() && at->first.starts_with(prefix);
}

void DurableTable::ForEach(
    std::string_view prefix,
    const std::function<void(const std::string& key, const std::string& value)>& visit) const {
  for (auto at = entries_.lower_bound(std::string(prefix));
       at != entries_.end() && at->first.starts_with(prefix); ++at) {
    visit(at->first, at->second);
  }
}

void DurableTable::Tick() { RewriteMore(); }

void DurableTable::RewriteMore() {
  if (failed_) return;
  if (!rewrite_) {
    if (stored_bytes_ <= options_.rewrite_bytes_min || stored_bytes_ <= 2 * live_bytes_) return;
    rewrite_.emplace();
    rewrite_->bytes_before = stored_bytes_;
  }
  if (rewrite_->in_flight || !rewrite_->next_key) return;
  std::string record;
  PutFixed(record, kRecordVersion);
  auto at = entries_.lower_bound(*rewrite_->next_key);
  for (; at != entries_.end() && record.size() < options_.piece_bytes; ++at) {
    PutChange(record, at->first, &at->second);
  }
  std::optional<std::string> next;
  if (at != entries_.end()) next = at->first;
  const uint64_t bytes = record.size();
  const Status queued = storage_.Append(std::move(record), [this](Result<StoragePosition> done) {
    const Turns::Turn turn(turns_);
    PieceDone(std::move(done));
  });
  if (!queued.ok()) return;  // tried again by the next Apply or Tick
  stored_bytes_ += bytes;
  rewrite_->in_flight = true;
  rewrite_->next_key = std::move(next);
}

void DurableTable::PieceDone(Result<StoragePosition> position) {
  if (!position.ok()) {
    failed_ = true;
    return;
  }
  rewrite_->in_flight = false;
  if (!rewrite_->first) rewrite_->first = *position;
  if (rewrite_->next_key) return;
  const Status trimmed = storage_.Trim(*rewrite_->first);
  if (trimmed.ok()) {
    stored_bytes_ -= rewrite_->bytes_before;
  } else {
    LOG_WARNING("trimming a coordinator's records failed", "error={}", trimmed.error().ToString());
  }
  rewrite_.reset();
}

}  // namespace millrace::kafka_groups
