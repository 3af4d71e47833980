#include "duckdb/parser/expression/list.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/tableref/list.hpp"
#include "sql/model_names.h"
#include "sql/vocabulary.h"
#include "sql/write_statement.h"

namespace millrace::sql {
namespace {

constexpr const char* kOldRows = "__millrace_old";
constexpr const char* kNewRows = "__millrace_new";

// Column names without a table mean the target's: the values proposed for insertion are named
// `excluded`.
void QualifyColumns(duckdb::ParsedExpression& expression, const rows::Schema& schema,
                    const std::string& alias) {
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF) {
    auto& column = expression.Cast<duckdb::ColumnRefExpression>();
    if (!column.IsQualified() && schema.Find(column.GetColumnName())) {
      column.column_names.insert(column.column_names.begin(), alias);
    }
  }
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      expression, [&](duckdb::ParsedExpression& child) { QualifyColumns(child, schema, alias); });
}

duckdb::unique_ptr<duckdb::BaseTableRef> TableNamed(const std::string& name,
                                                    const std::string& alias) {
  auto ref = duckdb::make_uniq<duckdb::BaseTableRef>();
  ref->table_name = name;
  ref->alias = alias;
  return ref;
}

duckdb::unique_ptr<duckdb::TableRef> CrossJoin(duckdb::unique_ptr<duckdb::TableRef> left,
                                               duckdb::unique_ptr<duckdb::TableRef> right) {
  auto join = duckdb::make_uniq<duckdb::JoinRef>(duckdb::JoinRefType::CROSS);
  join->left = std::move(left);
  join->right = std::move(right);
  return join;
}

std::string AliasOf(const duckdb::TableRef& ref) {
  if (!ref.alias.empty()) return ref.alias;
  return ref.Cast<duckdb::BaseTableRef>().table_name;
}

// The first row of each row number (column 0): a joined statement may meet a row of the target many
// times.
std::vector<RowAt> OncePerRow(const Chunks& chunks) {
  std::set<int64_t> seen;
  std::vector<RowAt> rows;
  for (size_t c = 0; c < chunks.size(); ++c) {
    for (size_t row = 0; row < chunks[c]->size(); ++row) {
      if (seen.insert(chunks[c]->GetValue(0, row).GetValue<int64_t>()).second)
        rows.push_back({c, row});
    }
  }
  return rows;
}

}  // namespace

Chunks TakeRows(const Chunks& from, const std::vector<RowAt>& rows, const rows::Types& types) {
  rows::BatchBuilder builder(types);
  for (const RowAt& at : rows) builder.AppendRow(*from[at.chunk], at.row, 1);
  Chunks out;
  const rows::Batch batch = builder.Finish();
  for (const auto& part : batch.parts) out.push_back(part.rows);
  return out;
}

Chunks TakeColumns(const Chunks& from, size_t first, size_t count) {
  Chunks out;
  for (const auto& chunk : from) {
    auto part = std::make_shared<duckdb::DataChunk>();
    const auto types = chunk->GetTypes();
    part->InitializeEmpty(rows::Types(types.begin() + static_cast<long>(first),
                                      types.begin() + static_cast<long>(first + count)));
    for (size_t i = 0; i < count; ++i) part->data[i].Reference(chunk->data[first + i]);
    part->SetCardinality(chunk->size());
    part->Flatten();
    out.push_back(std::move(part));
  }
  return out;
}

rows::Batch AsBatch(const Chunks& chunks) {
  rows::Batch batch;
  for (const auto& chunk : chunks) {
    if (chunk->size() > 0) batch.parts.push_back({chunk, {}});
  }
  return batch;
}

WriteEvaluation::WriteEvaluation(Database& database, Database::Impl& impl,
                                 std::shared_ptr<const Snapshot> snapshot, Place place,
                                 const std::map<std::string, duckdb::Value>& parameters,
                                 const QueryLimits& limits)
    : database_(database),
      impl_(impl),
      snapshot_(std::move(snapshot)),
      place_(std::move(place)),
      parameters_(parameters),
      limits_(limits),
      lease_(impl.query_connections.Take()) {
  lease_->Serve(limits_.caller);
  QueryContext& context = lease_->context();
  context.catalog = &snapshot_->catalog();
  context.snapshot = snapshot_.get();
  context.row_numbers = true;
}

