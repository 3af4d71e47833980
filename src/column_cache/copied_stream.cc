#include "column_cache/copied_stream.h"

#include <algorithm>

namespace millrace::column_cache {

namespace {
// Partitions of which rows have to be left out, each by a condition of its own; the rows go soon.
constexpr size_t kConditionsMax = 64;
}  // namespace

const char* StateName(State state) {
  switch (state) {
    case State::kWaiting:
      return "waiting";
    case State::kFilling:
      return "filling";
    case State::kFull:
      return "full";
  }
  return "";
}

CopiedStream::Part& CopiedStream::PartOf(int32_t partition, int64_t start) {
  const auto at =
      std::lower_bound(parts.begin(), parts.end(), partition,
                       [](const Part& part, int32_t number) { return part.partition < number; });
  if (at != parts.end() && at->partition == partition) return *at;
  return *parts.insert(at, {partition, start, start});
}

int64_t CopiedStream::records() const {
  int64_t count = 0;
  for (const Part& part : parts) count += part.end - part.first;
  return count;
}

std::shared_ptr<const sql::ColumnCopy> CopyFor(const CopiedStream& copied, const Stream& stream) {
  if (copied.chunks_end == 0 || copied.layout != stream.layout) return nullptr;
  auto copy = std::make_shared<sql::ColumnCopy>();
  size_t conditions = 0;
  for (const CopiedStream::Part& part : copied.parts) {
    const Stream::Span* span = stream.Find(part.partition);
    // A step from before it was copied.
    if (span == nullptr || span->end < part.end) return nullptr;
    const int64_t begin = std::max(part.first, span->start);
    if (begin > part.first && ++conditions > kConditionsMax) return nullptr;
    copy->parts.push_back({part.partition, part.first, begin, part.end});
    copy->records += std::max<int64_t>(0, part.end - begin);
  }
  copy->table = copied.table;
  copy->chunks_end = copied.chunks_end;
  copy->records_all = stream.records();
  copy->pin = copied.pin;
  return copy;
}

int64_t Uncovered(const CopiedStream& copied, const Stream& stream) {
  int64_t count = 0;
  auto part = copied.parts.begin();  // both ascend
  for (const Stream::Span& span : stream.spans) {
    while (part != copied.parts.end() && part->partition < span.partition) ++part;
    const bool known = part != copied.parts.end() && part->partition == span.partition;
    if (known && part->damaged) continue;
    const int64_t from = known ? std::max(span.start, part->end) : span.start;
    count += std::max<int64_t>(0, span.end - from);
  }
  return count;
}

}  // namespace millrace::column_cache
