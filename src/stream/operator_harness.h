// For the tests of operators with state: runs one node on several workers as a circuit would, each
// change sent to the worker that owns its key, with flushes and restarts (also to another number of
// workers) wherever the test wants them.
//
// Rows are vectors of small values, relations are maps from row to weight, so that a test can
// recompute a law naively. Thread rule: one thread; the workers take turns.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/random.h"
#include "state/store.h"
#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream::testing {

// NULL, a number (BIGINT, INTEGER, BOOLEAN, microseconds of a TIMESTAMP), or text.
using Cell = std::variant<std::monostate, int64_t, std::string>;
using Row = std::vector<Cell>;
using Relation = std::map<Row, int64_t>;  // no weight is 0
using Changes = std::vector<std::pair<Row, int64_t>>;

inline const Cell kNull{};

inline void Add(Relation& relation, const Row& row, int64_t weight) {
  if (weight == 0) return;
  const auto at = relation.try_emplace(row, 0).first;
  if ((at->second += weight) == 0) relation.erase(at);
}
inline void Add(Relation& relation, const Changes& changes) {
  for (const auto& [row, weight] : changes) Add(relation, row, weight);
}

inline duckdb::Value ToValue(const Cell& cell, const duckdb::LogicalType& type) {
  if (std::holds_alternative<std::monostate>(cell)) return duckdb::Value(type);
  if (const auto* text = std::get_if<std::string>(&cell)) return duckdb::Value(*text);
  const int64_t number = std::get<int64_t>(cell);
  if (type == duckdb::LogicalType::TIMESTAMP) {
    return duckdb::Value::TIMESTAMP(duckdb::timestamp_t(number));
  }
  return duckdb::Value::BIGINT(number).DefaultCastAs(type);
}

inline Cell ToCell(const duckdb::Value& value) {
  if (value.IsNull()) return kNull;
  if (value.type() == duckdb::LogicalType::VARCHAR) return value.ToString();
  if (value.type() == duckdb::LogicalType::TIMESTAMP)
    return value.GetValue<duckdb::timestamp_t>().value;
  return value.DefaultCastAs(duckdb::LogicalType::BIGINT).GetValue<int64_t>();
}

// The changes as a batch with parts of at most `part_rows` rows.
inline rows::Batch ToBatch(const Changes& changes, const rows::Types& types,
                           size_t part_rows = STANDARD_VECTOR_SIZE) {
  rows::Batch batch;
  for (size_t begin = 0; begin < changes.size(); begin += part_rows) {
    const size_t count = std::min(part_rows, changes.size() - begin);
    rows::Batch::Part part;
    part.rows = std::make_shared<duckdb::DataChunk>();
    part.rows->Initialize(duckdb::Allocator::DefaultAllocator(), types);
    bool insert_only = true;
    for (size_t i = 0; i < count; ++i) {
      const auto& [row, weight] = changes[begin + i];
      for (size_t column = 0; column < types.size(); ++column) {
        part.rows->SetValue(column, i, ToValue(row[column], types[column]));
      }
      part.weights.push_back(weight);
      insert_only = insert_only && weight == 1;
    }
    part.rows->SetCardinality(count);
    if (insert_only) part.weights.clear();
    batch.parts.push_back(std::move(part));
  }
  return batch;
}

inline Changes FromBatch(const rows::Batch& batch) {
  Changes changes;
  for (const rows::Batch::Part& part : batch.parts) {
    EXPECT_GT(part.rows->size(), 0u) << "a batch has no empty part";
    for (size_t i = 0; i < part.rows->size(); ++i) {
      Row row;
      for (size_t column = 0; column < part.rows->ColumnCount(); ++column) {
        row.push_back(ToCell(part.rows->GetValue(column, i)));
      }
      changes.emplace_back(std::move(row), part.weight(i));
    }
  }
  return changes;
}

