#include "sql/column_scan.h"

#include <set>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/table_catalog_entry.hpp"
#include "duckdb/function/table/table_scan.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/optimizer/optimizer.hpp"
#include "duckdb/optimizer/optimizer_extension.hpp"
#include "duckdb/planner/binder.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/operator/list.hpp"
#include "sql/column_copy.h"
#include "sql/column_tables.h"
#include "sql/relation_binding.h"

namespace millrace::sql {
namespace {

using duckdb::ColumnBinding;
using duckdb::ExpressionType;
using duckdb::LogicalGet;
using duckdb::LogicalType;
using duckdb::make_uniq;
using Expressions = duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>;
using Operator = duckdb::unique_ptr<duckdb::LogicalOperator>;

using ColumnIds = duckdb::vector<duckdb::ColumnIndex>;

bool HasAll(const ColumnCopy& copy) { return copy.records == copy.records_all; }

struct ColumnScanInfo final : duckdb::OptimizerExtensionInfo {
  explicit ColumnScanInfo(std::string name) : database(std::move(name)) {}
  const std::string database;
};

// What EXPLAIN says of the scan of a copy, instead of its name.
struct CopyText final : duckdb::TableFunctionInfo {
  std::string stream;
  std::string covered;
};

duckdb::InsertionOrderPreservingMap<duckdb::string> DescribeCopy(
    duckdb::TableFunctionToStringInput& input) {
  const auto& text = input.table_function.function_info->Cast<CopyText>();
  duckdb::InsertionOrderPreservingMap<duckdb::string> lines;
  lines["Column cache"] = text.stream;
  lines["Covers"] = text.covered;
  return lines;
}

// DuckDB plans by what the table holds then, and may run the plan when a chunk more is in. That is
// right for all columns but the chunk itself, whose filter would be left out as always true.
bool IsChunk(const duckdb::FunctionData* scan, duckdb::column_t column) {
  const auto& columns = scan->Cast<duckdb::TableScanBindData>().table.GetColumns();
  return column + 1 == columns.LogicalColumnCount();
}

duckdb::unique_ptr<duckdb::BaseStatistics> StatisticsButOfChunk(duckdb::ClientContext& client,
                                                                const duckdb::FunctionData* scan,
                                                                duckdb::column_t column) {
  const auto statistics = duckdb::TableScanFunction::GetFunction().statistics;
  if (statistics == nullptr || IsChunk(scan, column)) return nullptr;
  return statistics(client, scan, column);
}

duckdb::unique_ptr<duckdb::BaseStatistics> ExtendedStatisticsButOfChunk(
    duckdb::ClientContext& client, duckdb::TableFunctionGetStatisticsInput& input) {
  const auto statistics = duckdb::TableScanFunction::GetFunction().statistics_extended;
  if (statistics == nullptr || IsChunk(input.bind_data.get(), input.column_index.GetPrimaryIndex()))
    return nullptr;
  return statistics(client, input);
}

// And so that nothing is answered by the number of rows that the table has then.
void ForgetSize(duckdb::TableFunction& scan) {
  if (scan.statistics != nullptr) scan.statistics = StatisticsButOfChunk;
  if (scan.statistics_extended != nullptr) scan.statistics_extended = ExtendedStatisticsButOfChunk;
  scan.get_partition_stats = nullptr;
  scan.set_scan_order = nullptr;
}

duckdb::unique_ptr<duckdb::Expression> Constant(duckdb::Value value) {
  return make_uniq<duckdb::BoundConstantExpression>(std::move(value));
}

duckdb::unique_ptr<duckdb::Expression> Compare(ExpressionType type,
                                               duckdb::unique_ptr<duckdb::Expression> left,
                                               duckdb::Value right) {
  return make_uniq<duckdb::BoundComparisonExpression>(type, std::move(left),
                                                      Constant(std::move(right)));
}

// The scan of a copy's table, which gives the columns that are asked of it, in the order of asking.
class CopyScan {
 public:
  CopyScan(duckdb::ClientContext& client, duckdb::Binder& binder, const std::string& database,
           const ScanBinding& stream, const ColumnCopy& copy)
      : shape_(stream.shape) {
    auto& table = duckdb::Catalog::GetEntry<duckdb::TableCatalogEntry>(client, database,
                                                                       DEFAULT_SCHEMA, copy.table);
    duckdb::unique_ptr<duckdb::FunctionData> bind_data;
    duckdb::TableFunction function = table.GetScanFunction(client, bind_data);
    auto text = duckdb::make_shared_ptr<CopyText>();
    text->stream = stream.relation;
    text->covered = fmt::format("{} of {} records", copy.records, copy.records_all);
    function.function_info = std::move(text);
    function.to_string = DescribeCopy;
    ForgetSize(function);
    scan_ = make_uniq<LogicalGet>(binder.GenerateTableIndex(), std::move(function),
                                  std::move(bind_data), table.GetColumns().GetColumnTypes(),
                                  table.GetColumns().GetColumnNames(), table.GetVirtualColumns());
  }

  // `column`: of the stream's shape; the one behind them is the chunk.
  duckdb::unique_ptr<duckdb::Expression> Column(size_t column) {
    scan_->AddColumnId(column);
    return make_uniq<duckdb::BoundColumnRefExpression>(
        scan_->returned_types[column],
        ColumnBinding(scan_->table_index, scan_->GetColumnIds().size() - 1));
  }

