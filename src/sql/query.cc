// Database::Query and ExplainQuery: SELECTs at a snapshot, planned once per connection and text.
#include "duckdb/execution/physical_operator.hpp"
#include "duckdb/execution/physical_plan_generator.hpp"
#include "duckdb/main/prepared_statement_data.hpp"
#include "duckdb/parser/statement/explain_statement.hpp"
#include "rows/chunk_bytes.h"
#include "sql/client_functions.h"
#include "sql/database_impl.h"
#include "sql/parameter_value.h"
#include "sql/vocabulary.h"

namespace millrace::sql {
namespace {

using duckdb::BoundParameterData;
using Values = duckdb::case_insensitive_map_t<BoundParameterData>;

Result<Values> BindParameters(duckdb::PreparedStatement& statement,
                              const std::map<std::string, duckdb::Value>& parameters) {
  const auto expected = statement.GetExpectedParameterTypes();
  Values values;
  for (const auto& [name, index] : statement.named_param_map) {
    const auto given = parameters.find(name);
    if (given == parameters.end()) {
      return Error(Code::kInvalidArgument, "parameter ${} has no value", name).SqlState("42P02");
    }
    const auto type = expected.find(name);
    const bool known = type != expected.end() &&
                       type->second.id() != duckdb::LogicalTypeId::UNKNOWN &&
                       type->second.id() != duckdb::LogicalTypeId::INVALID;
    values.emplace(name, BoundParameterData(known ? InExpectedType(given->second, type->second)
                                                  : given->second));
  }
  return values;
}

// A kept plan would keep what its last run built, hash tables and sorted rows, until its next run.
void ReleaseState(duckdb::PhysicalOperator& op) {
  op.op_state.reset();
  op.sink_state.reset();
  for (auto& child : op.children) ReleaseState(child.get());
}

// The rows of an answer: in memory as long as there is some for it, then with DuckDB's buffers
// where they may stand there.
class RowKeeper {
 public:
  RowKeeper(const QueryLimits& limits, const std::shared_ptr<MemoryBudget>& memory,
            const duckdb::shared_ptr<duckdb::DatabaseInstance>& database, rows::Types types)
      : limits_(limits), database_(database), types_(std::move(types)) {
    if (limits_.may_spill) share_ = std::make_shared<ResultShare>(memory);
  }

  // May throw DuckDB's exceptions.
  Status Keep(duckdb::unique_ptr<duckdb::DataChunk> rows) {
    count_ += rows->size();
    if (limits_.rows_max != 0 && count_ > limits_.rows_max) {
      return Error(Code::kTooLarge, "the answer has more than {} rows: add a LIMIT",
                   limits_.rows_max);
    }
    if (spilled_ != nullptr || !HasMemory(rows::BytesOf(*rows))) return Spill(*rows);
    chunks_.emplace_back(rows.release());
    return Ok();
  }
  void Finish(QueryResult& out) {
    out.chunks = std::move(chunks_);
    out.share = std::move(share_);
    out.spilled = std::move(spilled_);
  }

 private:
  bool HasMemory(uint64_t bytes) {
    if (share_ != nullptr) return share_->TryTake(bytes);
    bytes_ += bytes;
    return bytes_ <= limits_.rows_bytes_max;
  }
  Status Spill(duckdb::DataChunk& rows) {
    if (!limits_.may_spill) {
      return Error(Code::kTooLarge, "the rows take more than {} MiB of memory",
                   limits_.rows_bytes_max >> 20)
          .Hint("take fewer at a time");
    }
    if (spilled_ == nullptr) spilled_ = std::make_shared<SpilledRows>(database_, types_);
    spilled_->Append(rows);
    return Ok();
  }

