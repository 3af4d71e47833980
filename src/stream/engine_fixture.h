// For tests: an engine over a real store, plans from SQL expressions, and DuckDB itself as the
// oracle.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "duckdb/planner/operator/logical_aggregate.hpp"
#include "duckdb/planner/operator/logical_projection.hpp"
#include "rows/row_codec.h"
#include "state/store.h"
#include "stream/engine.h"

namespace millrace::stream {

inline uint64_t TestSeed() {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20240229;
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  return seed;
}

// Rows with weights as text, for a chunk of one part: the content of a relation as a Z-set of exact
// encodings.
using Content = std::map<std::string, rows::Weight>;

inline void AddTo(Content& content, const rows::Batch& batch, const rows::Types& types) {
  rows::RowEncoder encoder(types);
  for (const auto& part : batch.parts) {
    const auto& encoded = encoder.Encode(*part.rows);
    for (size_t i = 0; i < encoded.size(); ++i) {
      auto& weight = content[std::string(encoded[i])];
      weight += part.weight(i);
      if (weight == 0) content.erase(std::string(encoded[i]));
    }
  }
}

// The bytes of a batch in its order: what must not differ between runs.
inline std::string BytesOf(const rows::Batch& batch, const rows::Types& types) {
  std::string bytes;
  rows::RowEncoder encoder(types);
  for (const auto& part : batch.parts) {
    const auto& encoded = encoder.Encode(*part.rows);
    for (size_t i = 0; i < encoded.size(); ++i) {
      bytes += std::to_string(encoded[i].size()) + ":" + std::string(encoded[i]) + "*" +
               std::to_string(part.weight(i)) + "\n";
    }
  }
  return bytes;
}

// A table in DuckDB whose columns expressions are bound to, and which holds the accumulated input.
class Oracle {
 public:
  // `columns`: "k INTEGER, x BIGINT".
  Oracle(const std::string& columns) : connection_(database_) {
    Run("CREATE TABLE t (" + columns + ")");
    Run("PRAGMA disable_optimizer");
    auto all = Run("SELECT * FROM t");
    types_ = all->types;
    for (const auto& name : all->names) names_.push_back(name);
  }

  duckdb::DuckDB& database() { return database_; }
  const rows::Types& types() const { return types_; }
  const std::vector<std::string>& names() const { return names_; }

  duckdb::unique_ptr<duckdb::MaterializedQueryResult> Run(const std::string& sql) {
    auto result = connection_.Query(sql);
    if (result->HasError()) ADD_FAILURE() << sql << ": " << result->GetError();
    return result;
  }

  // Expressions over the columns of t, in the order of the table.
  std::vector<Expression> Bind(const std::vector<std::string>& expressions) {
    std::string sql = "SELECT ";
    for (const std::string& name : names_) sql += name + ", ";
    for (size_t i = 0; i < expressions.size(); ++i)
      sql += (i ? ", " : "") + ("(" + expressions[i] + ")");
    auto plan = connection_.ExtractPlan(sql + " FROM t");
    auto* op = plan.get();
    while (op->type != duckdb::LogicalOperatorType::LOGICAL_PROJECTION) op = op->children[0].get();
    std::vector<Expression> bound;
    for (size_t i = names_.size(); i < op->expressions.size(); ++i)
      bound.push_back(op->expressions[i]->Copy());
    return bound;
  }

  // The bound function of "sum(x)".
  std::shared_ptr<const duckdb::BoundAggregateExpression> BindAggregate(const std::string& call) {
    auto plan = connection_.ExtractPlan("SELECT " + call + " FROM t");
    auto* op = plan.get();
    while (op->type != duckdb::LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY)
      op = op->children[0].get();
    auto copy = op->expressions[0]->Copy();
    return std::shared_ptr<const duckdb::BoundAggregateExpression>(
        static_cast<const duckdb::BoundAggregateExpression*>(copy.release()));
  }

  size_t Column(const std::string& name) const {
    for (size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == name) return i;
    }
    ADD_FAILURE() << "no column " << name;
    return 0;
  }

  AggregateCall Call(const std::string& sql, const std::vector<std::string>& arguments) {
    AggregateCall call;
    call.function = BindAggregate(sql);
    for (const std::string& argument : arguments) call.arguments.push_back(Column(argument));
    return call;
  }