  // Leaves out what the copy does not mean: later chunks, and rows that are gone from the stream.
  Operator Filtered(const ColumnCopy& copy) && {
    const size_t width = shape_.schema.columns.size();
    auto filter = make_uniq<duckdb::LogicalFilter>();
    filter->expressions.push_back(Compare(ExpressionType::COMPARE_LESSTHAN, Column(width),
                                          duckdb::Value::BIGINT(copy.chunks_end)));
    for (const ColumnCopy::Part& part : copy.parts) {
      if (part.begin <= part.first) continue;
      filter->expressions.push_back(make_uniq<duckdb::BoundConjunctionExpression>(
          ExpressionType::CONJUNCTION_OR,
          Compare(ExpressionType::COMPARE_NOTEQUAL, Column(shape_.visible),
                  duckdb::Value::INTEGER(part.partition)),
          Compare(ExpressionType::COMPARE_GREATERTHANOREQUALTO, Column(shape_.visible + 1),
                  duckdb::Value::BIGINT(part.begin))));
    }
    filter->children.push_back(std::move(scan_));
    return filter;
  }

 private:
  const catalog::RelationShape& shape_;
  duckdb::unique_ptr<LogicalGet> scan_;
};

class Rewriter {
 public:
  Rewriter(duckdb::OptimizerExtensionInput& input, QueryContext& query)
      : client_(input.context),
        binder_(input.optimizer.binder),
        database_(static_cast<const ColumnScanInfo&>(*input.info).database),
        query_(query) {}

  void Visit(Operator& op) {
    for (auto& child : op->children) Visit(child);
    if (op->type != duckdb::LogicalOperatorType::LOGICAL_GET) return;
    auto& get = op->Cast<LogicalGet>();
    RefuseForeign(get);
    const ScanBinding* binding = BindingOf(get);
    if (binding == nullptr || binding->row_numbers || get.ordinality_idx.IsValid()) return;
    if (const auto copy = query_.CopyOf(binding->relation)) op = InParts(get, *binding, *copy);
  }

 private:
  // A user's text names what is not the user's, or asks for the names of databases.
  void RefuseForeign(const LogicalGet& get) const {
    const auto table = get.GetTable();
    const bool ours =
        table && duckdb::StringUtil::CIEquals(table->ParentCatalog().GetName(), database_);
    static const std::set<std::string> internals = {"pragma_database_size", "pragma_storage_info",
                                                    "pragma_metadata_info", "duckdb_table_sample"};
    if (ours || internals.contains(get.function.name)) {
      throw duckdb::PermissionException(
          "the storage of the embedded DuckDB cannot be read; what there is of the column cache "
          "stands in millrace.column_cache");
    }
  }

  // `get` by the copy and what it does not have, under its table index.
  Operator InParts(LogicalGet& get, const ScanBinding& binding, const ColumnCopy& copy) {
    ColumnIds ids = get.GetColumnIds();
    if (ids.empty()) ids.emplace_back(duckdb::COLUMN_IDENTIFIER_EMPTY);
    if (HasAll(copy)) return Copied(get.table_index, ids, binding, copy);
    auto copied = Copied(binder_.GenerateTableIndex(), ids, binding, copy);
    auto rest =
        make_uniq<LogicalGet>(binder_.GenerateTableIndex(), get.function, get.bind_data->Copy(),
                              get.returned_types, get.names, get.virtual_columns);
    rest->SetColumnIds(ColumnIds(ids));
    auto beyond = std::make_shared<ColumnCopy>(copy);
    beyond->pin.reset();  // a plan may be kept for longer than the table
    BindingOf(*rest)->beyond = std::move(beyond);
    auto both = make_uniq<duckdb::LogicalSetOperation>(
        get.table_index, ids.size(), std::move(copied), std::move(rest),
        duckdb::LogicalOperatorType::LOGICAL_UNION, /*setop_all=*/true);
    both->ResolveOperatorTypes();
    return both;
  }

  // The rows of the copy, with the columns that a scan of the stream gives.
  Operator Copied(duckdb::idx_t table_index, const ColumnIds& ids, const ScanBinding& binding,
                  const ColumnCopy& copy) {
    CopyScan scan(client_, binder_, database_, binding, copy);
    Expressions columns;
    for (const duckdb::ColumnIndex& id : ids) {
      const std::optional<size_t> column = binding.ColumnOf(id.GetPrimaryIndex());
      columns.push_back(column ? scan.Column(*column)
                               : Constant(duckdb::Value(LogicalType::BOOLEAN)));
    }
    auto copied = make_uniq<duckdb::LogicalProjection>(table_index, std::move(columns));
    copied->children.push_back(std::move(scan).Filtered(copy));
    copied->ResolveOperatorTypes();
    return copied;
  }

  duckdb::ClientContext& client_;
  duckdb::Binder& binder_;
  const std::string& database_;
  QueryContext& query_;
};

void Rewrite(duckdb::OptimizerExtensionInput& input, Operator& plan) {
  const auto query = input.context.registered_state->Get<QueryContext>("millrace");
  if (query) Rewriter(input, *query).Visit(plan);  // else it is ColumnTables' own
}

}  // namespace

bool SamePlan(const ColumnCopy& a, const ColumnCopy& b) {
  return a.SameRows(b) && HasAll(a) == HasAll(b);
}

void RegisterColumnScans(duckdb::DBConfig& config, const std::string& database) {
  duckdb::OptimizerExtension extension;
  extension.pre_optimize_function = Rewrite;
  extension.optimizer_info = duckdb::make_shared_ptr<ColumnScanInfo>(database);
  duckdb::OptimizerExtension::Register(config, extension);
}

}  // namespace millrace::sql