  const QueryLimits& limits_;
  const duckdb::shared_ptr<duckdb::DatabaseInstance>& database_;
  const rows::Types types_;
  size_t count_ = 0;
  uint64_t bytes_ = 0;
  std::vector<std::shared_ptr<duckdb::DataChunk>> chunks_;
  std::shared_ptr<ResultShare> share_;  // where rows may spill
  std::shared_ptr<SpilledRows> spilled_;
};

Error Interrupted(const QueryLimits& limits) {
  if (limits.cancel && limits.cancel->load())
    return Error(Code::kCancelled, "the query was cancelled");
  return Error(Code::kTimeout, "the query took longer than {} ms", limits.timeout.count());
}

// What DuckDB plans of a text depends on the caller too: what is constant in it is worked out.
std::string PreparedKey(uint64_t catalog_version, const Caller& caller, const std::string& text) {
  return fmt::format("{}\n{}\n{}\n{}", catalog_version, caller.time_zone,
                     MayAskForUser(text) ? caller.user : "", text);
}

}  // namespace

Result<QueryResult> Database::Impl::Run(PooledConnection& connection,
                                        duckdb::PreparedStatement& statement,
                                        const std::map<std::string, duckdb::Value>& parameters,
                                        const QueryLimits& limits, const Place& place) {
  TRY(Values values, BindParameters(statement, parameters));
  const stream::Watchdog::Guard watch(watchdog, connection.client(),
                                      stream::EndOfCall(limits.timeout, limits.cancel));
  const auto fail = [&](const duckdb::ErrorData& error) -> Result<QueryResult> {
    if (watch.interrupted()) return Interrupted(limits);
    return FromCall(error, place, connection.context());
  };
  const auto run = [&]() -> Result<QueryResult> {
    const auto result = statement.Execute(values, /*allow_stream_result=*/true);
    if (result->HasError()) return fail(result->GetErrorObject());
    QueryResult out;
    out.schema = SchemaOf(result->names, result->types);
    RowKeeper keeper(limits, result_memory, queries->instance, result->types);
    while (true) {
      duckdb::unique_ptr<duckdb::DataChunk> chunk;
      duckdb::ErrorData error;
      if (!result->TryFetch(chunk, error)) return fail(error);
      if (!chunk || chunk->size() == 0) break;
      TRY(keeper.Keep(std::move(chunk)));
    }
    // An interrupt may end a stream without an error.
    if (watch.interrupted()) return Interrupted(limits);
    keeper.Finish(out);
    return out;
  };
  Result<QueryResult> result = Guard(run, fail);
  if (!result.ok()) {
    connection.MarkBroken();
  } else if (statement.data->physical_plan) {
    ReleaseState(statement.data->physical_plan->Root());
  }
  return result;
}

Result<QueryResult> Database::Query(std::shared_ptr<const Snapshot> snapshot,
                                    const std::string& select,
                                    const std::map<std::string, duckdb::Value>& parameters,
                                    const QueryLimits& limits) {
  const auto attempt = [&](bool with_copies, bool& copies_failed) -> Result<QueryResult> {
    ConnectionPool::Lease lease = impl_->query_connections.Take(
        PreparedKey(snapshot->catalog().version(), limits.caller, select));
    lease->Serve(limits.caller);
    QueryContext& context = lease->context();
    context.catalog = &snapshot->catalog();
    context.snapshot = snapshot.get();
    context.without_copies = !with_copies;
    auto result = impl_->Query(*lease, select, parameters, limits);
    copies_failed = context.copies_failed;
    return result;
  };
  bool copies_failed = false;
  Result<QueryResult> result = attempt(/*with_copies=*/true, copies_failed);
  if (copies_failed) {
    // What the log says is the answer, and shows whose failure it was.
    Result<QueryResult> again = attempt(/*with_copies=*/false, copies_failed);
    if (again.ok()) impl_->columns->Fail(result.error());
    result = std::move(again);
  }
  if (result.ok()) result->step = snapshot->step();
  return result;
}

Result<QueryResult> Database::Impl::Query(PooledConnection& connection, const std::string& select,
                                          const std::map<std::string, duckdb::Value>& parameters,
                                          const QueryLimits& limits) {
  const Place place = Place::OfWhole(select);
  QueryContext& context = connection.context();
  const catalog::Catalog& catalog = *context.catalog;
  const std::string key = PreparedKey(catalog.version(), limits.caller, select);
  const auto fail = [&](const duckdb::ErrorData& error) -> Status {
    return FromCall(error, place, context);
  };
  // Also for a statement that is prepared already: DuckDB may bind it again.
  TRY(Guard([&] { return Teach(connection, catalog); }, fail));
  std::shared_ptr<duckdb::PreparedStatement> prepared = connection.FindPrepared(key);
  if (!prepared) {
    const stream::Watchdog::Guard watch(watchdog, connection.client(),
                                        stream::EndOfCall(limits.timeout, limits.cancel));
    const auto prepare = [&]() -> Status {
      TRY(auto statement, ParseSelect(select));
      prepared = std::shared_ptr<duckdb::PreparedStatement>(
          connection.connection().Prepare(std::move(statement)).release());
      if (!prepared->HasError()) return Ok();
      if (watch.interrupted()) return Interrupted(limits);
      return FromCall(prepared->error, place, context);
    };
    TRY(Guard(prepare, fail));
  }
  TRY(QueryResult result, Run(connection, *prepared, parameters, limits, place));
  // Only now: DuckDB may have planned it again to run it.
  connection.KeepPrepared(key, std::move(prepared));
  return result;
}

Result<std::string> Database::ExplainQuery(std::shared_ptr<const Snapshot> snapshot,
                                           const std::string& select,
                                           const std::map<std::string, duckdb::Value>& parameters,
                                           const Caller& caller) {
  const Place place = Place::OfWhole(select);
  ConnectionPool::Lease lease = impl_->query_connections.Take();
  lease->Serve(caller);
  QueryContext& context = lease->context();
  context.catalog = &snapshot->catalog();
  context.snapshot = snapshot.get();
  const auto explain = [&]() -> Result<std::string> {
    TRY(Teach(*lease, snapshot->catalog()));
    TRY(auto statement, ParseSelect(select));
    auto parameter_map = statement->named_param_map;
    auto explained = duckdb::make_uniq<duckdb::ExplainStatement>(std::move(statement));
    explained->named_param_map = std::move(parameter_map);
    const auto prepared = lease->connection().Prepare(std::move(explained));
    if (prepared->HasError()) return FromCall(prepared->error, place, context);
    TRY(Values values, BindParameters(*prepared, parameters));
    const auto executed = prepared->Execute(values, /*allow_stream_result=*/false);
    auto* result = static_cast<duckdb::MaterializedQueryResult*>(executed.get());
    if (result->HasError()) return FromCall(result->GetErrorObject(), place, context);
    std::string text;
    for (duckdb::idx_t row = 0; row < result->RowCount(); ++row)
      text += result->GetValue(1, row).ToString();
    return text;
  };
  return Guard(explain, [&](const duckdb::ErrorData& error) -> Result<std::string> {
    return FromCall(error, place, context);
  });
}

}  // namespace millrace::sql