// The rows' exact encodings: their identity, and what ties are broken by.
inline std::map<Row, std::string> Encodings(const Relation& relation, const rows::Types& types) {
  Changes changes(relation.begin(), relation.end());
  std::map<Row, std::string> encodings;
  rows::RowEncoder encoder(types);
  const rows::Batch batch = ToBatch(changes, types);
  size_t next = 0;
  for (const rows::Batch::Part& part : batch.parts) {
    const std::vector<std::string_view>& encoded = encoder.Encode(*part.rows);
    for (size_t i = 0; i < part.rows->size(); ++i) encodings[changes[next++].first] = encoded[i];
  }
  return encodings;
}

// The seed of random tests: MILLRACE_SEED, else `standard`. Print it: SCOPED_TRACE(seed).
inline uint64_t Seed(uint64_t standard) {
  const char* text = std::getenv("MILLRACE_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : standard;
}

class Harness {
 public:
  using Make = std::unique_ptr<Operator> (*)(const Node&, OperatorContext);
  struct Input {
    rows::Types types;
    std::vector<ColumnIndex> keys;  // the exchange before the operator
    bool insert_only = false;
  };

  Harness(Make make, Node node, std::vector<Input> inputs, int workers)
      : make_(make), node_(std::move(node)), inputs_(std::move(inputs)), database_(nullptr) {
    static std::atomic<int> count = 0;
    directory_ = std::filesystem::path(::testing::TempDir()) /
                 fmt::format("millrace_operator_{}_{}", ::getpid(), count++);
    std::filesystem::remove_all(directory_);
    Start(workers);
  }
  ~Harness() {
    operators_.clear();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  // One step; gives the change of the output over all workers. `part_rows`: how the inputs are cut
  // into chunks.
  Changes Step(const std::vector<Changes>& inputs, size_t part_rows = STANDARD_VECTOR_SIZE) {
    ++step_.value;
    Changes out;
    std::vector<std::vector<Changes>> sharded = Shard(inputs);
    exclusions.clear();
    failures.clear();
    for (int worker = 0; worker < workers_; ++worker) {
      std::vector<rows::Batch> batches;
      std::vector<const rows::Batch*> pointers;
      for (size_t i = 0; i < inputs_.size(); ++i) {
        batches.push_back(ToBatch(sharded[worker][i], inputs_[i].types, part_rows));
      }
      // Both shapes of "no rows" occur in a circuit.
      for (const rows::Batch& batch : batches) {
        pointers.push_back(batch.empty() && step_.value % 2 == 0 ? nullptr : &batch);
      }
      StepContext context{step_, clock, watermarks, {}, {}, 0, {}};
      Result<rows::Batch> change = operators_[worker]->Step(context, pointers);
      EXPECT_TRUE(change.ok()) << change.error().ToString();
      for (auto& row : FromBatch(*change)) out.push_back(std::move(row));
      for (const Exclusion& e : context.exclusions) exclusions.emplace(e.partition, e.offset);
      for (const RowFailure& failure : context.failures) failures.push_back(failure);
      const Status after = store_->worker(worker).AfterStep();
      EXPECT_TRUE(after.ok()) << after.error().ToString();
    }
    return out;
  }

  // Starts a flush that the next steps go on with.
  void BeginFlush() {
    if (!store_->flushing()) store_->BeginFlush(step_, {});
  }
  // Flushes all, stops, and goes on from the disk.
  void Restart(int workers) {
    FinishFlush();
    store_->BeginFlush(step_, {});
    FinishFlush();
    operators_.clear();
    store_.reset();
    Start(workers);
    EXPECT_EQ(store_->flushed_step(), step_);
  }

  // Table + 0 of the operator on that worker is Bags(kTable) or Cells(kTable).
  state::WorkerState& state(int worker) { return store_->worker(worker); }
  static constexpr state::TableId kTable{1000};

  // Of the next step.
  Micros clock{};
  std::map<std::string, Micros> watermarks;
  // Of the last step.
  std::set<std::pair<int32_t, int64_t>> exclusions;
  std::vector<RowFailure> failures;

 private:
  void FinishFlush() {
    const Status status = store_->FinishFlush();
    EXPECT_TRUE(status.ok()) << status.error().ToString();
  }

  void Start(int workers) {
    workers_ = workers;
    state::StoreOptions options;
    options.directory = directory_.string();
    options.workers = workers;
    Result<std::unique_ptr<state::Store>> store = state::Store::Open(options);
    ASSERT_TRUE(store.ok()) << store.error().ToString();
    store_ = *std::move(store);
    connections_.clear();
    for (int worker = 0; worker < workers; ++worker) {
      connections_.push_back(std::make_unique<duckdb::Connection>(database_));
      OperatorContext context{.client = *connections_.back()->context,
                              .state = store_->worker(worker),
                              .watchdog = watchdog_,
                              .table = kTable,
                              .worker = worker,
                              .workers = workers,
                              .input_types = {},
                              .insert_only = {}};
      for (const Input& input : inputs_) {
        context.input_types.push_back(input.types);
        context.insert_only.push_back(input.insert_only);
      }
      operators_.push_back(make_(node_, std::move(context)));
    }
  }

  // By worker, then by input.
  std::vector<std::vector<Changes>> Shard(const std::vector<Changes>& inputs) {
    std::vector<std::vector<Changes>> sharded(workers_, std::vector<Changes>(inputs.size()));
    for (size_t input = 0; input < inputs.size(); ++input) {
      KeyReader keys(inputs_[input].keys, inputs_[input].types);
      size_t next = 0;
      for (const rows::Batch::Part& part : ToBatch(inputs[input], inputs_[input].types).parts) {
        for (const state::Key& key : keys.Read(*part.rows)) {
          const int worker = rows::WorkerOfShard(rows::VirtualShard(key.hash), workers_);
          sharded[worker][input].push_back(inputs[input][next++]);
        }
      }
    }
    return sharded;
  }

  Make make_;
  Node node_;
  std::vector<Input> inputs_;
  duckdb::DuckDB database_;
  Watchdog watchdog_;
  std::filesystem::path directory_;
  int workers_ = 0;
  state::Step step_;
  std::unique_ptr<state::Store> store_;
  std::vector<std::unique_ptr<duckdb::Connection>> connections_;
  std::vector<std::unique_ptr<Operator>> operators_;
};

// Random changes that keep every weight of `content` at 0 or above (before the step and after it,
// not within it): new rows made by `make_row`, more of old ones, retractions, pairs that cancel
// out, in any order. Applies them.
template <typename MakeRow>
Changes RandomChanges(Random& random, Relation& content, size_t count, const MakeRow& make_row) {
  Changes changes;
  for (size_t i = 0; i < count; ++i) {
    if (!content.empty() && random.Below(5) < 2) {
      auto at = content.begin();
      std::advance(at, random.Below(content.size()));
      const int64_t weight = random.OneIn(2) ? -at->second : -1;
      changes.emplace_back(at->first, weight);
    } else {
      changes.emplace_back(make_row(),
                           static_cast<int64_t>(1 + random.Below(random.OneIn(4) ? 3 : 1)));
    }
    const auto [row, weight] = changes.back();
    Add(content, row, weight);
    if (random.OneIn(8)) {
      const Row passing = make_row();
      changes.emplace_back(passing, 1);
      changes.emplace_back(passing, -1);
    }
  }
  for (size_t i = changes.size(); i > 1; --i) std::swap(changes[i - 1], changes[random.Below(i)]);
  return changes;
}

// What a random test does between two steps.
inline void MaybeFlushOrRestart(Random& random, Harness& harness) {
  if (random.OneIn(4)) harness.BeginFlush();
  if (random.OneIn(16)) harness.Restart(static_cast<int>(1 + random.Below(4)));
}

}  // namespace millrace::stream::testing
