#include "stream/session_window.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.h"
#include "stream/time_bytes.h"

namespace millrace::stream {
namespace {

// DuckDB's infinite timestamps.
constexpr int64_t kInfinity = std::numeric_limits<int64_t>::max();
constexpr int64_t kFiniteMax = kInfinity - 1;

}  // namespace

SessionWindowOperator::SessionWindowOperator(const Node& node, const OperatorContext& context)
    : op_(std::get<SessionWindow>(node.op)),
      partitions_(op_.partition, context.input_types[0]),
      encoder_(context.input_types[0]),
      rows_(context.state.Bags(context.table, /*ordered=*/true)),
      sessions_(context.state.Bags(state::TableId{context.table.value + 1}, /*ordered=*/true)),
      out_(context.input_types[0], /*numbers=*/2, op_.bounds_type) {
  CHECK(op_.gap.count() >= 0);
  if (node.closing) closing_.emplace(node, op_.bounds_type, context);
}

std::string SessionWindowOperator::SessionBytes(const Span& session) {
  std::string bytes(View(TimeBytes(session.last)));
  bytes.append(View(TimeBytes(session.first)));
  return bytes;
}

int64_t SessionWindowOperator::Later(int64_t time) const {
  if (time == kInfinity || time == -kInfinity) return time;
  return time > kFiniteMax - op_.gap.count() ? kFiniteMax : time + op_.gap.count();
}

int64_t SessionWindowOperator::Earlier(int64_t time) const {
  if (time == kInfinity || time == -kInfinity) return time;
  return time < -kFiniteMax + op_.gap.count() ? -kFiniteMax : time - op_.gap.count();
}

Result<rows::Batch> SessionWindowOperator::Step(StepContext& context,
                                                std::span<const rows::Batch* const> inputs) {
  CHECK(inputs.size() == 1);
  if (inputs[0] != nullptr && !inputs[0]->empty()) TRY(ChangeSessions(*inputs[0]));
  if (closing_) TRY(DropClosed(context));
  return out_.Take();
}

Status SessionWindowOperator::ChangeSessions(const rows::Batch& input) {
  touched_.Reset(input.row_count());
  for (const rows::Batch::Part& part : input.parts) Read(part);
  std::sort(changes_.begin(), changes_.end(), [](const Change& a, const Change& b) {
    return a.partition != b.partition ? a.partition < b.partition : a.bytes < b.bytes;
  });
  std::vector<state::BagTable::Group*> rows;
  std::vector<state::BagTable::Group*> sessions;
  TRY(rows_.FindOrCreate(touched_.keys(), rows));
  TRY(sessions_.FindOrCreate(touched_.keys(), sessions));
  for (size_t begin = 0; begin < changes_.size();) {
    const uint32_t partition = changes_[begin].partition;
    size_t end = begin + 1;
    while (end < changes_.size() && changes_[end].partition == partition) ++end;
    TRY(ChangePartition(partition, std::span(changes_).subspan(begin, end - begin), rows[partition],
                        sessions[partition]));
    begin = end;
  }
  changes_.clear();
  bytes_.Clear();
  return closing_ ? NoteSessions() : Ok();
}

// Sessions that are new, or end or begin elsewhere than before, by their ends.
Status SessionWindowOperator::NoteSessions() {
  for (size_t begin = 0; begin < new_sessions_.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(new_sessions_.size() - begin, STANDARD_VECTOR_SIZE);
    duckdb::Vector ends(op_.bounds_type);
    std::vector<ClosingKeys::Opened> opened;
    for (size_t i = 0; i < count; ++i) {
      const NewSession& session = new_sessions_[begin + i];
      duckdb::FlatVector::GetData<int64_t>(ends)[i] = Later(session.span.last);
      opened.push_back({static_cast<duckdb::sel_t>(i), touched_.keys()[session.partition],
                        bytes_.Copy(SessionBytes(session.span))});
    }
    TRY(closing_->Note(ends, count, opened));
  }
  new_sessions_.clear();
  bytes_.Clear();
  return Ok();
}

Status SessionWindowOperator::DropClosed(StepContext& context) {
  TRY(const auto closed, closing_->Take(context));
  std::vector<state::Key> keys;
  for (const TimeIndex::Entry& entry : closed) keys.push_back(entry.key);
  std::vector<state::BagTable::Group*> rows;
  std::vector<state::BagTable::Group*> sessions;
  TRY(rows_.Find(keys, rows));
  TRY(sessions_.Find(keys, sessions));
  std::vector<state::BagTable::Entry> gone;
  for (size_t i = 0; i < closed.size(); ++i) {
    if (sessions[i] == nullptr || rows[i] == nullptr) continue;
    const std::string_view session = closed[i].payload;
    int64_t weight = 0;
    sessions_.Scan(sessions[i], session, [&](const state::BagTable::Entry& entry) {
      if (entry.row == session) weight = entry.weight;
      return false;
    });
    if (weight == 0) continue;  // it has grown since, or been taken away
    sessions_.Add(sessions[i], session, -weight);
    gone.clear();
    rows_.Scan(rows[i], session.substr(kTimeBytes), [&](const state::BagTable::Entry& entry) {
      if (TimeOf(entry.row) > TimeOf(session)) return false;
      gone.push_back({bytes_.Copy(entry.row), entry.weight});
      return true;
    });
    for (const state::BagTable::Entry& row : gone) rows_.Add(rows[i], row.row, -row.weight);
    bytes_.Clear();
  }
  return Ok();
}

void SessionWindowOperator::Read(const rows::Batch::Part& part) {
  duckdb::DataChunk& rows = *part.rows;
  const Int64Column times(rows.data[op_.time], rows.size());
  const std::vector<state::Key>& keys = partitions_.Read(rows);
  const std::vector<std::string_view>& encoded = encoder_.Encode(rows);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (times.is_null(i) || part.weight(i) == 0) continue;
    char* bytes = bytes_.Allocate(kTimeBytes + encoded[i].size());
    std::memcpy(bytes, TimeBytes(times[i]).data(), kTimeBytes);
    std::memcpy(bytes + kTimeBytes, encoded[i].data(), encoded[i].size());
    changes_.push_back({touched_.FindOrAdd(keys[i].bytes, keys[i].hash),
                        times[i],
                        {bytes, kTimeBytes + encoded[i].size()},
                        part.weight(i)});
  }
}

