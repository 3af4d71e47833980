// What happens to the feeds of views that are replaced.
#include "base/logging.h"
#include "rows/decode_rows.h"
#include "runtime/pipeline.h"

namespace millrace::runtime {

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
Status Pipeline::FeedDifference(const Relation& before, const Relation& after) {
  const rows::Types& types = after.content->types();
  const state::Step step{state_.step.value + 1};
  const bool same = before.content->types() == types;
  feeds_->Replace(before.internal_name, after.internal_name, step, same);
  if (!same) return Ok();
  rows::Batch difference;
  for (uint32_t part = 0; part < state::ViewTable::kParts; ++part) {
    std::map<std::string_view, rows::Weight>
        changed;  // what they name stays while nothing is applied
    after.content->ScanParts(
        part, part + 1, [&](std::string_view row, rows::Weight weight) { changed[row] += weight; });
    before.content->ScanParts(
        part, part + 1, [&](std::string_view row, rows::Weight weight) { changed[row] -= weight; });
    std::erase_if(changed, [](const auto& item) { return item.second == 0; });
    std::vector<std::string_view> encoded;
    std::vector<rows::Weight> weights;
    for (const auto& [row, weight] : changed) {
      encoded.push_back(row);
      weights.push_back(weight);
    }
    TRY(rows::Batch of_part, rows::DecodeRows(types, encoded, weights));
    difference.Append(std::move(of_part));
  }
  feeds_->Add(after.internal_name, step, state_.clock, difference, types);
  return Ok();
}

}  // namespace millrace::runtime
