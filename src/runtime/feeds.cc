#include "runtime/feeds.h"

#include <algorithm>

#include "base/coding.h"
#include "rows/decode_rows.h"
#include "rows/row_codec.h"
#include "runtime/tables.h"

namespace millrace::runtime {

namespace {

// What an entry takes beside its rows, about.
constexpr size_t kEntryOverhead = 128;

enum class KeyPart : uint8_t { kHeader = 0, kEntry = 1 };

std::string KeyOf(uint64_t id, KeyPart part) {
  std::string key;
  PutBig(key, id);
  PutFixed(key, static_cast<uint8_t>(part));
  return key;
}

// `number`: of the step's entries.
std::string EntryKey(uint64_t id, state::Step step, uint32_t number) {
  std::string key = KeyOf(id, KeyPart::kEntry);
  PutBig(key, step.value);
  PutBig(key, number);
  return key;
}

// The number of entry i among those of its step.
uint32_t NumberOf(const std::deque<Feed::EntryPtr>& entries, size_t i) {
  uint32_t number = 0;
  while (i > number && entries[i - number - 1]->step == entries[i]->step) ++number;
  return number;
}

size_t BytesOf(const Feed::Entry& entry) { return entry.rows.size() + kEntryOverhead; }

Error Malformed() { return Error(Code::kCorruption, "a feed's entry is malformed"); }

}  // namespace

Feed::Feed(uint64_t id, std::string name, state::Step begin)
    : id_(id),
      name_(std::move(name)),
      begin_(begin),
      last_used_(std::chrono::steady_clock::now()) {}

std::string Feed::name() const {
  const std::lock_guard lock(mutex_);
  return name_;
}

state::Step Feed::begin() const {
  const std::lock_guard lock(mutex_);
  return begin_;
}

bool Feed::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

Result<std::vector<Feed::EntryPtr>> Feed::Next(state::Step after, state::Step until) const {
  const std::lock_guard lock(mutex_);
  if (after < begin_)
    return Error(Code::kNotFound, "changes after step {} are not kept", after.value);
  auto entry = std::upper_bound(entries_.begin(), entries_.end(), after,
                                [](state::Step step, const EntryPtr& e) { return step < e->step; });
  std::vector<EntryPtr> found;
  for (; entry != entries_.end() && (*entry)->step <= until; ++entry) {
    if (!found.empty() && found.front()->step != (*entry)->step) break;
    found.push_back(*entry);
  }
  return found;
}

std::shared_ptr<void> Feed::Use() {
  const std::lock_guard lock(mutex_);
  last_used_ = std::chrono::steady_clock::now();
  if (auto present = use_.lock()) return present;
  std::shared_ptr<void> use = std::make_shared<char>();
  use_ = use;
  return use;
}

Status Feeds::Load(const state::Store& store) {
  std::map<uint64_t, std::shared_ptr<Feed>> by_id;
  return store.Scan(kFeedsTable, "", [&](std::string_view key, std::string_view value) -> Status {
    Reader reader(value);
    if (key.size() < 9) return Malformed();
    const auto id = GetBig<uint64_t>(key.data());
    if (static_cast<KeyPart>(key[8]) == KeyPart::kHeader) {
      TRY(const std::string_view name, reader.Bytes());
      TRY(const int64_t begin, reader.Zigzag());
      auto feed = std::make_shared<Feed>(id, std::string(name), state::Step{begin});
      feed->header_dirty_ = false;
      by_id[id] = feed;
      feeds_[feed->name_] = feed;
      return Ok();
    }
    const auto feed = by_id.find(id);  // the header comes first
    if (key.size() != 21 || feed == by_id.end()) return Malformed();
    auto entry = std::make_shared<Feed::Entry>();
    entry->step.value = GetBig<int64_t>(key.data() + 9);
    TRY(entry->clock.value, reader.Zigzag());
    TRY(const std::string_view rows, reader.Bytes());
    entry->rows = rows;
    feed->second->bytes_ += BytesOf(*entry);
    feed->second->entries_.push_back(std::move(entry));
    feed->second->clean_ += 1;
    return Ok();
  });
}

void Feeds::Follow(const std::string& name, state::Step step) {
  const std::lock_guard lock(mutex_);
  if (feeds_.contains(name)) return;
  // Several may begin in one step.
  uint64_t id = static_cast<uint64_t>(step.value) << 16;
  const auto taken = [&] {
    return std::any_of(feeds_.begin(), feeds_.end(),
                       [&](const auto& item) { return item.second->id_ == id; });
  };
  while (taken()) ++id;
  feeds_[name] = std::make_shared<Feed>(id, name, state::Step{step.value - 1});
}

bool Feeds::follows(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return feeds_.contains(name);
}

void Feeds::Add(const std::string& name, state::Step step, Micros clock, const rows::Batch& change,
                const rows::Types& types) {
  const std::shared_ptr<Feed> feed = Find(name);
  if (feed == nullptr || change.empty()) return;
  auto entry =
      std::make_shared<Feed::Entry>(Feed::Entry{step, clock, EncodeFeedRows(change, types)});
  const std::lock_guard lock(feed->mutex_);
  feed->bytes_ += BytesOf(*entry);
  feed->entries_.push_back(std::move(entry));
}

// REQUIRES: feed.mutex_ is held.
void Feeds::Forget(Feed& feed) {
  const Feed::Entry& first = *feed.entries_.front();
  if (feed.clean_ > 0) {
    const state::Step step = first.step;
    // Entries of a step go together, so the first that is left has number 0.
    uint32_t number = 0;
    while (feed.clean_ > 0 && !feed.entries_.empty() && feed.entries_.front()->step == step) {
      feed.gone_.push_back(EntryKey(feed.id_, step, number++));
      feed.bytes_ -= BytesOf(*feed.entries_.front());
      feed.entries_.pop_front();
      --feed.clean_;
    }
    feed.begin_ = std::max(feed.begin_, step);
  } else {
    feed.begin_ = std::max(feed.begin_, first.step);
    feed.bytes_ -= BytesOf(first);
    feed.entries_.pop_front();
  }
  feed.header_dirty_ = true;
}

void Feeds::Replace(const std::string& before, const std::string& after, state::Step step,
                    bool same_columns) {
  const std::lock_guard lock(mutex_);
  const auto found = feeds_.find(before);
  if (found == feeds_.end()) return;
  const std::shared_ptr<Feed> feed = found->second;
  feeds_.erase(found);
  feeds_[after] = feed;
  const std::lock_guard feed_lock(feed->mutex_);
  feed->name_ = after;
  feed->header_dirty_ = true;
  if (same_columns) return;
  while (!feed->entries_.empty()) Forget(*feed);
  feed->begin_ = step;
}

void Feeds::Drop(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = feeds_.find(name);
  if (found == feeds_.end()) return;
  dropped_.push_back(found->second);
  const std::lock_guard feed_lock(found->second->mutex_);
  found->second->ended_ = true;
  feeds_.erase(found);
}

void Feeds::TakeDirty(Micros now, std::vector<state::Mutation>& out) {
  const std::lock_guard lock(mutex_);
  const auto unused_since = std::chrono::steady_clock::now() - limits_.age_max;
  for (auto it = feeds_.begin(); it != feeds_.end();) {
    const std::shared_ptr<Feed> feed = it->second;
    const std::lock_guard feed_lock(feed->mutex_);
    if (!feed->use_.expired()) feed->last_used_ = std::chrono::steady_clock::now();
    if (feed->last_used_ < unused_since) {
      feed->ended_ = true;
      dropped_.push_back(feed);
      it = feeds_.erase(it);
      continue;
    }
    ++it;
    while (!feed->entries_.empty() &&
           (feed->bytes_ > limits_.bytes_max ||
            feed->entries_.front()->clock.value < now.value - limits_.age_max.count()))
      Forget(*feed);
    for (std::string& key : feed->gone_) out.push_back({kFeedsTable, std::move(key), std::nullopt});
    feed->gone_.clear();
    if (feed->header_dirty_) {
      std::string header;
      PutBytes(header, feed->name_);
      PutZigzag(header, feed->begin_.value);
      out.push_back({kFeedsTable, KeyOf(feed->id_, KeyPart::kHeader), std::move(header)});
      feed->header_dirty_ = false;
    }
    for (; feed->clean_ < feed->entries_.size(); ++feed->clean_) {
      const Feed::Entry& entry = *feed->entries_[feed->clean_];
      std::string value;
      PutZigzag(value, entry.clock.value);
      PutBytes(value, entry.rows);
      out.push_back({kFeedsTable,
                     EntryKey(feed->id_, entry.step, NumberOf(feed->entries_, feed->clean_)),
                     std::move(value)});
    }
  }
  for (const std::shared_ptr<Feed>& feed : dropped_) {
    const std::lock_guard feed_lock(feed->mutex_);
    for (std::string& key : feed->gone_) out.push_back({kFeedsTable, std::move(key), std::nullopt});
    for (size_t i = 0; i < feed->clean_; ++i) {
      out.push_back({kFeedsTable,
                     EntryKey(feed->id_, feed->entries_[i]->step, NumberOf(feed->entries_, i)),
                     std::nullopt});
    }
    out.push_back({kFeedsTable, KeyOf(feed->id_, KeyPart::kHeader), std::nullopt});
  }
  dropped_.clear();
}

std::shared_ptr<Feed> Feeds::Find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = feeds_.find(name);
  return found == feeds_.end() ? nullptr : found->second;
}

