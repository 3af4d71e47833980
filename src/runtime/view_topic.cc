#include "runtime/view_topic.h"

#include <charconv>
#include <map>
#include <thread>

#include "base/clock.h"
#include "base/logging.h"
#include "log/record_batch.h"
#include "rows/json_text.h"
#include "runtime/change_envelope.h"
#include "runtime/row_text.h"

namespace millrace::runtime {

namespace {

constexpr std::string_view kStep = "step";
constexpr std::string_view kMore = "more";
constexpr std::string_view kContent = "content";
constexpr size_t kBatchBytes = 1 << 20;
constexpr std::chrono::milliseconds kTryAgainEvery{50};

struct Headers {
  int64_t step = -1;
  bool more = false;
  bool content = false;
};

Headers HeadersOf(const log::RecordView& record) {
  Headers found;
  for (log::HeaderCursor headers = record.headers(); headers.Next();) {
    const log::Header& header = headers.header();
    if (header.key == kMore) found.more = true;
    if (header.key == kContent) found.content = true;
    if (header.key == kStep && header.value)
      std::from_chars(header.value->data(), header.value->data() + header.value->size(),
                      found.step);
  }
  return found;
}

// Calls visit(record) for those from `from` on.
template <typename Visit>
Status Scan(const log::Log& log, log::PartitionId partition, log::Offset from, log::Offset end,
            const Visit& visit) {
  while (from < end) {
    TRY(const log::ReadResult read, log.Read(partition, {.from = from, .until = end}));
    for (const log::ReadBatch& batch : read.batches) {
      for (log::RecordCursor records = batch.view().records(); records.Next();) {
        if (records.record().offset >= from) visit(records.record());
      }
    }
    if (read.next <= from)
      return Error(Code::kCorruption, "a topic of changes cannot be read from offset {} on",
                   from.value);
    from = read.next;
  }
  return Ok();
}

std::vector<size_t> ColumnsNamed(const rows::Schema& schema,
                                 const std::vector<std::string>& names) {
  std::vector<size_t> columns;
  for (const std::string& name : names) columns.push_back(*schema.Find(name));
  std::sort(columns.begin(), columns.end());
  return columns;
}

}  // namespace

void ViewTopic::SetView(const catalog::Object& view) {
  view_ = std::get<catalog::ViewDefinition>(view.definition);
}

Result<bool> ViewTopic::Advance(const ViewChanges::Subscribe& subscribe) {
  if (subscription_ == nullptr) TRY(Begin(subscribe));
  TRY(auto event, subscription_->Next(std::chrono::milliseconds(0)));
  if (!event) return false;
  switch (event->kind) {
    case FeedEvent::Kind::kReset:
      LOG_WARNING("the topic of a view's changes begins anew with the view's content", "view={}",
                  view_.name);
      TRY(BeginContent());
      return true;
    case FeedEvent::Kind::kProgress:
      if (!content_) return false;
      TRY(EndContent(event->step));
      return true;
    case FeedEvent::Kind::kRows:
      break;
  }
  // Replaced by one with other columns, which the caller has not seen yet.
  const rows::Schema& given = subscription_->schema();
  if (view_.schema.types() != given.types() || view_.schema.names() != given.names())
    return Error(Code::kConflict, "its columns have changed");
  std::vector<Record> records = RecordsOf(event->rows, event->step);
  if (!content_) {
    records.erase(records.begin(), records.begin() + std::min<int64_t>(skip_, std::ssize(records)));
    skip_ = 0;
    TRY(Write(std::move(records), event->step, false));
    return true;
  }
  for (const Record& record : records) {
    if (record.key) gone_.erase(*record.key);
  }
  SayVoid(event->step);
  std::swap(held_, records);
  TRY(Write(std::move(records), event->step, true));
  return true;
}

Status ViewTopic::Begin(const ViewChanges::Subscribe& subscribe) {
  TRY(const auto tail, ReadTail());
  Node::SubscribeOptions options;
  skip_ = 0;
  if (!tail || (tail->more && tail->content)) {
    options.content = true;
  } else {
    if (!tail->more) TRY(Release(log_.DurableCut()->Find(partition_)->end));
    options.after = tail->more ? tail->step.value - 1 : tail->step.value;
    // Rows that are put in once more do no harm.
    if (tail->more && !compacted()) skip_ = tail->records;
  }
  TRY(subscription_, subscribe(view_.name, options));
  return options.content ? BeginContent() : Ok();
}

// What the topic holds is void, whatever it is.
Status ViewTopic::BeginContent() {
  content_ = true;
  skip_ = 0;
  void_before_ = false;
  gone_.clear();
  held_.clear();
  const auto cut = log_.DurableCut();
  const log::Cut::End* range = cut->Find(partition_);
  if (range == nullptr || range->start == range->end) return Ok();
  void_before_ = !compacted();
  if (void_before_) return Ok();
  return Scan(log_, partition_, range->start, range->end, [&](const log::RecordView& record) {
    if (!record.key) return;
    if (record.value) {
      gone_.emplace(*record.key);
    } else {
      gone_.erase(std::string(*record.key));
    }
  });
}

void ViewTopic::SayVoid(state::Step step) {
  if (std::exchange(void_before_, false))
    held_.push_back(EnvelopeOf("", nullptr, nullptr, "t", step));
}

Status ViewTopic::EndContent(state::Step step) {
  SayVoid(step);
  for (const std::string& key : gone_) held_.push_back({key, std::nullopt});
  gone_.clear();
  TRY(Write(std::exchange(held_, {}), step, false));
  content_ = false;
  return Ok();
}

Result<std::optional<ViewTopic::Tail>> ViewTopic::ReadTail() const {
  const auto cut = log_.DurableCut();
  const log::Cut::End* range = cut->Find(partition_);
  std::optional<Headers> last;
  // Compaction may have taken out the records at the end.
  for (int64_t back = 1; range != nullptr && !last; back *= 16) {
    const log::Offset from = std::max(range->start, range->end + -back);
    TRY(Scan(log_, partition_, from, range->end,
             [&](const log::RecordView& record) { last = HeadersOf(record); }));
    if (from == range->start) break;
  }
  if (!last) return std::optional<Tail>();
  Tail tail{{last->step}, last->more, last->content, 0};
  if (tail.more) {
    TRY(tail.records, CountOfStep(range->end, tail.step));
  }
  return std::optional(tail);
}

Status ViewTopic::Release(log::Offset end) {
  return compacted() ? Ok() : log_.SetFreeFloor(partition_, end);
}

Result<int64_t> ViewTopic::CountOfStep(log::Offset end, state::Step step) const {
  const log::Offset start = log_.DurableCut()->Find(partition_)->start;
  for (int64_t back = 1024;; back *= 16) {
    const log::Offset from = std::max(start, end + -back);
    int64_t count = 0;
    bool earlier = from == start;
    TRY(Scan(log_, partition_, from, end, [&](const log::RecordView& record) {
      const bool of_step = HeadersOf(record).step == step.value;
      count += of_step ? 1 : 0;
      earlier = earlier || !of_step;
    }));
    if (earlier) return count;
  }
}

std::vector<ViewTopic::Record> ViewTopic::RecordsOf(const rows::Batch& change,
                                                    state::Step step) const {
  struct Pair {
    std::optional<std::string> before, after;
  };
  const std::vector<size_t> key_columns = ColumnsNamed(view_.schema, view_.key);
  std::map<std::string, Pair> by_key;          // where there is a key
  std::map<std::string, rows::Weight> by_row;  // else
  for (const rows::Batch::Part& part : change.parts) {
    const std::vector<std::string> texts = RowsAsJson(view_.schema, *part.rows);
    std::vector<std::string> keys;
    if (!key_columns.empty()) keys = RowsAsJson(view_.schema, *part.rows, key_columns);
    for (size_t i = 0; i < texts.size(); ++i) {
      if (keys.empty()) {
        by_row[texts[i]] += part.weight(i);
      } else if (part.weight(i) < 0) {
        by_key[keys[i]].before = texts[i];
      } else {
        by_key[keys[i]].after = texts[i];
      }
    }
  }
  std::vector<Record> records;
  for (const auto& [key, pair] : by_key) {
    const std::string* before = pair.before ? &*pair.before : nullptr;
    const std::string* after = pair.after ? &*pair.after : nullptr;
    if (compacted()) {
      records.push_back({key, pair.after});
    } else {
      const std::string_view op = content_ ? "r" : OperationOf(before != nullptr, after != nullptr);
      records.push_back(EnvelopeOf(key, before, after, op, step));
    }
  }
  for (const auto& [row, weight] : by_row) {
    for (rows::Weight copy = 0; copy < std::abs(weight); ++copy) {
      records.push_back(weight < 0 ? EnvelopeOf("", &row, nullptr, "d", step)
                                   : EnvelopeOf("", nullptr, &row, content_ ? "r" : "c", step));
    }
  }
  return records;
}

ViewTopic::Record ViewTopic::EnvelopeOf(const std::string& key, const std::string* before,
                                        const std::string* after, std::string_view op,
                                        state::Step step) const {
  std::string name;
  rows::AppendJsonString(view_.name, name);
  Record record;
  if (!key.empty()) record.key = key;
  const auto row = [](const std::string* text) {
    return text == nullptr ? std::nullopt : std::optional<std::string_view>(*text);
  };
  record.value =
      ChangeEnvelope(row(before), row(after), op, log::Millis{Clock::System().Now().value / 1000},
                     fmt::format(R"({{"view":{},"step":{}}})", name, step.value));
  return record;
}

Status ViewTopic::Write(std::vector<Record> records, state::Step step, bool more) {
  const std::string step_text = std::to_string(step.value);
  for (size_t next = 0; next < records.size();) {
    size_t end = next;
    for (size_t bytes = 0; end < records.size() && bytes < kBatchBytes; ++end)
      bytes += records[end].key.value_or("").size() + records[end].value.value_or("").size();
    std::vector<log::Header> headers = {{kStep, step_text}};
    if (more || end < records.size()) headers.push_back({kMore, "1"});
    if (content_) headers.push_back({kContent, "1"});
    const log::Millis now{Clock::System().Now().value / 1000};
    log::RecordBatchBuilder batch;
    for (; next < end; ++next) batch.Add(records[next].key, records[next].value, now, headers);
    const int64_t count = batch.record_count();
    const bool whole = !more && next == records.size();
    const std::string bytes = batch.Finish();
    while (true) {
      const auto appended = log_.AppendAndWait({{partition_, bytes}});
      if (appended.ok() && whole) TRY(Release(appended->base_offsets[0] + count));
      if (appended.ok()) break;
      if (appended.error().code() != Code::kOverloaded) return appended.error();
      if (stop_) return Error(Code::kUnavailable, "the node stops");
      std::this_thread::sleep_for(kTryAgainEvery);
    }
  }
  return Ok();
}

}  // namespace millrace::runtime
