#include "runtime/exclusions.h"

#include <algorithm>
#include <mutex>

#include "base/coding.h"
#include "runtime/tables.h"

namespace millrace::runtime {

namespace {
constexpr size_t kKeyBytes = 8 + 4 + 8;

std::string KeyOf(log::TopicId topic, int32_t partition, log::Offset offset) {
  std::string key;
  PutBig(key, topic.value);
  PutBig(key, partition);
  PutBig(key, offset.value);
  return key;
}

bool Before(const Exclusions::Item& item, log::Offset offset) { return item.offset < offset; }
}  // namespace

Exclusions::Exclusions(log::TopicId topic, int32_t partitions)
    : topic_(topic), partitions_(static_cast<size_t>(partitions)) {}

Status Exclusions::Load(const state::Store& store) {
  const std::unique_lock lock(mutex_);
  std::string prefix;
  PutBig(prefix, topic_.value);
  TRY(store.Scan(kExclusionsTable, prefix,
                 [&](std::string_view key, std::string_view value) -> Status {
                   if (key.size() != kKeyBytes || value.size() != 1)
                     return Error(Code::kCorruption, "an exclusion is malformed");
                   const auto partition = static_cast<size_t>(GetBig<int32_t>(key.data() + 8));
                   if (partition >= partitions_.size())
                     return Error(Code::kCorruption, "an exclusion of partition {}", partition);
                   partitions_[partition].items.push_back(
                       {{GetBig<int64_t>(key.data() + 12)}, static_cast<Reason>(value[0])});
                   return Ok();
                 }));
  for (Partition& partition : partitions_) partition.clean = partition.items.size();
  return Ok();
}

void Exclusions::Grow(int32_t partitions) {
  const std::unique_lock lock(mutex_);
  CHECK(static_cast<size_t>(partitions) >= partitions_.size()) << "partitions do not go away";
  partitions_.resize(static_cast<size_t>(partitions));
}

void Exclusions::Add(int32_t partition, const std::vector<Item>& items) {
  if (items.empty()) return;
  const std::unique_lock lock(mutex_);
  std::vector<Item>& all = partitions_[static_cast<size_t>(partition)].items;
  CHECK(all.empty() || all.back().offset < items.front().offset) << "exclusions out of order";
  all.insert(all.end(), items.begin(), items.end());
}

void Exclusions::TakeDirty(std::vector<state::Mutation>& out) {
  const std::unique_lock lock(mutex_);
  for (size_t i = 0; i < partitions_.size(); ++i) {
    Partition& partition = partitions_[i];
    for (; partition.clean < partition.items.size(); ++partition.clean) {
      const Item& item = partition.items[partition.clean];
      out.push_back({kExclusionsTable, KeyOf(topic_, static_cast<int32_t>(i), item.offset),
                     std::string(1, static_cast<char>(item.reason))});
    }
  }
}

std::vector<Exclusions::Item> Exclusions::Read(int32_t partition, log::Offset from,
                                               log::Offset until) const {
  const std::shared_lock lock(mutex_);
  const std::vector<Item>& items = partitions_[static_cast<size_t>(partition)].items;
  const auto begin = std::lower_bound(items.begin(), items.end(), from, Before);
  const auto end = std::lower_bound(begin, items.end(), until, Before);
  return {begin, end};
}

}  // namespace millrace::runtime