std::vector<Feeds::Info> Feeds::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<Info> all;
  for (const auto& [name, feed] : feeds_) {
    const std::lock_guard feed_lock(feed->mutex_);
    all.push_back({name, feed->begin_, feed->entries_.size(), feed->bytes_, !feed->use_.expired()});
  }
  return all;
}

std::string EncodeFeedRows(const rows::Batch& change, const rows::Types& types) {
  std::string out;
  PutVarint(out, change.row_count());
  rows::RowEncoder encoder(types);
  for (const rows::Batch::Part& part : change.parts) {
    const std::vector<std::string_view>& encoded = encoder.Encode(*part.rows);
    for (size_t i = 0; i < encoded.size(); ++i) {
      PutZigzag(out, part.weight(i));
      PutBytes(out, encoded[i]);
    }
  }
  return out;
}

Result<rows::Batch> DecodeFeedRows(std::string_view bytes, const rows::Types& types) {
  Reader reader(bytes);
  TRY(const uint64_t count, reader.Varint());
  std::vector<std::string_view> encoded;
  std::vector<rows::Weight> weights;
  for (uint64_t done = 0; done < count; ++done) {
    TRY(const int64_t weight, reader.Zigzag());
    TRY(const std::string_view row, reader.Bytes());
    weights.push_back(weight);
    encoded.push_back(row);
  }
  return rows::DecodeRows(types, encoded, weights);
}

}  // namespace millrace::runtime