Result<Database::WriteRows> WriteEvaluation::Evaluate(const WriteStatement& statement) {
  TRY(target_, WriteTarget::Of(snapshot_->catalog(), statement.target));
  TRY(Teach(*lease_, snapshot_->catalog()));
  duckdb::Parser parser;
  parser.ParseQuery(statement.text);
  if (parser.statements.size() != 1) {
    return Error(Code::kInvalidArgument, "expected one statement, found {}",
                 parser.statements.size())
        .SqlState("42601");
  }
  Statement& parsed = *parser.statements[0];
  if (target_.kind == "stream" && parsed.type != duckdb::StatementType::INSERT_STATEMENT) {
    return Error(Code::kNotSupported, "{} is a stream: its rows can be added to, not changed",
                 Quoted(target_.name));
  }
  switch (parsed.type) {
    case duckdb::StatementType::INSERT_STATEMENT:
      return Insert(parsed.Cast<duckdb::InsertStatement>());
    case duckdb::StatementType::UPDATE_STATEMENT:
      return Update(parsed.Cast<duckdb::UpdateStatement>());
    case duckdb::StatementType::DELETE_STATEMENT:
      return Delete(parsed.Cast<duckdb::DeleteStatement>());
    default:
      return Error(Code::kNotSupported, "a write must be INSERT, UPDATE or DELETE, not {}",
                   duckdb::StatementTypeToString(parsed.type));
  }
}

Result<rows::Schema> WriteEvaluation::Describe(const WriteStatement& statement,
                                               ParameterTypes& parameters) {
  describing_ = &parameters;
  TRY(const Database::WriteRows rows, Evaluate(statement));
  return rows.returning.schema;
}

Result<Database::WriteRows> WriteEvaluation::Insert(duckdb::InsertStatement& insert) {
  TRY(Chunks rows, NewRows(insert));
  TRY(CheckRows(rows));
  const bool on_conflict = insert.on_conflict_info &&
                           insert.on_conflict_info->action_type != duckdb::OnConflictAction::THROW;
  if (!target_.primary_key.empty()) return InsertIntoTable(insert, std::move(rows));
  if (on_conflict) {
    return Error(Code::kInvalidArgument, "ON CONFLICT needs a primary key, and {} {} has none",
                 target_.kind, Quoted(target_.name))
        .SqlState("42P10");
  }
  Database::WriteRows out;
  out.affected = RowCount(rows);
  out.insert = AsBatch(rows);
  const std::string alias = insert.table_ref ? AliasOf(*insert.table_ref) : insert.table;
  TRY(out.returning, Returning(insert.returning_list, alias, rows));
  return out;
}

// New rows sorted by whether their key is taken.
struct WriteEvaluation::Merge {
  Chunks fresh;
  Chunks present;    // rows of the table …
  Chunks replacing;  // … and, one for each, the new row of the same key
};

Result<WriteEvaluation::Merge> WriteEvaluation::MergeKeys(const Chunks& rows,
                                                          duckdb::OnConflictAction action) {
  KeyColumns keys(target_);
  Chunks found;
  TRY(const auto present, FindRows(rows, found));
  std::map<std::string, size_t> fresh_at;
  std::map<std::string, size_t> replacing_at;
  std::vector<RowAt> fresh;
  std::vector<RowAt> old_rows;
  std::vector<RowAt> replacing;
  for (size_t c = 0; c < rows.size(); ++c) {
    const std::vector<std::string_view>& encoded = keys.Of(*rows[c]);
    for (size_t row = 0; row < rows[c]->size(); ++row) {
      const std::string key(encoded[row]);
      const auto old_row = present.find(key);
      if (old_row != present.end() && action == duckdb::OnConflictAction::THROW)
        return Duplicate(keys.Text(*rows[c], row));
      auto& list = old_row == present.end() ? fresh : replacing;
      auto& at = old_row == present.end() ? fresh_at : replacing_at;
      const auto [earlier, is_new] = at.emplace(key, list.size());
      if (is_new) {
        list.push_back({c, row});
        if (old_row != present.end()) old_rows.push_back(old_row->second);
        continue;
      }
      // The statement itself has the key twice.
      switch (action) {
        case duckdb::OnConflictAction::THROW:
          return Duplicate(keys.Text(*rows[c], row));
        case duckdb::OnConflictAction::NOTHING:
          break;  // the first stays
        case duckdb::OnConflictAction::REPLACE:
          list[earlier->second] = {c, row};  // the last stays
          break;
        case duckdb::OnConflictAction::UPDATE:
          return Error(Code::kInvalidArgument,
                       "ON CONFLICT DO UPDATE would change the row {} twice",
                       keys.Text(*rows[c], row))
              .SqlState("21000");
      }
    }
  }
  const rows::Types types = target_.schema.types();
  return Merge{TakeRows(rows, fresh, types), TakeRows(found, old_rows, types),
               TakeRows(rows, replacing, types)};
}

