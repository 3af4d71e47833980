#include "sql/vocabulary.h"

#include "duckdb/function/scalar_macro_function.hpp"
#include "duckdb/function/table_macro_function.hpp"
#include "duckdb/parser/keyword_helper.hpp"
#include "duckdb/parser/parsed_data/create_macro_info.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/create_statement.hpp"
#include "sql/model_names.h"
#include "sql/window_tables.h"

namespace millrace::sql {
namespace {

std::string Quote(const std::string& name) { return duckdb::KeywordHelper::WriteQuoted(name, '"'); }

void Run(PooledConnection& connection, duckdb::unique_ptr<duckdb::SQLStatement> statement) {
  const auto result = connection.connection().Query(std::move(statement));
  if (result->HasError()) result->ThrowError();
}

void Run(PooledConnection& connection, const std::string& sql) {
  duckdb::Parser parser;
  parser.ParseQuery(sql);
  Run(connection, std::move(parser.statements.at(0)));
}

Status Make(PooledConnection& connection, const catalog::MacroDefinition& macro) {
  duckdb::Parser parser;
  parser.ParseQuery(MacroHead(macro) + macro.body);
  auto& info = *parser.statements.at(0)->Cast<duckdb::CreateStatement>().info;
  if (info.type == duckdb::CatalogType::TABLE_MACRO_ENTRY) {
    for (auto& each : info.Cast<duckdb::CreateMacroInfo>().macros)
      // As window functions: the macro serves queries and views alike.
      TRY(ReplaceWindowTables(*each->Cast<duckdb::TableMacroFunction>().query_node,
                              SessionForm::kWindowFunctions));
  }
  for (auto& each : info.Cast<duckdb::CreateMacroInfo>().macros) {
    if (info.type == duckdb::CatalogType::TABLE_MACRO_ENTRY) {
      NameModels(*each->Cast<duckdb::TableMacroFunction>().query_node);
    } else {
      NameModels(each->Cast<duckdb::ScalarMacroFunction>().expression);
    }
  }
  Run(connection, std::move(parser.statements[0]));
  return Ok();
}

// Models are found by predict() itself, in the catalog of the call.
bool IsDuckDbs(const catalog::Object& word) { return word.kind() != catalog::Kind::kModel; }

Status Make(PooledConnection& connection, const catalog::Object& word) {
  if (!IsDuckDbs(word)) return Ok();
  if (const auto* macro = std::get_if<catalog::MacroDefinition>(&word.definition))
    return Make(connection, *macro);
  const auto& type = std::get<catalog::TypeDefinition>(word.definition);
  Run(connection,
      fmt::format("CREATE TEMP TYPE {} AS {}", Quote(type.name), catalog::EnumText(type.values)));
  return Ok();
}

void Forget(PooledConnection& connection, const catalog::Object& word) {
  if (!IsDuckDbs(word)) return;
  const auto* macro = std::get_if<catalog::MacroDefinition>(&word.definition);
  const char* kind = macro == nullptr ? "TYPE" : macro->table ? "MACRO TABLE" : "MACRO";
  Run(connection, fmt::format("DROP {} IF EXISTS temp.{}", kind, Quote(word.name())));
}

bool Same(const catalog::Object& a, const catalog::Object& b) {
  if (a.kind() != b.kind() || a.name() != b.name()) return false;
  if (const auto* type = std::get_if<catalog::TypeDefinition>(&a.definition))
    return type->values == std::get<catalog::TypeDefinition>(b.definition).values;
  if (const auto* model = std::get_if<catalog::ModelDefinition>(&a.definition))
    return model->digest == std::get<catalog::ModelDefinition>(b.definition).digest;
  return std::get<catalog::MacroDefinition>(a.definition).body ==
         std::get<catalog::MacroDefinition>(b.definition).body;
}

}  // namespace

std::string MacroHead(const catalog::MacroDefinition& macro) {
  return fmt::format("CREATE TEMP MACRO {} ", Quote(macro.name));
}

Status Teach(PooledConnection& connection, const catalog::Catalog& catalog) {
  const catalog::VocabularyPtr known = connection.vocabulary();
  const catalog::VocabularyPtr& wanted = catalog.vocabulary();
  if (known == wanted) return Ok();
  // What both have at their beginning stays: the rest may need what changed.
  size_t same = 0;
  while (same < known->size() && same < wanted->size() && Same((*known)[same], (*wanted)[same]))
    ++same;
  if (same < known->size() || same < wanted->size()) {
    // Until all is done the connection has none for certain.
    connection.MarkBroken();
    for (size_t i = known->size(); i-- > same;) Forget(connection, (*known)[i]);
    for (size_t i = same; i < wanted->size(); ++i) {
      TRY(Make(connection, (*wanted)[i]));
    }
    connection.MarkWhole();
    connection.context().reads.clear();
  }
  connection.SetVocabulary(wanted);
  return Ok();
}

bool IsBuiltInFunction(PooledConnection& connection, const std::string& name) {
  auto result = connection.connection().Query(
      fmt::format("SELECT count(*) FROM duckdb_functions() WHERE lower(function_name) = {} AND "
                  "database_name = 'system'",
                  duckdb::Value(rows::LowerName(name)).ToSQLString()));
  if (result->HasError()) result->ThrowError();
  return result->GetValue(0, 0).GetValue<int64_t>() > 0;
}

Status TryMacro(PooledConnection& connection, const catalog::MacroDefinition& macro) {
  connection.connection().BeginTransaction();
  Status made;
  try {
    made = Make(connection, macro);
  } catch (const std::exception&) {
    connection.connection().Rollback();
    throw;
  }
  connection.connection().Rollback();
  connection.context().reads.clear();
  return made;
}

}  // namespace millrace::sql
