#include "sql/relation_binding.h"

#include <atomic>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/common/constants.hpp"
#include "duckdb/function/replacement_scan.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/parsed_data/create_table_function_info.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"
#include "duckdb/parser/tableref/table_function_ref.hpp"
#include "sql/duckdb_error.h"
#include "sql/view_expansion.h"

namespace millrace::sql {
namespace {

bool IsDefaultSchema(const std::string& name) {
  return rows::EqualNames(name, "main") || rows::EqualNames(name, "public");
}

// The relation's name in Millrace's terms; none where the catalog part is foreign.
std::optional<std::string> RelationName(const duckdb::ReplacementScanInput& input) {
  const bool has_catalog = !input.catalog_name.empty();
  const bool has_schema = !input.schema_name.empty();
  if (has_catalog && has_schema) {
    if (!IsDefaultSchema(input.catalog_name)) return std::nullopt;
    return input.schema_name + "." + input.table_name;
  }
  const std::string& prefix = has_catalog ? input.catalog_name : input.schema_name;
  if (prefix.empty() || IsDefaultSchema(prefix)) return input.table_name;
  return prefix + "." + input.table_name;
}

duckdb::unique_ptr<duckdb::TableRef> ScanCall(const std::string& relation, bool direct) {
  duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>> arguments;
  arguments.push_back(duckdb::make_uniq<duckdb::ConstantExpression>(duckdb::Value(relation)));
  arguments.push_back(
      duckdb::make_uniq<duckdb::ConstantExpression>(duckdb::Value::BOOLEAN(direct)));
  auto ref = duckdb::make_uniq<duckdb::TableFunctionRef>();
  ref->function =
      duckdb::make_uniq<duckdb::FunctionExpression>(kScanFunction, std::move(arguments));
  return ref;
}

// A callback of DuckDB: exceptions are its only way to report.
duckdb::unique_ptr<duckdb::TableRef> ReplaceRelation(
    duckdb::ClientContext& context, duckdb::ReplacementScanInput& input,
    duckdb::optional_ptr<duckdb::ReplacementScanData>) {
  const auto state = context.registered_state->Get<QueryContext>("millrace");
  if (!state) return nullptr;  // a connection of the engine: it binds no names
  const std::optional<ExpandedName> inner = ExpandedName::Decode(input.schema_name);
  const std::optional<std::string> name = inner ? input.table_name : RelationName(input);
  if (!name) return nullptr;
  const Result<catalog::RelationShape> shape = state->Shape(*name);
  if (!shape.ok() && shape.error().code() != Code::kNotFound)
    throw duckdb::BinderException(shape.error().message());
  if (!shape.ok()) {
    state->unknown_relation = *name;
    return nullptr;  // another replacement (a file) may know it; else DuckDB says that it does not
                     // exist
  }
  const catalog::Catalog* catalog =
      state->snapshot != nullptr ? &state->snapshot->catalog() : state->catalog;
  const catalog::ViewDefinition* view =
      state->inline_relations.contains(rows::LowerName(*name)) || catalog == nullptr
          ? nullptr
          : catalog->FindView(*name);
  duckdb::unique_ptr<duckdb::TableRef> ref;
  if (view != nullptr && !view->materialized) {
    if (!inner) state->reads.insert(view->name);
    auto expanded = Guard(
        [&] { return ExpandView(*view, inner ? *inner : ExpandedName(), state->session_form); },
        [&](const duckdb::ErrorData& error) {  // without the place: it is one in the view's text
          return Error(Code::kInvalidArgument, "view {}: {}", Quoted(view->name),
                       error.RawMessage());
        });
    if (!expanded.ok()) throw duckdb::BinderException(expanded.error().message());
    ref = std::move(expanded).value();
  } else {
    const catalog::Object* object = catalog == nullptr ? nullptr : catalog->FindRelation(*name);
    ref = ScanCall(object == nullptr ? *name : object->name(), !inner);
  }
  ref->alias = input.table_name;
  return ref;
}

duckdb::unique_ptr<duckdb::FunctionData> BindScan(duckdb::ClientContext& context,
                                                  duckdb::TableFunctionBindInput& input,
                                                  duckdb::vector<duckdb::LogicalType>& types,
                                                  duckdb::vector<duckdb::string>& names) {
  QueryContext& state = QueryContext::Of(context);
  auto binding = duckdb::make_uniq<ScanBinding>();
  binding->relation = input.inputs[0].ToString();
  Result<catalog::RelationShape> shape = state.Shape(binding->relation);
  if (!shape.ok()) throw duckdb::BinderException(shape.error().message());
  binding->shape = std::move(shape).value();
  binding->row_numbers = state.row_numbers;
  for (size_t i = 0; i < binding->shape.visible; ++i) {
    types.push_back(binding->shape.schema.columns[i].type);
    names.push_back(binding->shape.schema.columns[i].name);
  }
  if (input.inputs[1].GetValue<bool>()) state.reads.insert(binding->relation);
  return binding;
}

duckdb::virtual_column_map_t VirtualColumns(duckdb::ClientContext&,
                                            duckdb::optional_ptr<duckdb::FunctionData> data) {
  const auto& binding = data->Cast<ScanBinding>();
  duckdb::virtual_column_map_t columns;
  for (size_t i = binding.shape.visible; i < binding.shape.schema.columns.size(); ++i) {
    const rows::Column& column = binding.shape.schema.columns[i];
    columns.insert({ScanBinding::HiddenId(i - binding.shape.visible),
                    duckdb::TableColumn(column.name, column.type)});
  }
  if (binding.row_numbers) {
    columns.insert({ScanBinding::RowNumberId(),
                    duckdb::TableColumn(kRowNumberColumn, duckdb::LogicalType::BIGINT)});
  }
  columns.insert(
      {duckdb::COLUMN_IDENTIFIER_EMPTY, duckdb::TableColumn("", duckdb::LogicalType::BOOLEAN)});
  return columns;
}

// A running scan: each thread reads one part after the other.
struct ScanState final : public duckdb::GlobalTableFunctionState {
  std::vector<std::unique_ptr<RelationScan>> parts;
  std::atomic<size_t> next_part = 0;
  rows::Types types;  // of the columns that are read
  // Per output column: its column in what is read, or the row number, or nothing.
  enum class Kind { kColumn, kRowNumber, kNothing };
  struct Output {
    Kind kind;
    size_t column;
  };
  std::vector<Output> outputs;

