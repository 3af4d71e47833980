#include "sql/client_functions.h"

#include <array>
#include <utility>
#include <vector>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "duckdb/transaction/meta_transaction.hpp"
#include "rows/schema.h"
#include "sql/query_context.h"

namespace millrace::sql {
namespace {

struct ClientFunction {
  const char* name;
  size_t texts;  // arguments, all of them texts
};
constexpr std::array<ClientFunction, 11> kClientFunctions = {{{"current_user", 0},
                                                              {"session_user", 0},
                                                              {"user", 0},
                                                              {"current_role", 0},
                                                              {"version", 0},
                                                              {"inet_client_addr", 0},
                                                              {"inet_client_port", 0},
                                                              {"inet_server_addr", 0},
                                                              {"inet_server_port", 0},
                                                              {"current_setting", 1},
                                                              {"getvariable", 1}}};

constexpr std::array<const char*, 4> kUserFunctions = {"current_user", "session_user", "user",
                                                       "current_role"};

void Refuse(duckdb::DataChunk& /*arguments*/, duckdb::ExpressionState& state,
            duckdb::Vector& /*result*/) {
  throw duckdb::NotImplementedException("%s has no value here", state.expr.ToString());
}

void SayUser(duckdb::DataChunk& /*arguments*/, duckdb::ExpressionState& state,
             duckdb::Vector& result) {
  result.Reference(duckdb::Value(QueryContext::Of(state.GetContext()).user));
}

// Not in the system's catalog: names are looked for in this one first.
void Create(duckdb::Connection& connection, std::vector<duckdb::ScalarFunction> functions) {
  duckdb::ClientContext& context = *connection.context;
  context.RunFunctionInTransaction([&] {
    duckdb::Catalog& catalog = duckdb::Catalog::GetCatalog(context, INVALID_CATALOG);
    duckdb::MetaTransaction::Get(context).ModifyDatabase(
        catalog.GetAttached(), duckdb::DatabaseModificationType::CREATE_CATALOG_ENTRY);
    for (duckdb::ScalarFunction& function : functions) {
      duckdb::CreateScalarFunctionInfo info(std::move(function));
      info.schema = DEFAULT_SCHEMA;
      info.internal = false;
      catalog.CreateFunction(context, info);
    }
  });
}

}  // namespace

void RegisterClientFunctions(duckdb::Connection& connection) {
  std::vector<duckdb::ScalarFunction> functions;
  for (const ClientFunction& client : kClientFunctions) {
    functions.emplace_back(
        client.name,
        duckdb::vector<duckdb::LogicalType>(client.texts, duckdb::LogicalType::VARCHAR),
        duckdb::LogicalType::VARCHAR, Refuse);
    functions.back().SetVolatile();
  }
  Create(connection, std::move(functions));
}

void RegisterUserFunctions(duckdb::Connection& connection) {
  std::vector<duckdb::ScalarFunction> functions;
  for (const char* name : kUserFunctions) {
    functions.emplace_back(name, duckdb::vector<duckdb::LogicalType>(),
                           duckdb::LogicalType::VARCHAR, SayUser);
    functions.back().SetStability(duckdb::FunctionStability::CONSISTENT_WITHIN_QUERY);
  }
  Create(connection, std::move(functions));
}

bool MayAskForUser(std::string_view text) {
  const std::string lower = rows::LowerName(text);
  return lower.find("user") != std::string::npos || lower.find("role") != std::string::npos;
}

}  // namespace millrace::sql
