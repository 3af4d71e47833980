#include "catalog/compare.h"

#include <algorithm>

#include "catalog/sql_text.h"
#include "catalog/stream_versions.h"

namespace millrace::catalog {
namespace {

using What = Comparison::What;

Comparison Incompatible(std::string reason) { return {What::kIncompatible, std::move(reason)}; }
Comparison InPlace(std::string reason) { return {What::kInPlace, std::move(reason)}; }

bool SameNames(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), rows::EqualNames);
}

bool SameConstant(const std::optional<duckdb::Value>& a, const std::optional<duckdb::Value>& b) {
  if (a.has_value() != b.has_value()) return false;
  return !a || (a->type() == b->type() && ConstantText(*a) == ConstantText(*b));
}

bool SameChecks(const std::vector<Check>& a, const std::vector<Check>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Check& x, const Check& y) {
    return SameExpression(x.expression, y.expression);
  });
}

// The first difference of two column lists, empty where there is none.
std::string ColumnDifference(const rows::Schema& before, const rows::Schema& after) {
  for (const rows::Column& column : after.columns) {
    if (!before.Find(column.name)) return fmt::format("column {} is new", Quoted(column.name));
  }
  for (const rows::Column& column : before.columns) {
    if (!after.Find(column.name)) return fmt::format("column {} is gone", Quoted(column.name));
  }
  for (size_t i = 0; i < before.columns.size(); ++i) {
    const rows::Column& old = before.columns[i];
    const rows::Column& now = after.columns[i];
    if (!rows::EqualNames(old.name, now.name)) return "the columns stand in another order";
    if (old.type != now.type) {
      return fmt::format("column {} was {} and is {}", Quoted(now.name), TypeText(old.type),
                         TypeText(now.type));
    }
    if (old.not_null != now.not_null) {
      return fmt::format("column {} {}", Quoted(now.name),
                         now.not_null ? "became NOT NULL" : "lost NOT NULL");
    }
    if (!SameConstant(old.default_value, now.default_value)) {
      return fmt::format("the default of column {} changed", Quoted(now.name));
    }
  }
  return "";
}

// Columns and CHECKs that can be altered with the rows kept, or why they cannot.
Comparison Columns(const StreamDefinition& a, const StreamDefinition& b) {
  if (ReadsAsBefore(a, b)) return {};
  const auto evolved = Evolve(a, b);
  if (!evolved.ok()) return Incompatible(evolved.error().message());
  const std::string difference = ColumnDifference(a.schema, b.schema);
  return InPlace(difference.empty() ? "its CHECKs changed" : difference);
}

Comparison Of(const StreamDefinition& a, const StreamDefinition& b) {
  const auto is_raw = [](const StreamDefinition& stream) {
    return stream.format == StreamDefinition::Format::kRaw;
  };
  if (is_raw(a) != is_raw(b)) return Incompatible("its format changed");
  Comparison columns = Columns(a, b);
  if (columns.what == What::kIncompatible) return columns;
  if (!SameNames(a.partition_by, b.partition_by)) return Incompatible("its PARTITION BY changed");
  const bool same_watermark =
      a.watermark.has_value() == b.watermark.has_value() &&
      (!a.watermark || (rows::EqualNames(a.watermark->column, b.watermark->column) &&
                        a.watermark->delay == b.watermark->delay));
  if (!same_watermark) return Incompatible("its WATERMARK changed");
  const bool same_keys =
      a.deduplicate.has_value() == b.deduplicate.has_value() &&
      (!a.deduplicate || (SameNames(a.deduplicate->columns, b.deduplicate->columns) &&
                          a.deduplicate->within == b.deduplicate->within));
  if (!same_keys) return Incompatible("its DEDUPLICATE ON changed");
  if (a.late != b.late) return Incompatible("its option late changed");
  if (columns.what == What::kInPlace) return columns;
  if (a.format != b.format) return InPlace("its format changed");
  // They only become more: where there are more already, somebody asked for them meanwhile.
  if (a.partitions < b.partitions) return InPlace("it has more partitions");
  if (a.on_invalid != b.on_invalid || a.retention != b.retention ||
      a.retention_bytes != b.retention_bytes || a.idle_after != b.idle_after ||
      a.future_max != b.future_max || a.durability != b.durability || a.storage != b.storage) {
    return InPlace("its options changed");
  }
  return {};
}