  // The rows that a query gives, one part per chunk.
  rows::Batch Query(const std::string& sql) {
    rows::Batch batch;
    auto result = Run(sql);
    if (result->HasError()) return batch;
    while (auto chunk = result->Fetch()) {
      if (chunk->size() == 0) break;
      chunk->Flatten();
      auto shared = std::make_shared<duckdb::DataChunk>();
      shared->Move(*chunk);
      batch.parts.push_back({std::move(shared), {}});
    }
    return batch;
  }

 private:
  duckdb::DuckDB database_{nullptr};
  duckdb::Connection connection_;
  rows::Types types_;
  std::vector<std::string> names_;
};

// Gives each worker the rows whose number is its own modulo the workers.
class TestReader final : public SourceReader {
 public:
  TestReader(const rows::Batch& rows, const rows::Types& types, int workers) {
    std::vector<rows::BatchBuilder> builders;
    for (int i = 0; i < workers; ++i) builders.emplace_back(types);
    size_t number = 0;
    for (const auto& part : rows.parts) {
      for (size_t row = 0; row < part.rows->size(); ++row, ++number) {
        builders[number % workers].AppendRow(*part.rows, row, part.weight(row));
      }
    }
    for (auto& builder : builders) shares_.push_back(builder.Finish());
  }
  Result<rows::Batch> Read(int worker) override { return shares_[worker]; }

 private:
  std::vector<rows::Batch> shares_;
};

// An engine with one plan "out" over the source "t".
class TestEngine {
 public:
  TestEngine(Oracle& oracle, Plan plan, int workers)
      : oracle_(oracle), plan_(std::move(plan)), directory_(MakeDirectory()) {
    Open(workers);
  }
  ~TestEngine() {
    engine_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Flushes, closes everything and opens it again.
  void Restart(int workers) {
    store_->BeginFlush(state::Step{step_}, {});
    const Status flushed = store_->FinishFlush();
    ASSERT_TRUE(flushed.ok()) << flushed.error().ToString();
    engine_.reset();
    store_.reset();
    Open(workers);
  }

  StepResult Step(const rows::Batch& rows, bool with_source = true) {
    TestReader reader(rows, oracle_.types(), engine_->workers());
    StepInput input;
    input.step = state::Step{++step_};
    if (with_source) input.sources["t"] = &reader;
    auto result = engine_->Step(input);
    if (!result.ok()) {
      ADD_FAILURE() << result.error().ToString();
      return {};
    }
    return std::move(*result);
  }

  Engine& engine() { return *engine_; }
  state::Store& store() { return *store_; }
  const rows::Types& types() const { return plan_.nodes.back().types; }

 private:
  static std::string MakeDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "millrace_stream_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp failed";
    return name;
  }

  void Open(int workers) {
    state::StoreOptions options;
    options.directory = directory_;
    options.workers = workers;
    auto store = state::Store::Open(options);
    ASSERT_TRUE(store.ok()) << store.error().ToString();
    store_ = std::move(*store);
    Engine::Options engine_options;
    engine_options.workers = workers;
    auto engine = Engine::Start(engine_options, *store_, oracle_.database());
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    engine_ = std::move(*engine);
    const Status added = engine_->Add(plan_, /*generation=*/1);
    ASSERT_TRUE(added.ok()) << added.error().ToString();
  }

  Oracle& oracle_;
  Plan plan_;
  std::string directory_;
  std::unique_ptr<state::Store> store_;
  std::unique_ptr<Engine> engine_;
  int64_t step_ = 0;
};

// Source "t" → `op` → Output "out". `types`: of the output.
inline Plan OnePlan(const Oracle& oracle, Node node, bool insert_only = false) {
  Plan plan;
  const size_t source = plan.Add({Source{"t", insert_only}, {}, oracle.types(), oracle.names()});
  node.inputs = {source};
  const rows::Types types = node.types;
  const std::vector<std::string> names = node.names;
  const size_t op = plan.Add(std::move(node));
  plan.Add({Output{"out"}, {op}, types, names});
  return plan;
}

}  // namespace millrace::stream
