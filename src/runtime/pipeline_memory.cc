// What the contents of tables and views take in memory.
#include <algorithm>

#include "base/logging.h"
#include "runtime/pipeline.h"

namespace millrace::runtime {

namespace {

// Rows that come back from disk between two steps: a few milliseconds' worth.
constexpr size_t kWarmRows = 5000;
// Contents come back until they take this share of what they may.
constexpr double kWarmShare = 0.75;
// A flush is worth while for room where this share of the rows in memory is not on disk.
constexpr size_t kUnflushedShare = 8;

}  // namespace

void Pipeline::NoteFlushed() {
  for (const auto& [name, relation] : relations_) {
    if (relation->content != nullptr) relation->content->NoteFlushed();
  }
  failures_->NoteFlushed();
  room_again_bytes_ = 0;
  wants_flush_ = false;
}

size_t Pipeline::ContentBytes() const {
  size_t bytes = 0;
  for (const auto& [name, relation] : relations_) {
    if (relation->content != nullptr) bytes += relation->content->memory_bytes();
  }
  return bytes;
}

bool Pipeline::HasRoom() const {
  return static_cast<double>(ContentBytes()) <
         static_cast<double>(context_.content_bytes) * kWarmShare - 1;
}

void Pipeline::MakeRoom() {
  const size_t used = ContentBytes();
  if (used <= std::max(context_.content_bytes, room_again_bytes_)) return;
  const state::Step oldest_needed = context_.publisher->OldestNeeded();
  const double over = 1 - static_cast<double>(context_.content_bytes) / static_cast<double>(used);
  size_t left = 0;
  size_t rows = 0;
  size_t unflushed = 0;
  for (const auto& [name, relation] : relations_) {
    if (relation->content == nullptr) continue;
    state::ViewTable& content = *relation->content;
    const size_t bytes = content.memory_bytes();
    content.Evict(static_cast<size_t>(static_cast<double>(bytes) * over) + 1, oldest_needed);
    left += content.memory_bytes();
    rows += content.memory_entry_count();
    unflushed += content.unflushed_count();
    warm_.insert(content.id());
  }
  if (left <= context_.content_bytes) {
    room_again_bytes_ = 0;
    return;
  }
  // The rest is not on disk yet, or a reader needs it. Looking again is worth while only when there
  // is more, or after a flush.
  room_again_bytes_ = left + context_.content_bytes / 4;
  wants_flush_ = unflushed * kUnflushedShare >= rows;
}

bool Pipeline::Warm() {
  for (const auto& [name, relation] : relations_) {
    if (relation->content == nullptr || warm_.contains(relation->content->id())) continue;
    if (!HasRoom()) {
      warm_.insert(relation->content->id());
      continue;
    }
    WarmOne(*relation, kWarmRows);
    return true;
  }
  return false;
}

void Pipeline::WarmOne(const Relation& relation, size_t rows_max) {
  const auto more = relation.content->Warm(rows_max);
  // What cannot be read stays where it is, for those who ask for it to hear of it.
  if (!more.ok()) {
    LOG_ERROR("rows of a content stay on disk", "relation={} error={}", relation.object.name(),
              more.error().message());
  }
  if (!more.ok() || !*more) warm_.insert(relation.content->id());
}

}  // namespace millrace::runtime