Comparison Of(const TableDefinition& a, const TableDefinition& b) {
  if (std::string difference = ColumnDifference(a.schema, b.schema); !difference.empty()) {
    return Incompatible(difference + " (ALTER TABLE is not available yet)");
  }
  if (!SameNames(a.primary_key, b.primary_key)) return Incompatible("its PRIMARY KEY changed");
  if (!rows::EqualNames(a.topic, b.topic)) return Incompatible("its topic changed");
  if (a.format != b.format) return Incompatible("its format changed");
  if (!SameChecks(a.checks, b.checks)) return InPlace("its CHECKs changed");
  if (a.seed != b.seed) return InPlace("its seed changed");
  return {};
}

Comparison Of(const ViewDefinition& a, const ViewDefinition& b) {
  if (a.materialized != b.materialized) {
    return InPlace(b.materialized ? "it became materialized" : "it is no longer materialized");
  }
  if (!SameSelect(a.select, b.select)) return InPlace("its SELECT changed");
  if (a.emit_on_close != b.emit_on_close) return InPlace("its EMIT ON WINDOW CLOSE changed");
  if (a.on_error != b.on_error || a.history != b.history || a.memory_max != b.memory_max ||
      a.changes != b.changes)
    return InPlace("its options changed");
  if (a.retention != b.retention || a.retention_bytes != b.retention_bytes)
    return {Comparison::What::kSettings, "the retention of its changes changed"};
  return {};
}

Comparison Of(const IndexDefinition& a, const IndexDefinition& b) {
  if (!rows::EqualNames(a.relation, b.relation)) return InPlace("it stands on another relation");
  if (!SameNames(a.columns, b.columns)) return InPlace("its columns changed");
  return {};
}

Comparison Of(const SourceDefinition& a, const SourceDefinition& b) {
  if (!rows::EqualNames(a.into, b.into)) return InPlace("it writes into another relation");
  if (a.connector != b.connector) return InPlace("its connector changed");
  if (a.options != b.options) return InPlace("its options changed");
  return {};
}

Comparison Of(const EndpointDefinition& a, const EndpointDefinition& b) {
  if (a.method != b.method || a.path != b.path) return InPlace("its address changed");
  const auto same = [](const EndpointDefinition::Parameter& x,
                       const EndpointDefinition::Parameter& y) {
    return x.name == y.name && x.type == y.type && SameConstant(x.default_value, y.default_value) &&
           SameExpression(x.check, y.check);
  };
  if (!std::equal(a.parameters.begin(), a.parameters.end(), b.parameters.begin(),
                  b.parameters.end(), same)) {
    return InPlace("its parameters changed");
  }
  if (!SameSelect(a.select, b.select)) return InPlace("its SELECT changed");
  return {};
}

Comparison Of(const TypeDefinition& a, const TypeDefinition& b) {
  if (a.values == b.values) return {};
  const bool appended = b.values.size() > a.values.size() &&
                        std::equal(a.values.begin(), a.values.end(), b.values.begin());
  return InPlace(appended ? "it has new values" : "its values changed");
}

Comparison Of(const MacroDefinition& a, const MacroDefinition& b) {
  return SameMacro(a.body, b.body) ? Comparison() : InPlace("its body changed");
}

// Where a file is does not matter, only what it holds.
Comparison Of(const ModelDefinition& a, const ModelDefinition& b) {
  return a.digest == b.digest ? Comparison() : InPlace("the content of its file changed");
}

}  // namespace

bool GivesColumns(const Object& before, const Object& after) {
  using Format = StreamDefinition::Format;
  const auto* raw = std::get_if<StreamDefinition>(&before.definition);
  const auto* rows = std::get_if<StreamDefinition>(&after.definition);
  return raw != nullptr && rows != nullptr && raw->format == Format::kRaw &&
         rows->format != Format::kRaw;
}

void TakeOver(const Object& before, Object& after) {
  const auto& raw = std::get<StreamDefinition>(before.definition);
  auto& rows = std::get<StreamDefinition>(after.definition);
  rows.partitions = std::max(rows.partitions, raw.partitions);
  if (!rows.retention) rows.retention = raw.retention;
  if (!rows.retention_bytes) rows.retention_bytes = raw.retention_bytes;
  after.topic_id = before.topic_id;
}

void KeepSettings(const ViewDefinition& from, ViewDefinition& to) {
  to.retention = from.retention;
  to.retention_bytes = from.retention_bytes;
}

bool ReadsAsBefore(const StreamDefinition& before, const StreamDefinition& after) {
  return ColumnDifference(before.schema, after.schema).empty() &&
         SameChecks(before.checks, after.checks);
}

Comparison Compare(const Definition& before, const Definition& after) {
  if (before.index() != after.index()) return Incompatible("it is another kind of object");
  return std::visit(
      [&](const auto& b) { return Of(std::get<std::decay_t<decltype(b)>>(before), b); }, after);
}

}  // namespace millrace::catalog