  duckdb::idx_t MaxThreads() const override { return parts.size(); }
};

// A thread's place in it.
struct ThreadScan final : public duckdb::LocalTableFunctionState {
  size_t part = 0;
  RelationScan* scan = nullptr;  // nullptr: no part is left
  duckdb::DataChunk rows;
  int64_t next_row = 0;

  void NextPart(ScanState& state) {
    part = state.next_part.fetch_add(1);
    scan = part < state.parts.size() ? state.parts[part].get() : nullptr;
  }
};

// The relation's narrowest column, for scans that only count rows.
size_t CheapestColumn(const rows::Schema& schema) {
  size_t best = 0;
  const auto width = [&](size_t i) {
    return duckdb::GetTypeIdSize(schema.columns[i].type.InternalType());
  };
  for (size_t i = 1; i < schema.columns.size(); ++i) {
    if (width(i) < width(best)) best = i;
  }
  return best;
}

duckdb::unique_ptr<duckdb::GlobalTableFunctionState> StartScan(
    duckdb::ClientContext& context, duckdb::TableFunctionInitInput& input) {
  QueryContext& query = QueryContext::Of(context);
  const auto& binding = input.bind_data->Cast<ScanBinding>();
  auto state = duckdb::make_uniq<ScanState>();
  std::vector<size_t> columns;
  bool numbered = false;
  for (const duckdb::column_t id : input.column_ids) {
    if (const std::optional<size_t> column = binding.ColumnOf(id)) {
      state->outputs.push_back({ScanState::Kind::kColumn, columns.size()});
      columns.push_back(*column);
    } else {
      const bool number = id == ScanBinding::RowNumberId();
      numbered = numbered || number;
      state->outputs.push_back(
          {number ? ScanState::Kind::kRowNumber : ScanState::Kind::kNothing, 0});
    }
  }
  if (columns.empty()) columns.push_back(CheapestColumn(binding.shape.schema));
  for (const size_t column : columns)
    state->types.push_back(binding.shape.schema.columns[column].type);
  std::vector<Snapshot::Equality> equalities;
  for (const ScanBinding::Equality& equality : binding.equalities) {
    equalities.push_back({equality.column, duckdb::ExpressionExecutor::EvaluateScalar(
                                               context, *equality.value, true)});
  }
  Result<std::unique_ptr<RelationScan>> scan =
      binding.beyond == nullptr ? query.Scan(binding.relation, columns, equalities)
                                : query.ScanBeyond(binding.relation, columns, *binding.beyond);
  if (!scan.ok()) {
    query.SetScanError(scan.error());
    throw duckdb::IOException(scan.error().message());
  }
  if (!numbered) state->parts = (*scan)->Split();
  if (state->parts.empty()) state->parts.push_back(std::move(scan).value());
  return state;
}

duckdb::unique_ptr<duckdb::LocalTableFunctionState> StartThread(
    duckdb::ExecutionContext& context, duckdb::TableFunctionInitInput&,
    duckdb::GlobalTableFunctionState* global) {
  auto& state = global->Cast<ScanState>();
  auto thread = duckdb::make_uniq<ThreadScan>();
  thread->rows.Initialize(duckdb::Allocator::Get(context.client), state.types);
  thread->NextPart(state);
  return thread;
}

// Rows keep their order whichever threads read them.
duckdb::OperatorPartitionData PartOf(duckdb::ClientContext&,
                                     duckdb::TableFunctionGetPartitionInput& input) {
  if (input.partition_info.RequiresPartitionColumns())
    throw duckdb::InternalException("a scan of a relation has no partition columns");
  return duckdb::OperatorPartitionData(input.local_state->Cast<ThreadScan>().part);
}

void NextRows(duckdb::ClientContext& context, duckdb::TableFunctionInput& input,
              duckdb::DataChunk& out) {
  auto& state = input.global_state->Cast<ScanState>();
  auto& thread = input.local_state->Cast<ThreadScan>();
  for (thread.rows.Reset(); thread.scan != nullptr; thread.NextPart(state)) {
    const Status status = thread.scan->Next(thread.rows);
    if (!status.ok()) {
      QueryContext::Of(context).SetScanError(status.error());
      throw duckdb::IOException(status.error().message());
    }
    if (thread.rows.size() > 0) break;
  }
  const size_t count = thread.rows.size();
  for (size_t i = 0; i < state.outputs.size(); ++i) {
    switch (state.outputs[i].kind) {
      case ScanState::Kind::kColumn:
        out.data[i].Reference(thread.rows.data[state.outputs[i].column]);
        break;
      case ScanState::Kind::kRowNumber:
        out.data[i].Sequence(thread.next_row, 1, count);
        break;
      case ScanState::Kind::kNothing:
        out.data[i].SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
        duckdb::ConstantVector::SetNull(out.data[i], true);
        break;
    }
  }
  thread.next_row += static_cast<int64_t>(count);
  out.SetCardinality(count);
}

duckdb::InsertionOrderPreservingMap<duckdb::string> Describe(
    duckdb::TableFunctionToStringInput& input) {
  const auto& binding = input.bind_data->Cast<ScanBinding>();
  duckdb::InsertionOrderPreservingMap<duckdb::string> lines;
  lines["Relation"] = binding.relation;
  std::string keys;
  for (const ScanBinding::Equality& equality : binding.equalities) {
    keys += (keys.empty() ? "" : " AND ") + binding.shape.schema.columns[equality.column].name +
            " = " + equality.value->ToString();
  }
  if (!keys.empty()) lines["Keys"] = keys;
  if (binding.beyond != nullptr) {
    lines["Reads"] = fmt::format("{} records beyond the column cache",
                                 binding.beyond->records_all - binding.beyond->records);
  }
  return lines;
}

}  // namespace

duckdb::unique_ptr<duckdb::FunctionData> ScanBinding::Copy() const {
  auto copy = duckdb::make_uniq<ScanBinding>();
  copy->relation = relation;
  copy->shape = shape;
  copy->row_numbers = row_numbers;
  copy->equalities = equalities;
  copy->beyond = beyond;
  return copy;
}

bool ScanBinding::Equals(const duckdb::FunctionData& other) const {
  const auto& binding = other.Cast<ScanBinding>();
  return relation == binding.relation && equalities.empty() && binding.equalities.empty() &&
         beyond == binding.beyond;
}

duckdb::column_t ScanBinding::RowNumberId() { return duckdb::VIRTUAL_COLUMN_START + 1000; }
duckdb::column_t ScanBinding::HiddenId(size_t hidden) {
  return duckdb::VIRTUAL_COLUMN_START + hidden;
}

std::optional<size_t> ScanBinding::ColumnOf(duckdb::column_t id) const {
  if (id < shape.visible) return id;
  const size_t hidden = shape.schema.columns.size() - shape.visible;
  if (id < HiddenId(0) || id >= HiddenId(hidden)) return std::nullopt;
  return shape.visible + (id - HiddenId(0));
}

ScanBinding* BindingOf(duckdb::LogicalGet& get) {
  if (get.function.name != kScanFunction || !get.bind_data) return nullptr;
  return &get.bind_data->Cast<ScanBinding>();
}

void RegisterReplacementScan(duckdb::DBConfig& config) {
  config.replacement_scans.insert(config.replacement_scans.begin(),
                                  duckdb::ReplacementScan(ReplaceRelation));
}

void RegisterScanFunction(duckdb::Connection& connection) {
  duckdb::TableFunction scan(kScanFunction,
                             {duckdb::LogicalType::VARCHAR, duckdb::LogicalType::BOOLEAN}, NextRows,
                             BindScan, StartScan, StartThread);
  scan.get_partition_data = PartOf;
  scan.projection_pushdown = true;
  scan.get_virtual_columns = VirtualColumns;
  scan.to_string = Describe;
  duckdb::CreateTableFunctionInfo info(scan);
  connection.context->RunFunctionInTransaction([&] {
    duckdb::Catalog::GetSystemCatalog(*connection.context)
        .CreateTableFunction(*connection.context, info);
  });
}

}  // namespace millrace::sql
