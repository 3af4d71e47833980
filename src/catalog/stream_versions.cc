#include "catalog/stream_versions.h"

#include <algorithm>

#include "base/check.h"
#include "catalog/relation_shape.h"
#include "catalog/sql_text.h"

namespace millrace::catalog {
namespace {

using duckdb::LogicalTypeId;

// How many bytes an integer has, signed or not; 0: it is none.
int SignedBytes(const duckdb::LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::TINYINT:
      return 1;
    case LogicalTypeId::SMALLINT:
      return 2;
    case LogicalTypeId::INTEGER:
      return 4;
    case LogicalTypeId::BIGINT:
      return 8;
    case LogicalTypeId::HUGEINT:
      return 16;
    default:
      return 0;
  }
}

int UnsignedBytes(const duckdb::LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::UTINYINT:
      return 1;
    case LogicalTypeId::USMALLINT:
      return 2;
    case LogicalTypeId::UINTEGER:
      return 4;
    case LogicalTypeId::UBIGINT:
      return 8;
    case LogicalTypeId::UHUGEINT:
      return 16;
    default:
      return 0;
  }
}

bool AppendsValues(const duckdb::LogicalType& from, const duckdb::LogicalType& to) {
  const size_t count = duckdb::EnumType::GetSize(from);
  if (duckdb::EnumType::GetSize(to) < count) return false;
  for (size_t i = 0; i < count; ++i) {
    if (duckdb::EnumType::GetString(from, i) != duckdb::EnumType::GetString(to, i)) return false;
  }
  return true;
}

bool SameColumn(const rows::Column& a, const rows::Column& b) {
  return a.id == b.id && a.type == b.type;
}

bool Has(const std::vector<rows::Column>& columns, const rows::Column& wanted) {
  return std::any_of(columns.begin(), columns.end(),
                     [&](const rows::Column& column) { return SameColumn(column, wanted); });
}

std::vector<std::string> KeyColumns(const StreamDefinition& stream) {
  std::vector<std::string> names = stream.partition_by;
  if (stream.watermark) names.push_back(stream.watermark->column);
  if (stream.deduplicate)
    names.insert(names.end(), stream.deduplicate->columns.begin(),
                 stream.deduplicate->columns.end());
  return names;
}

}  // namespace

VersionRange VersionAt(const StreamDefinition& stream, int32_t partition, int64_t offset) {
  for (const StreamVersion& version : stream.earlier) {
    // A partition that came later has no records of this version.
    if (static_cast<size_t>(partition) >= version.ends.size()) continue;
    const int64_t end = version.ends[static_cast<size_t>(partition)];
    if (offset < end) return {&version.schema, &version.checks, end};
  }
  return {&stream.schema, &stream.checks, std::nullopt};
}

std::optional<StreamDefinition> AsOf(const StreamDefinition& stream, uint64_t generation) {
  for (size_t i = 0; i < stream.earlier.size(); ++i) {
    const StreamVersion& version = stream.earlier[i];
    if (generation >= version.until) continue;
    StreamDefinition then = stream;
    then.schema = version.schema;
    then.checks = version.checks;
    then.earlier.resize(i);
    // The columns that keys and watermark are of may have had other names.
    const auto rename = [&](std::string& name) {
      const size_t now = *stream.schema.Find(name);
      name = then.schema.columns[*then.schema.FindId(stream.schema.columns[now].id)].name;
    };
    std::for_each(then.partition_by.begin(), then.partition_by.end(), rename);
    if (then.watermark) rename(then.watermark->column);
    if (then.deduplicate)
      std::for_each(then.deduplicate->columns.begin(), then.deduplicate->columns.end(), rename);
    return then;
  }
  return std::nullopt;
}

duckdb::Value ValueBefore(const StreamDefinition& stream, const rows::Column& column) {
  std::optional<duckdb::Value> value = column.default_value;
  for (const StreamVersion& version : stream.earlier) {
    const auto found = version.schema.FindId(column.id);
    if (!found) continue;
    value = version.schema.columns[*found].default_value;
    break;
  }
  return value ? value->DefaultCastAs(column.type) : duckdb::Value(column.type);
}

bool CanWiden(const duckdb::LogicalType& from, const duckdb::LogicalType& to) {
  if (SignedBytes(to) != 0) {
    return (SignedBytes(from) != 0 && SignedBytes(from) <= SignedBytes(to)) ||
           (UnsignedBytes(from) != 0 && UnsignedBytes(from) < SignedBytes(to));
  }
  if (UnsignedBytes(to) != 0)
    return UnsignedBytes(from) != 0 && UnsignedBytes(from) <= UnsignedBytes(to);
  if (from.id() == LogicalTypeId::FLOAT) return to.id() == LogicalTypeId::DOUBLE;
  if (from.id() == LogicalTypeId::DATE) return to.id() == LogicalTypeId::TIMESTAMP;
  if (from.id() != to.id()) return false;
  if (from.id() == LogicalTypeId::DECIMAL) {
    const int scale = duckdb::DecimalType::GetScale(from);
    const int wider_scale = duckdb::DecimalType::GetScale(to);
    return wider_scale >= scale && duckdb::DecimalType::GetWidth(to) - wider_scale >=
                                       duckdb::DecimalType::GetWidth(from) - scale;
  }
  return from.id() == LogicalTypeId::ENUM && AppendsValues(from, to);
}