Result<Database::WriteRows> WriteEvaluation::InsertIntoTable(duckdb::InsertStatement& insert,
                                                             Chunks rows) {
  using Action = duckdb::OnConflictAction;
  const std::string alias = insert.table_ref ? AliasOf(*insert.table_ref) : insert.table;
  const Action action =
      insert.on_conflict_info ? insert.on_conflict_info->action_type : Action::THROW;
  if (insert.on_conflict_info && !insert.on_conflict_info->indexed_columns.empty()) {
    std::set<size_t> named;
    for (const std::string& name : insert.on_conflict_info->indexed_columns) {
      TRY(const size_t column, target_.Column(name));
      named.insert(column);
    }
    if (named != std::set<size_t>(target_.primary_key.begin(), target_.primary_key.end())) {
      return Error(Code::kInvalidArgument, "ON CONFLICT must name the primary key of table {}",
                   Quoted(target_.name))
          .SqlState("42P10");
    }
  }
  TRY(Merge merge, MergeKeys(rows, action));
  Chunks inserted = merge.fresh;
  Chunks removed;
  if (action == Action::REPLACE) {
    // As in DuckDB, columns that the statement does not name stay as they were.
    if (!insert.columns.empty()) {
      std::set<size_t> named;
      for (const std::string& name : insert.columns) {
        TRY(const size_t column, target_.Column(name));
        named.insert(column);
      }
      for (size_t c = 0; c < merge.replacing.size(); ++c) {
        for (size_t column = 0; column < merge.replacing[c]->ColumnCount(); ++column) {
          if (!named.contains(column))
            merge.replacing[c]->data[column].Reference(merge.present[c]->data[column]);
        }
      }
    }
    inserted.insert(inserted.end(), merge.replacing.begin(), merge.replacing.end());
    removed = merge.present;
  } else if (action == Action::UPDATE && (describing_ != nullptr || !merge.present.empty())) {
    std::vector<bool> touched;
    TRY(const Chunks updated,
        Updated(*insert.on_conflict_info, alias, merge.present, merge.replacing, touched));
    std::vector<RowAt> kept;
    size_t number = 0;
    for (size_t c = 0; c < merge.present.size(); ++c) {
      for (size_t row = 0; row < merge.present[c]->size(); ++row) {
        if (touched[number++]) kept.push_back({c, row});
      }
    }
    removed = TakeRows(merge.present, kept, target_.schema.types());
    TRY(CheckRows(updated));
    inserted.insert(inserted.end(), updated.begin(), updated.end());
  }
  Database::WriteRows out;
  out.affected = RowCount(inserted);
  out.insert = AsBatch(inserted);
  out.remove = AsBatch(removed);
  TRY(out.returning, Returning(insert.returning_list, alias, inserted));
  return out;
}

Result<Chunks> WriteEvaluation::Updated(duckdb::OnConflictInfo& conflict, const std::string& alias,
                                        const Chunks& old_rows, const Chunks& new_rows,
                                        std::vector<bool>& touched) {
  auto& relations = lease_->context().inline_relations;
  const catalog::RelationShape shape{target_.schema, target_.schema.columns.size()};
  relations[kOldRows] = {shape, old_rows};
  relations[kNewRows] = {shape, new_rows};
  auto node = duckdb::make_uniq<duckdb::SelectNode>();
  node->select_list = TargetColumns(alias);
  duckdb::UpdateSetInfo& set = *conflict.set_info;
  for (size_t i = 0; i < set.columns.size(); ++i) {
    TRY(const size_t column, target_.Column(set.columns[i]));
    if (std::find(target_.primary_key.begin(), target_.primary_key.end(), column) !=
        target_.primary_key.end()) {
      return Error(Code::kNotSupported,
                   "ON CONFLICT DO UPDATE cannot change {}: it is part of the primary key",
                   Quoted(set.columns[i]));
    }
    NameModels(set.expressions[i]);
    QualifyColumns(*set.expressions[i], target_.schema, alias);
    node->select_list[1 + column] = Assigned(std::move(set.expressions[i]), column);
  }
  auto from = duckdb::make_uniq<duckdb::JoinRef>(duckdb::JoinRefType::REGULAR);
  from->left = TableNamed(kOldRows, alias);
  from->right = TableNamed(kNewRows, "excluded");
  from->condition = duckdb::make_uniq<duckdb::ComparisonExpression>(
      duckdb::ExpressionType::COMPARE_EQUAL,
      duckdb::make_uniq<duckdb::ColumnRefExpression>(kRowNumberColumn, alias),
      duckdb::make_uniq<duckdb::ColumnRefExpression>(kRowNumberColumn, "excluded"));
  node->from_table = std::move(from);
  duckdb::unique_ptr<duckdb::ParsedExpression> condition = std::move(set.condition);
  if (!condition) condition = std::move(conflict.condition);
  if (condition) {
    NameModels(condition);
    QualifyColumns(*condition, target_.schema, alias);
    node->where_clause = std::move(condition);
  }
  TRY(const QueryResult result, Run(std::move(node)));
  touched.assign(RowCount(old_rows), false);
  for (const auto& chunk : result.chunks) {
    for (size_t row = 0; row < chunk->size(); ++row) {
      touched[static_cast<size_t>(chunk->GetValue(0, row).GetValue<int64_t>())] = true;
    }
  }
  return TakeColumns(result.chunks, 1, target_.schema.columns.size());
}

