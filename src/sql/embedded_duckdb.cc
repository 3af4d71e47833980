#include "sql/embedded_duckdb.h"

#include <random>

#include "base/logging.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp"
#include "duckdb/common/enums/optimizer_type.hpp"
#include "duckdb/main/config.hpp"
#include "sql/client_functions.h"
#include "sql/column_scan.h"
#include "sql/duckdb_error.h"
#include "sql/equality_hints.h"
#include "sql/guarded_files.h"
#include "sql/predict_function.h"
#include "sql/refused_plans.h"
#include "sql/relation_binding.h"
#include "sql/session_functions.h"

namespace millrace::sql {
namespace {

using duckdb::OptimizerType;

// What a plan for a circuit may not see: rules that believe the statistics or the size of the
// moment, that speak of storage, or that make of a plain operator one that cannot be maintained.
const std::set<OptimizerType>& RulesOffForCircuits() {
  static const std::set<OptimizerType> rules = {
      OptimizerType::STATISTICS_PROPAGATION,
      OptimizerType::COMPRESSED_MATERIALIZATION,
      OptimizerType::LATE_MATERIALIZATION,
      OptimizerType::TOP_N_WINDOW_ELIMINATION,
      OptimizerType::WINDOW_SELF_JOIN,
      OptimizerType::JOIN_ORDER,
      OptimizerType::BUILD_SIDE_PROBE_SIDE,
      OptimizerType::JOIN_ELIMINATION,
      OptimizerType::ROW_GROUP_PRUNER,
      OptimizerType::JOIN_FILTER_PUSHDOWN,
      OptimizerType::SAMPLING_PUSHDOWN,
      OptimizerType::COLUMN_LIFETIME,
      OptimizerType::COMMON_SUBPLAN,  // the engine shares equal nodes by itself
      OptimizerType::IN_CLAUSE,       // a long IN list would become a join
      OptimizerType::REGEX_RANGE,
      OptimizerType::SUM_REWRITER,
      OptimizerType::REORDER_FILTER,
  };
  return rules;
}

// Of the database of column tables: nobody can guess it.
std::string HiddenName() {
  std::random_device random;
  return fmt::format("millrace_{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

bool HasColumns(Purpose purpose, const DatabaseOptions& options) {
  return purpose == Purpose::kQueries && !options.column_directory.empty();
}

void Configure(duckdb::DBConfig& config, Purpose purpose, const DatabaseOptions& options) {
  const int threads = purpose == Purpose::kCircuits ? 1 : std::max(1, options.threads);
  config.SetOptionByName("threads", duckdb::Value::BIGINT(threads));
  if (purpose == Purpose::kQueries) {
    config.SetOptionByName("memory_limit", duckdb::Value(fmt::format("{}B", options.memory_bytes)));
  }
  config.SetOptionByName("temp_directory", duckdb::Value(options.temp_directory));
  config.SetOptionByName("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("allow_community_extensions", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("default_collation", duckdb::Value(""));
  config.SetOptionByName("disable_database_invalidation", duckdb::Value::BOOLEAN(true));
  // COMMON_SUBPLAN of DuckDB 1.5.1 to 1.5.6 takes two parts of a UNION ALL for equal although they
  // keep different columns of one join, and answers wrongly: duckdb/duckdb#25819.
  config.options.disabled_optimizers = purpose == Purpose::kCircuits
                                           ? RulesOffForCircuits()
                                           : std::set<OptimizerType>{OptimizerType::COMMON_SUBPLAN};
  RegisterReplacementScan(config);
  if (purpose == Purpose::kQueries) {
    RegisterEqualityHints(config);
    RegisterRefusedPlans(config);
  }
}

void Execute(duckdb::Connection& connection, const std::string& sql) {
  const auto result = connection.Query(sql);
  if (result->HasError()) result->ThrowError();
}

// DuckDB takes another form of substring() where statistics say that all texts are ASCII, and that
// form answers otherwise where a negative start lies before the text: 'a' and not '' for
// substring('a', -2, 1). Without its look at the statistics there is one form for all queries and
// views.
void FixSubstring(duckdb::Connection& connection) {
  duckdb::ClientContext& context = *connection.context;
  context.RunFunctionInTransaction([&] {
    duckdb::Catalog& catalog = duckdb::Catalog::GetSystemCatalog(context);
    for (const char* name : {"substring", "substr"}) {
      auto& entry =
          catalog.GetEntry<duckdb::ScalarFunctionCatalogEntry>(context, DEFAULT_SCHEMA, name);
      for (duckdb::ScalarFunction& function : entry.functions.functions)
        function.SetStatisticsCallback(nullptr);
    }
  });
}

std::vector<std::string> ClosedFolders(const DatabaseOptions& options) {
  std::vector<std::string> folders;
  for (const std::string& folder : {options.closed_files, options.column_directory}) {
    if (!folder.empty()) folders.push_back(folder);
  }
  return folders;
}

// Queries do without where it cannot be written.
std::unique_ptr<ColumnTables> OpenColumns(duckdb::DuckDB& database, const std::string& directory,
                                          const std::string& name) {
  auto columns = ColumnTables::Open(database, directory, name);
  if (columns.ok()) return std::move(columns).value();
  LOG_WARNING("no column cache", "error={}", columns.error().message());
  return nullptr;
}

// What can only be set on a running database, and then the lock: kCircuits runs no statement of a
// user.
void Restrict(duckdb::DuckDB& database, Purpose purpose, const DatabaseOptions& options) {
  duckdb::Connection connection(database);
  RegisterScanFunction(connection);
  FixSubstring(connection);
  RegisterPredictFunction(connection);
  if (purpose == Purpose::kCircuits) {
    RegisterSessionFunctions(connection);
    RegisterClientFunctions(connection);
  } else {
    RegisterUserFunctions(connection);
  }
  Execute(connection, "SET GLOBAL TimeZone = 'UTC'");
  // As an option of the start it is not kept to (DuckDB 1.5.6).
  if (options.temp_bytes_max > 0)
    Execute(connection,
            fmt::format("SET GLOBAL max_temp_directory_size = '{}B'", options.temp_bytes_max));
  std::string folders;
  for (const std::string& folder : options.allowed_files) {
    folders += (folders.empty() ? "" : ", ") + duckdb::Value(folder).ToSQLString();
  }
  if (!folders.empty())
    Execute(connection, fmt::format("SET GLOBAL allowed_directories = [{}]", folders));
  Execute(connection, "SET GLOBAL errors_as_json = true");  // with places, see duckdb_error.cc
  Execute(connection, "SET GLOBAL enable_external_access = false");
  if (purpose == Purpose::kQueries) Execute(connection, "SET GLOBAL lock_configuration = true");
}

}  // namespace

Result<Embedded> OpenEmbedded(Purpose purpose, const DatabaseOptions& options) {
  const std::string library = duckdb::DuckDB::LibraryVersion();
  if (library != MILLRACE_DUCKDB_VERSION) {
    return Error(Code::kInternal,
                 "DuckDB library {} does not fit the headers of {}: install the one that Millrace "
                 "was built with",
                 library, MILLRACE_DUCKDB_VERSION);
  }
  return Guard(
      [&]() -> Result<Embedded> {
        duckdb::DBConfig config;
        Configure(config, purpose, options);
        // The file of the columns is opened as if a statement asked for it.
        const auto guards = std::make_shared<std::atomic<bool>>(false);
        config.file_system = MakeGuardedFiles(ClosedFolders(options), guards);
        const std::string hidden = HiddenName();
        if (HasColumns(purpose, options)) RegisterColumnScans(config, hidden);
        Embedded embedded;
        embedded.database = std::make_unique<duckdb::DuckDB>(nullptr, &config);
        if (HasColumns(purpose, options))
          embedded.columns = OpenColumns(*embedded.database, options.column_directory, hidden);
        Restrict(*embedded.database, purpose, options);
        *guards = true;
        return embedded;
      },
      [](const duckdb::ErrorData& error) {
        return FromDuckDb(error, Place::OfWhole(""), "", {}).With("open the embedded DuckDB");
      });
}

}  // namespace millrace::sql