Status SessionWindowOperator::ChangePartition(uint32_t partition, std::span<const Change> changes,
                                              state::BagTable::Group* rows,
                                              state::BagTable::Group* sessions) {
  before_.clear();
  after_.clear();
  const std::vector<Span> spans = Touched(changes, sessions);
  Collect(spans, rows, before_);
  Assign(before_, partition, sessions, -1);
  for (const Change& change : changes) rows_.Add(rows, change.bytes, change.weight);
  Collect(spans, rows, after_);
  Assign(after_, partition, sessions, +1);
  TRY(EmitDifference());
  return out_.Flush();  // the bytes go with the partition's rows
}

std::vector<SessionWindowOperator::Span> SessionWindowOperator::Touched(
    std::span<const Change> changes, state::BagTable::Group* sessions) {
  std::vector<Span> spans;
  for (size_t begin = 0; begin < changes.size();) {
    // Changes no further apart than the gap touch whatever lies between them.
    Span span{changes[begin].time, changes[begin].time};
    size_t end = begin + 1;
    for (; end < changes.size() && changes[end].time <= Later(span.last); ++end)
      span.last = changes[end].time;
    begin = end;
    const int64_t latest = Later(span.last);
    sessions_.Scan(sessions, View(TimeBytes(Earlier(span.first))),
                   [&](const state::BagTable::Entry& entry) {
                     const int64_t first = TimeOf(entry.row.substr(kTimeBytes));
                     if (first > latest) return false;
                     span.first = std::min(span.first, first);
                     span.last = std::max(span.last, TimeOf(entry.row));
                     return true;
                   });
    // The changes come in order of time, so that a span can only meet the last one.
    if (!spans.empty() && span.first <= spans.back().last) {
      spans.back() = {std::min(spans.back().first, span.first),
                      std::max(spans.back().last, span.last)};
    } else {
      spans.push_back(span);
    }
  }
  return spans;
}

void SessionWindowOperator::Collect(const std::vector<Span>& spans,
                                    const state::BagTable::Group* rows, std::vector<Member>& out) {
  for (const Span& span : spans) {
    rows_.Scan(rows, View(TimeBytes(span.first)), [&](const state::BagTable::Entry& entry) {
      if (TimeOf(entry.row) > span.last) return false;
      // Below 0: a row taken away before it came, upstream's passing state.
      if (entry.weight > 0) out.push_back({bytes_.Copy(entry.row), entry.weight, {}});
      return true;
    });
  }
}

void SessionWindowOperator::Assign(std::vector<Member>& members, uint32_t partition,
                                   state::BagTable::Group* sessions, rows::Weight weight) {
  for (size_t begin = 0; begin < members.size();) {
    Span session{TimeOf(members[begin].bytes), TimeOf(members[begin].bytes)};
    size_t end = begin + 1;
    for (; end < members.size(); ++end) {
      const int64_t time = TimeOf(members[end].bytes);
      if (time > Later(session.last)) break;
      session.last = time;
    }
    for (size_t i = begin; i < end; ++i) members[i].session = session;
    sessions_.Add(sessions, SessionBytes(session), weight);
    if (closing_ && weight > 0) new_sessions_.push_back({partition, session});
    begin = end;
  }
}

// Both are in order of time and row: a merge finds what came, went, or is in another session.
Status SessionWindowOperator::EmitDifference() {
  size_t b = 0;
  size_t a = 0;
  while (b < before_.size() || a < after_.size()) {
    int order = 0;
    if (b == before_.size()) {
      order = 1;
    } else if (a == after_.size()) {
      order = -1;
    } else {
      order = before_[b].bytes.compare(after_[a].bytes);
    }
    if (order == 0 && before_[b].session == after_[a].session) {
      const rows::Weight change = after_[a].weight - before_[b].weight;
      if (change != 0) TRY(Emit(after_[a], change));
      ++b;
      ++a;
      continue;
    }
    if (order <= 0) {
      TRY(Emit(before_[b], -before_[b].weight));
      ++b;
    }
    if (order >= 0) {
      TRY(Emit(after_[a], after_[a].weight));
      ++a;
    }
  }
  return Ok();
}

Status SessionWindowOperator::Emit(const Member& member, rows::Weight weight) {
  return out_.Add(member.bytes.substr(kTimeBytes), weight,
                  {member.session.first, Later(member.session.last)});
}

std::unique_ptr<Operator> MakeSessionWindow(const Node& node, OperatorContext context) {
  return std::make_unique<SessionWindowOperator>(node, context);
}

}  // namespace millrace::stream
