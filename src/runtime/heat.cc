#include "runtime/heat.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace millrace::runtime {

namespace {

constexpr double kSeconds = 10.0;     // what a rate is over
constexpr size_t kKeyBytesMax = 64;   // of a key that is shown
constexpr double kShownMin = 0.01;    // of a partition's records
constexpr double kWarnBytes = 100e3;  // a stream below this many bytes/s is nowhere hot
constexpr double kFairShares = 2.0;   // as much is hot
constexpr auto kWarnAgain = std::chrono::minutes(1);
constexpr auto kHeatInterval = std::chrono::seconds(1);

double Seconds(Heat::Time from, Heat::Time to) {
  return std::chrono::duration<double>(to - from).count();
}

// What is left of a counter after so many seconds.
double Left(double seconds) { return std::exp(-seconds / kSeconds); }

// Whole characters only, of a key that was cut.
std::string_view WholeCharacters(std::string_view text) {
  size_t end = text.size();
  while (end > 0 && (static_cast<unsigned char>(text[end - 1]) & 0xc0) == 0x80) --end;
  if (end > 0 && static_cast<unsigned char>(text[end - 1]) >= 0xc0) --end;
  return simdjson::validate_utf8(text.data(), text.size()) ? text : text.substr(0, end);
}

std::string AsText(std::string_view key) {
  const std::string_view shown =
      key.size() > kKeyBytesMax ? WholeCharacters(key.substr(0, kKeyBytesMax)) : key;
  if (simdjson::validate_utf8(shown.data(), shown.size())) return std::string(shown);
  std::string text;
  for (const char byte : key.substr(0, kKeyBytesMax / 4)) {
    if (byte >= ' ' && byte < 0x7f) {
      text += byte;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
  }
  return text;
}

}  // namespace

void Heat::Add(int32_t partition, int64_t records, int64_t bytes,
               std::span<const std::string_view> keys, Time now) {
  const auto number = static_cast<size_t>(partition);
  std::unique_lock all_lock(mutex_);
  if (started_ == Time{}) started_ = now;
  while (partitions_.size() <= number) partitions_.push_back(std::make_unique<Seen>());
  Seen& seen = *partitions_[number];
  all_lock.unlock();
  const std::lock_guard lock(seen.mutex);
  if (!seen.any) seen.first = seen.last = now;
  seen.any = true;
  const double left = Left(Seconds(seen.last, now));
  seen.last = now;
  seen.records = seen.records * left + static_cast<double>(records);
  seen.bytes = seen.bytes * left + static_cast<double>(bytes);
  seen.sampled *= left;
  for (Counter& counter : seen.counters) counter.count *= left;
  for (const std::string_view key : keys) Count(seen, key);
}

// REQUIRES: its mutex is held.
void Heat::Count(Seen& seen, std::string_view key) {
  ++seen.sampled;
  const size_t hash = std::hash<std::string_view>()(key);
  for (Counter& counter : seen.counters) {
    if (counter.hash != hash) continue;
    ++counter.count;
    return;
  }
  std::string shown = AsText(key);
  if (seen.counters.size() < kCounters) {
    seen.counters.push_back({hash, std::move(shown), 1.0});
    return;
  }
  // The rarest gives its place, and its count, which the new one may have had.
  Counter& rarest =
      *std::min_element(seen.counters.begin(), seen.counters.end(),
                        [](const Counter& a, const Counter& b) { return a.count < b.count; });
  rarest = {hash, std::move(shown), rarest.count + 1.0};
}

std::vector<Heat::Partition> Heat::Rates(Time now) const {
  const std::lock_guard lock(mutex_);
  std::vector<Partition> out;
  double all = 0.0;
  for (const auto& seen : partitions_) {
    const std::lock_guard seen_lock(seen->mutex);
    Partition& partition = out.emplace_back();
    if (!seen->any) continue;
    // Of what came in the first seconds, a shorter time is the measure.
    const double age = std::max(Seconds(seen->first, now), 1.0);
    const double per_second =
        Left(Seconds(seen->last, now)) / (kSeconds * (1.0 - std::exp(-age / kSeconds)));
    partition.records_per_s = seen->records * per_second;
    partition.bytes_per_s = seen->bytes * per_second;
    all += partition.bytes_per_s;
  }
  for (Partition& partition : out) {
    if (all > 0.0) partition.share = partition.bytes_per_s / all;
  }
  return out;
}

std::vector<Heat::Partition> Heat::Read(Time now) const {
  std::vector<Partition> out = Rates(now);
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < out.size(); ++i) {
    const std::lock_guard seen_lock(partitions_[i]->mutex);
    std::vector<Counter> counters = partitions_[i]->counters;
    std::sort(counters.begin(), counters.end(),
              [](const Counter& a, const Counter& b) { return a.count > b.count; });
    for (const Counter& counter : counters) {
      const double share = counter.count / std::max(partitions_[i]->sampled, 1.0);
      if (out[i].keys.size() == kKeysShown || share < kShownMin) break;
      out[i].keys.push_back({counter.key, std::min(share, 1.0)});
    }
  }
  return out;
}

int32_t Heat::TakeWarning(int32_t partitions, Time now) {
  if (partitions < 2) return -1;
  {
    const std::lock_guard lock(mutex_);
    if (started_ == Time{} || Seconds(started_, now) < kSeconds) return -1;
    if (looked_ != Time{} && now - looked_ < kHeatInterval) return -1;
    if (warned_ != Time{} && now - warned_ < kWarnAgain) return -1;
    looked_ = now;
  }
  const std::vector<Partition> seen = Rates(now);
  double all = 0.0;
  for (const Partition& partition : seen) all += partition.bytes_per_s;
  if (all < kWarnBytes) return -1;
  for (size_t i = 0; i < seen.size(); ++i) {
    if (seen[i].share * partitions <= kFairShares) continue;
    const std::lock_guard lock(mutex_);
    warned_ = now;
    return static_cast<int32_t>(i);
  }
  return -1;
}

}  // namespace millrace::runtime
