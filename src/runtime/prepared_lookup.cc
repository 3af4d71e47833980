#include "runtime/prepared_lookup.h"

#include <algorithm>

namespace millrace::runtime {

namespace {

constexpr size_t kCachedMax = 512;
constexpr size_t kCachedTextBytesMax = 4'096;

}  // namespace

std::shared_ptr<const PreparedLookup> PreparedLookup::Recognise(const Published& published,
                                                                const std::string& select) {
  std::optional<KeyedLookup> lookup =
      RecogniseKeyedLookup(select, {*published.relations, *published.catalog});
  if (!lookup) return nullptr;
  return std::shared_ptr<const PreparedLookup>(
      new PreparedLookup(published.catalog->version(), *std::move(lookup)));
}

Result<std::optional<sql::QueryResult>> PreparedLookup::Answer(const Published& published,
                                                               const LookupValues& values) const {
  if (published.catalog->version() != catalog_version_) return std::optional<sql::QueryResult>();
  // No use while rows are on disk only: then the order would be kept for nothing.
  const state::ViewTable& content = *lookup_.relation->content;
  if (lookup_.path == KeyedLookup::Path::kRange && content.cold_entry_count() == 0 &&
      !content.HasOrder(lookup_.index))
    TRY(MakeIndexOf(lookup_));
  return AnswerKeyed(lookup_, values, published.state.step);
}

bool PreparedLookup::IsQuick(const Published& published) const {
  return published.catalog->version() == catalog_version_ && runtime::IsQuick(lookup_);
}

bool PreparedLookup::AsInUtc(std::string_view time_zone) const {
  if (time_zone == sql::Caller().time_zone) return true;
  const auto has_zone = [&](size_t column) {
    return lookup_.relation->shape.schema.columns[column].type.id() ==
           duckdb::LogicalTypeId::TIMESTAMP_TZ;
  };
  if (lookup_.range && has_zone(lookup_.range->column)) return false;
  return std::none_of(lookup_.equals.begin(), lookup_.equals.end(),
                      [&](const KeyedLookup::Equal& equal) { return has_zone(equal.column); });
}

std::string PreparedLookup::Explain(const Published& published) const {
  std::string text = ExplainLookup(lookup_);
  const state::ViewTable& content = *lookup_.relation->content;
  if (content.cold_entry_count() == 0) return text;
  if (lookup_.path == KeyedLookup::Path::kKeys && lookup_.index == content.key()) return text;
  return fmt::format("SCAN by DuckDB at step {}, for a part of {} is on disk only; else:\n",
                     published.state.step.value, Quoted(lookup_.relation->object.name())) +
         text;
}

std::shared_ptr<const PreparedLookup> LookupCache::Find(const Published& published,
                                                        const std::string& select) {
  if (select.size() > kCachedTextBytesMax) return PreparedLookup::Recognise(published, select);
  {
    const std::lock_guard lock(mutex_);
    if (catalog_version_ == published.catalog->version()) {
      const auto known = lookups_.find(select);
      if (known != lookups_.end()) return known->second;
    }
  }
  auto lookup = PreparedLookup::Recognise(published, select);
  const std::lock_guard lock(mutex_);
  if (catalog_version_ > published.catalog->version()) return lookup;
  if (catalog_version_ < published.catalog->version() || lookups_.size() >= kCachedMax)
    lookups_.clear();
  catalog_version_ = published.catalog->version();
  lookups_.emplace(select, lookup);
  return lookup;
}

}  // namespace millrace::runtime
