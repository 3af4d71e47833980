#include "sql/client_functions.h"

#include <array>
#include <utility>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "duckdb/transaction/meta_transaction.hpp"

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

void Refuse(duckdb::DataChunk& /*arguments*/, duckdb::ExpressionState& state,
            duckdb::Vector& /*result*/) {
  throw duckdb::NotImplementedException("%s has no value here", state.expr.ToString());
}

}  // namespace

void RegisterClientFunctions(duckdb::Connection& connection) {
  duckdb::ClientContext& context = *connection.context;
  context.RunFunctionInTransaction([&] {
    // Not the system's catalog: names are looked for in this one first.
    duckdb::Catalog& catalog = duckdb::Catalog::GetCatalog(context, INVALID_CATALOG);
    duckdb::MetaTransaction::Get(context).ModifyDatabase(
        catalog.GetAttached(), duckdb::DatabaseModificationType::CREATE_CATALOG_ENTRY);
    for (const ClientFunction& client : kClientFunctions) {
      duckdb::ScalarFunction function(
          client.name,
          duckdb::vector<duckdb::LogicalType>(client.texts, duckdb::LogicalType::VARCHAR),
          duckdb::LogicalType::VARCHAR, Refuse);
      function.SetVolatile();
      duckdb::CreateScalarFunctionInfo info(std::move(function));
      info.schema = DEFAULT_SCHEMA;
      info.internal = false;
      catalog.CreateFunction(context, info);
    }
  });
}

}  // namespace millrace::sql