int NextColumnId(const StreamDefinition& stream) {
  int last = 0;
  for (const rows::Column& column : stream.schema.columns) last = std::max(last, column.id);
  for (const StreamVersion& version : stream.earlier) {
    for (const rows::Column& column : version.schema.columns) last = std::max(last, column.id);
  }
  return last + 1;
}

Status KeepVersion(const StreamDefinition& before, StreamDefinition& after) {
  after.earlier = before.earlier;
  after.earlier.push_back({before.schema, before.checks, 0, {}});
  if (after.schema.columns.empty()) {
    return Error(Code::kInvalidArgument, "a stream needs at least one column").SqlState("42P16");
  }
  if (after.earlier.size() > kStreamVersionsMax) {
    return Error(Code::kTooLarge, "the columns of a stream can be altered {} times",
                 kStreamVersionsMax);
  }
  if (EngineLayout(after).width() > kStreamColumnsMax + kHiddenStreamColumns) {
    return Error(Code::kTooLarge, "more than {} columns, those that were dropped included",
                 kStreamColumnsMax);
  }
  return Ok();
}

Result<StreamDefinition> Evolve(const StreamDefinition& before, const StreamDefinition& wanted) {
  StreamDefinition after = wanted;
  int next_id = NextColumnId(before);
  for (rows::Column& column : after.schema.columns) {
    const auto found = before.schema.Find(column.name);
    if (!found) {
      if (column.not_null && (!column.default_value || column.default_value->IsNull())) {
        return Error(Code::kInvalidArgument,
                     "column {} is new and NOT NULL, and rows that are there have no DEFAULT for "
                     "it",
                     Quoted(column.name));
      }
      column.id = next_id++;
      continue;
    }
    const rows::Column& old = before.schema.columns[*found];
    column.id = old.id;
    column.aliases = old.aliases;
    if (old.type == column.type) continue;
    const std::vector<std::string> keys = KeyColumns(before);
    const bool is_key = std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
      return rows::EqualNames(key, old.name);
    });
    if (is_key || !CanWiden(old.type, column.type)) {
      return Error(Code::kInvalidArgument, "column {} was {} and is {}", Quoted(column.name),
                   TypeText(old.type), TypeText(column.type));
    }
  }
  TRY(KeepVersion(before, after));
  return after;
}

std::vector<int> Touched(const StreamDefinition& before, const StreamDefinition& after) {
  std::vector<int> touched;
  for (const rows::Column& column : before.schema.columns) {
    const auto found = after.schema.FindId(column.id);
    if (!found || after.schema.columns[*found].type != column.type ||
        !rows::EqualNames(after.schema.columns[*found].name, column.name))
      touched.push_back(column.id);
  }
  return touched;
}

EngineLayout::EngineLayout(const StreamDefinition& stream) {
  first_ = stream.earlier.empty() ? stream.schema.columns : stream.earlier[0].schema.columns;
  const auto add = [&](const rows::Schema& schema) {
    for (const rows::Column& column : schema.columns) {
      if (!Has(first_, column) && !Has(later_, column)) later_.push_back(column);
    }
  };
  for (const StreamVersion& version : stream.earlier) add(version.schema);
  add(stream.schema);
  plain_ = later_.empty() && std::equal(first_.begin(), first_.end(), stream.schema.columns.begin(),
                                        stream.schema.columns.end(), SameColumn);
}

size_t EngineLayout::width() const { return first_.size() + kHiddenStreamColumns + later_.size(); }

std::vector<size_t> EngineLayout::PositionsOf(const rows::Schema& version) const {
  std::vector<size_t> positions;
  for (const rows::Column& column : version.columns) {
    const auto same = [&](const rows::Column& other) { return SameColumn(column, other); };
    const auto at = std::find_if(first_.begin(), first_.end(), same);
    if (at != first_.end()) {
      positions.push_back(static_cast<size_t>(at - first_.begin()));
      continue;
    }
    const auto later = std::find_if(later_.begin(), later_.end(), same);
    CHECK(later != later_.end()) << "column " << column.name << " is of no version of the stream";
    positions.push_back(hidden() + kHiddenStreamColumns +
                        static_cast<size_t>(later - later_.begin()));
  }
  for (size_t i = 0; i < kHiddenStreamColumns; ++i) positions.push_back(hidden() + i);
  return positions;
}

rows::Schema EngineLayout::schema() const {
  rows::Schema schema;
  schema.columns = first_;
  for (rows::Column& column : HiddenColumns()) schema.columns.push_back(std::move(column));
  schema.columns.insert(schema.columns.end(), later_.begin(), later_.end());
  return schema;
}

}  // namespace millrace::catalog