Result<Database::WriteRows> WriteEvaluation::Update(duckdb::UpdateStatement& update) {
  const std::string alias = AliasOf(*update.table);
  const size_t width = target_.schema.columns.size();
  auto node = duckdb::make_uniq<duckdb::SelectNode>();
  node->select_list = TargetColumns(alias);
  duckdb::UpdateSetInfo& set = *update.set_info;
  std::vector<size_t> changed;
  Expressions new_values(TargetColumns(alias));
  new_values.erase(new_values.begin());
  for (size_t i = 0; i < set.columns.size(); ++i) {
    TRY(const size_t column, target_.Column(set.columns[i]));
    if (std::find(changed.begin(), changed.end(), column) != changed.end()) {
      return Error(Code::kInvalidArgument, "UPDATE {} sets column {} twice", target_.name,
                   Quoted(set.columns[i]))
          .SqlState("42601");
    }
    changed.push_back(column);
    new_values[column] = Assigned(std::move(set.expressions[i]), column);
  }
  for (auto& value : new_values) node->select_list.push_back(std::move(value));
  node->from_table = std::move(update.table);
  if (update.from_table)
    node->from_table = CrossJoin(std::move(node->from_table), std::move(update.from_table));
  node->where_clause = std::move(set.condition);
  node->cte_map = std::move(update.cte_map);
  TRY(const QueryResult result, Run(std::move(node)));

  std::vector<RowAt> once = OncePerRow(result.chunks);
  const rows::Types types = target_.schema.types();
  const Chunks removed = TakeRows(TakeColumns(result.chunks, 1, width), once, types);
  const Chunks inserted = TakeRows(TakeColumns(result.chunks, 1 + width, width), once, types);
  TRY(CheckRows(inserted));
  const bool keys_change =
      std::any_of(target_.primary_key.begin(), target_.primary_key.end(), [&](size_t column) {
        return std::find(changed.begin(), changed.end(), column) != changed.end();
      });
  if (keys_change) {
    KeyColumns keys(target_);
    std::set<std::string> leaving;
    for (const auto& chunk : removed) {
      for (const std::string_view key : keys.Of(*chunk)) leaving.emplace(key);
    }
    TRY(CheckKeysFree(inserted, leaving));
  }
  Database::WriteRows out;
  out.affected = once.size();
  out.insert = AsBatch(inserted);
  out.remove = AsBatch(removed);
  TRY(out.returning, Returning(update.returning_list, alias, inserted));
  return out;
}

Result<Database::WriteRows> WriteEvaluation::Delete(duckdb::DeleteStatement& remove) {
  const std::string alias = AliasOf(*remove.table);
  auto node = duckdb::make_uniq<duckdb::SelectNode>();
  node->select_list = TargetColumns(alias);
  node->from_table = std::move(remove.table);
  for (auto& other : remove.using_clauses)
    node->from_table = CrossJoin(std::move(node->from_table), std::move(other));
  node->where_clause = std::move(remove.condition);
  node->cte_map = std::move(remove.cte_map);
  TRY(const QueryResult result, Run(std::move(node)));
  const std::vector<RowAt> once = OncePerRow(result.chunks);
  const Chunks removed = TakeRows(TakeColumns(result.chunks, 1, target_.schema.columns.size()),
                                  once, target_.schema.types());
  Database::WriteRows out;
  out.affected = once.size();
  out.remove = AsBatch(removed);
  TRY(out.returning, Returning(remove.returning_list, alias, removed));
  return out;
}

Result<Database::WriteRows> Database::EvaluateWrite(
    std::shared_ptr<const Snapshot> snapshot, const WriteStatement& statement,
    const std::map<std::string, duckdb::Value>& parameters, const QueryLimits& limits) {
  const Place place = Place::OfWhole(statement.text);
  return Guard(
      [&]() -> Result<WriteRows> {
        WriteEvaluation evaluation(*this, *impl_, std::move(snapshot), place, parameters, limits);
        return evaluation.Evaluate(statement);
      },
      [&](const duckdb::ErrorData& error) -> Result<WriteRows> {
        return FromDuckDb(error, place, "", {});
      });
}

}  // namespace millrace::sql
