// What happens to the feeds of views that are replaced.
#include <algorithm>

#include "base/logging.h"
#include "rows/decode_rows.h"
#include "runtime/pipeline.h"

namespace millrace::runtime {

namespace {
// Of two contents that are compared, about.
constexpr size_t kRowsAtOnce = 500'000;

// REQUIRES: as ViewTable::ScanParts.
Result<rows::Batch> Difference(const state::ViewTable& before, const state::ViewTable& after) {
  rows::Batch difference;
  const size_t rows = std::max(before.row_count(), after.row_count());
  const auto parts_at_once = static_cast<uint32_t>(
      std::clamp<size_t>(kRowsAtOnce * state::ViewTable::kParts / std::max<size_t>(rows, 1), 1,
                         state::ViewTable::kParts));
  // By one key each part is read by itself; else both are gone through for each part.
  const std::vector<size_t> by = before.key() == after.key() ? after.key() : std::vector<size_t>();
  for (uint32_t part = 0; part < state::ViewTable::kParts; part += parts_at_once) {
    const state::ViewTable::Parts parts{
        part, std::min(part + parts_at_once, state::ViewTable::kParts), 1, by};
    std::map<std::string, rows::Weight, std::less<>> changed;
    TRY(after.ScanParts(parts, [&](std::string_view row, rows::Weight weight) {
      changed[std::string(row)] += weight;
    }));
    TRY(before.ScanParts(parts, [&](std::string_view row, rows::Weight weight) {
      changed[std::string(row)] -= weight;
    }));
    std::erase_if(changed, [](const auto& item) { return item.second == 0; });
    std::vector<std::string_view> encoded;
    std::vector<rows::Weight> weights;
    for (const auto& [row, weight] : changed) {
      encoded.push_back(row);
      weights.push_back(weight);
    }
    TRY(rows::Batch of_part, rows::DecodeRows(after.types(), encoded, weights));
    difference.Append(std::move(of_part));
  }
  return difference;
}

}  // namespace

Status Pipeline::BeforeSwitch(const catalog::Catalog& after) {
  for (const catalog::Object* old : catalog_->InOrder()) {
    if (!HoldsRows(*old) || !feeds_->follows(InternalName(*old))) continue;
    const catalog::Object* now = after.Find(old->kind(), old->name());
    if (now == nullptr || InternalName(*now) == InternalName(*old)) continue;
    const Relation& present = *relations_.at(InternalName(*old));
    const auto next = relations_.find(InternalName(*now));
    if (next == relations_.end() || next->second->content == nullptr) continue;
    TRY(FeedDifference(present, *next->second));
  }
  return Ok();
}

// The rows of `after` less those of `before`, both as of the last step, as changes of the next one.
// Where they cannot be told, followers begin anew.
Status Pipeline::FeedDifference(const Relation& before, const Relation& after) {
  const rows::Types& types = after.content->types();
  const state::Step step{state_.step.value + 1};
  std::optional<rows::Batch> difference;
  if (before.content->types() == types &&
      before.shape.schema.names() == after.shape.schema.names()) {
    auto found = Difference(*before.content, *after.content);
    if (!found.ok() && !OnlyOfTheContent(found.error())) return found.error();
    if (found.ok()) {
      difference = *std::move(found);
    } else {
      LOG_ERROR("followers of a view begin anew", "view={} error={}", before.object.name(),
                found.error().message());
    }
  }
  feeds_->Replace(before.internal_name, after.internal_name, step, difference.has_value());
  if (difference) feeds_->Add(after.internal_name, step, state_.clock, *difference, types);
  return Ok();
}

}  // namespace millrace::runtime
