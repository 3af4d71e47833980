#include "http/live_content.h"

#include <algorithm>
#include <unordered_map>

#include "base/coding.h"
#include "rows/encode.h"

namespace millrace::http {
namespace {

constexpr size_t kEventPieceBytes = 64 * 1024;
// What a row takes beside its text, about: in the content, and while it is compared.
constexpr size_t kRowOverhead = 64;
constexpr size_t kNone = SIZE_MAX;

std::string ShapeOf(const rows::Schema& schema, bool ordered) {
  std::string text;
  for (const rows::Column& column : schema.columns)
    text += (text.empty() ? "" : ", ") + column.name + " " + column.type.ToString();
  return text + (ordered ? ", ordered" : "");
}

// Of each row after, which row before it is; kNone: a new one. Equal rows are paired in their
// order.
std::vector<size_t> Pair(const std::vector<std::string>& before,
                         const std::vector<std::string>& after) {
  std::unordered_map<std::string_view, size_t> first;  // of equal rows that are not paired yet
  std::vector<size_t> next(before.size(), kNone);      // the next of them
  for (size_t i = before.size(); i-- > 0;) {
    const auto [place, is_new] = first.emplace(before[i], i);
    if (is_new) continue;
    next[i] = place->second;
    place->second = i;
  }
  std::vector<size_t> pairs(after.size(), kNone);
  for (size_t i = 0; i < after.size(); ++i) {
    const auto found = first.find(after[i]);
    if (found == first.end() || found->second == kNone) continue;
    pairs[i] = found->second;
    found->second = next[found->second];
  }
  return pairs;
}

// Keeps the longest rising sequence of the pairs: rows that stay where they are among each other.
// (Patience sorting: tails[n] is the pair that the best sequence of n + 1 ends with.)
void KeepRising(std::vector<size_t>& pairs) {
  std::vector<size_t> tails;
  std::vector<size_t> previous(pairs.size(), kNone);
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i] == kNone) continue;
    const auto place =
        std::lower_bound(tails.begin(), tails.end(), pairs[i],
                         [&](size_t tail, size_t value) { return pairs[tail] < value; });
    if (place != tails.begin()) previous[i] = *(place - 1);
    if (place == tails.end()) {
      tails.push_back(i);
    } else {
      *place = i;
    }
  }
  std::vector<bool> kept(pairs.size(), false);
  for (size_t i = tails.empty() ? kNone : tails.back(); i != kNone; i = previous[i]) kept[i] = true;
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (!kept[i]) pairs[i] = kNone;
  }
}

void AppendRows(std::string& out, std::string_view name, const std::vector<std::string>& rows,
                const std::vector<size_t>& which) {
  out += fmt::format(", \"{}\": [", name);
  for (size_t i = 0; i < which.size(); ++i) {
    if (i > 0) out += ", ";
    out += rows[which[i]];
  }
  out += ']';
}

}  // namespace

LiveContent::~LiveContent() { budget_->Give(bytes_); }

Result<std::shared_ptr<const LiveContent>> LiveContent::Make(const runtime::EndpointAnswer& answer,
                                                             bool numbers_as_strings,
                                                             size_t bytes_max,
                                                             std::shared_ptr<MemoryBudget> budget) {
  const rows::Schema& schema = answer.rows.schema;
  rows::RowWriter writer(schema.names(), rows::TextOptions{numbers_as_strings});
  std::vector<std::string> rows;
  size_t bytes = sizeof(LiveContent);
  for (const auto& chunk : answer.rows.chunks) {
    writer.Bind(*chunk);
    for (size_t row = 0; row < chunk->size(); ++row) {
      std::string text;
      writer.JsonObject(row, text);
      bytes += text.size() + kRowOverhead;
      rows.push_back(std::move(text));
      if (bytes <= bytes_max) continue;
      return Error(Code::kTooLarge, "the answer is too large to be followed live: over {} bytes",
                   bytes_max)
          .Hint("ask for fewer rows, or without text/event-stream");
    }
  }
  if (!budget->TryTake(bytes)) {
    return Error(Code::kOverloaded, "live answers hold {} bytes, of {} that they may",
                 budget->used(), budget->bytes_max())
        .Hint("try again later");
  }
  // Owns the bytes from here on.
  std::shared_ptr<LiveContent> content(new LiveContent(bytes, std::move(budget)));
  content->shape_ = ShapeOf(schema, answer.ordered);
  content->ordered_ = answer.ordered;
  content->id_ = {answer.step, DigestOf(rows, answer.ordered)};
  content->rows_ = std::move(rows);
  return std::shared_ptr<const LiveContent>(std::move(content));
}

uint64_t DigestOf(const std::vector<std::string>& rows, bool ordered) {
  uint64_t digest = rows.size();
  for (const std::string& row : rows)
    digest = ordered ? StableHash(row, digest) : digest + StableHash(row);
  return digest;
}

LiveDifference Difference(const std::vector<std::string>& before,
                          const std::vector<std::string>& after, bool ordered) {
  std::vector<size_t> pairs = Pair(before, after);
  if (ordered) KeepRising(pairs);
  std::vector<bool> stays(before.size(), false);
  LiveDifference difference;
  for (size_t i = 0; i < after.size(); ++i) {
    if (pairs[i] == kNone) {
      difference.added.push_back(i);
    } else {
      stays[pairs[i]] = true;
    }
  }
  for (size_t i = 0; i < before.size(); ++i) {
    if (!stays[i]) difference.removed.push_back(i);
  }
  return difference;
}

std::string ChangeJson(const LiveContent& before, const LiveContent& after,
                       const LiveDifference& difference) {
  std::string out = fmt::format("{{\"step\": {}", after.id().step);
  AppendRows(out, "removed", before.rows(), difference.removed);
  AppendRows(out, "added", after.rows(), difference.added);
  if (after.ordered()) {
    out += fmt::format(", \"removed_at\": [{}], \"added_at\": [{}]",
                       fmt::join(difference.removed, ", "), fmt::join(difference.added, ", "));
  }
  return out + "}";
}

std::string SnapshotWriter::Next() {
  std::string out;
  if (ended_) return out;
  if (!began_) {
    began_ = true;
    out = head_ + "[";
  }
  const std::vector<std::string>& rows = content_->rows();
  for (; row_ < rows.size() && out.size() < kEventPieceBytes; ++row_) {
    if (row_ > 0) out += between_;
    out += rows[row_];
  }
  if (row_ < rows.size()) return out;
  ended_ = true;
  return out + "]" + tail_;
}

SnapshotWriter SnapshotEvent(std::shared_ptr<const LiveContent> content) {
  std::string head = EventHead("snapshot", ToString(content->id())) + "data: ";
  return {std::move(content), std::move(head), ",\ndata: ", "\n\n"};
}

}  // namespace millrace::http
