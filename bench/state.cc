// What the state tables reach: look-ups, adds, flushes and look-ups on disk, per second of CPU time
// of the calling thread unless a line says otherwise. One worker.
//
//   bench_state [--keys 1000000] [--directory /tmp/bench_state]
#include <sys/resource.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "rows/key.h"
#include "state/store.h"
#include "state/tables.h"

namespace {

using namespace millrace;

constexpr size_t kBatch = 2048;

double Seconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Prints what was done since it was made.
class Timer {
 public:
  void Print(const char* what, size_t count) const {
    const double thread = Seconds(CLOCK_THREAD_CPUTIME_ID) - thread_;
    const double process = Seconds(CLOCK_PROCESS_CPUTIME_ID) - process_;
    const double wall = Seconds(CLOCK_MONOTONIC) - wall_;
    const auto n = static_cast<double>(count);
    std::printf("%-58s %9.0f k/s  (process %.0f k/s, wall %.0f k/s)\n", what, n / thread / 1e3,
                n / process / 1e3, n / wall / 1e3);
  }

 private:
  double thread_ = Seconds(CLOCK_THREAD_CPUTIME_ID);
  double process_ = Seconds(CLOCK_PROCESS_CPUTIME_ID);
  double wall_ = Seconds(CLOCK_MONOTONIC);
};

size_t ResidentMb() {
  std::ifstream file("/proc/self/statm");
  size_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * 4096 >> 20;
}

// Keys of 16 bytes; their bytes and hashes are made before the clock runs.
class Keys {
 public:
  void Make(size_t count, size_t distinct, uint64_t seed, bool shuffled) {
    Random random(seed);
    bytes_.resize(count * 16);
    keys.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const uint64_t id = shuffled ? random.Below(distinct) : i % distinct;
      const uint64_t parts[2] = {__builtin_bswap64(id), id * 0x9e3779b97f4a7c15};
      std::memcpy(&bytes_[i * 16], parts, 16);
      keys[i].bytes = {&bytes_[i * 16], 16};
      keys[i].hash = rows::KeyHash(keys[i].bytes);
    }
  }
  template <typename Do>
  void InBatches(const Do& each) const {
    for (size_t at = 0; at < keys.size(); at += kBatch) {
      each(std::span(keys).subspan(at, std::min(kBatch, keys.size() - at)));
    }
  }
  std::vector<state::Key> keys;

 private:
  std::string bytes_;
};

class Bench {
 public:
  Bench(std::string directory, size_t memory_bytes) : directory_(std::move(directory)) {
    std::filesystem::remove_all(directory_);
    Open(memory_bytes);
  }
  ~Bench() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  void Open(size_t memory_bytes) {
    store_.reset();
    auto opened =
        state::Store::Open({.directory = directory_, .workers = 1, .memory_bytes = memory_bytes});
    store_ = std::move(opened).value();
  }
  state::WorkerState& worker() { return store_->worker(0); }
  state::Store& store() { return *store_; }
  void EndStep() { worker().AfterStep().value(); }
  void Flush() {
    store_->BeginFlush({++step_}, {});
    store_->FinishFlush().value();
  }
  void Count(state::CellTable& table, std::span<const state::Key> keys) {
    table.FindOrCreate(keys, cells_, created_).value();
    for (std::byte* cell : cells_) {
      table.Touch(cell);
      ++*reinterpret_cast<int64_t*>(cell);
    }
  }
  void AddRows(state::BagTable& table, std::span<const state::Key> keys, std::string& row) {
    table.FindOrCreate(keys, groups_).value();
    for (size_t i = 0; i < keys.size(); ++i) {
      std::memcpy(row.data(), keys[i].bytes.data(), 16);
      table.Add(groups_[i], row, 1);
    }
  }

 private:
  const std::string directory_;
  std::unique_ptr<state::Store> store_;
  int64_t step_ = 0;
  std::vector<std::byte*> cells_;
  std::vector<uint8_t> created_;
  std::vector<state::BagTable::Group*> groups_;
};

void Cells(const std::string& directory, size_t count) {
  Bench bench(directory, size_t{4} << 30);
  auto& table = bench.worker().Cells({1}, 32);
  Keys keys;
  keys.Make(count, count, 1, false);
  Timer create;
  keys.InBatches([&](auto batch) {
    bench.Count(table, batch);
    bench.EndStep();
  });
  create.Print("cells: FindOrCreate + update, new keys", count);
  keys.Make(4 * count, count, 2, true);
  Timer update;
  keys.InBatches([&](auto batch) {
    bench.Count(table, batch);
    bench.EndStep();
  });
  update.Print("cells: FindOrCreate + update, random known keys", 4 * count);
  Timer flush;
  bench.Flush();
  flush.Print("cells: flush of all (thread: the worker's share)", count);
  Timer live;
  size_t steps = 0, flushes = 0;
  keys.InBatches([&](auto batch) {
    bench.Count(table, batch);
    bench.EndStep();
    if (++steps % 200 == 0 && !bench.store().flushing()) {
      bench.store().BeginFlush({static_cast<int64_t>(1000 + steps)}, {});
      ++flushes;
    }
  });
  live.Print(("cells: the same, " + std::to_string(flushes) + " flushes meanwhile").c_str(),
             4 * count);
  bench.store().FinishFlush().value();
  bench.Open(size_t{4} << 30);
  auto& again = bench.worker().Cells({1}, 32);
  keys.Make(count / 4, count, 3, true);
  Timer load;
  keys.InBatches([&](auto batch) {
    bench.Count(again, batch);
    bench.EndStep();
  });
  load.Print("cells: random keys from disk after a restart", count / 4);
}

void BigCells(const std::string& directory, size_t count, size_t cell_bytes) {
  const size_t before = ResidentMb();
  Bench bench(directory, size_t{8} << 30);
  auto& table = bench.worker().Cells({1}, cell_bytes);
  size_t tables_mb = 0;
  Timer create;
  for (size_t part = 0; part < 10; ++part) {
    Keys keys;
    keys.Make(count / 10, count, part, true);
    for (size_t i = 0; i < keys.keys.size(); ++i) {
      const uint64_t id = part * (count / 10) + i;
      std::memcpy(const_cast<char*>(keys.keys[i].bytes.data()), &id, 8);
      keys.keys[i].hash = rows::KeyHash(keys.keys[i].bytes);
    }
    keys.InBatches([&](auto batch) {
      bench.Count(table, batch);
      bench.EndStep();
    });
    tables_mb = bench.worker().memory_bytes() >> 20;
  }
  create.Print(
      ("cells: 10x the keys, cells of " + std::to_string(cell_bytes) + ", making of keys included")
          .c_str(),
      count);
  std::printf("%-58s %9zu MB (resident: %zu MB more)\n", "cells: memory of them", tables_mb,
              ResidentMb() - before);
}

void Joins(const std::string& directory, size_t count) {
  Bench bench(directory, size_t{4} << 30);
  auto& table = bench.worker().Bags({1}, false);
  Keys keys;
  std::string row(60, 'r');
  keys.Make(count, count, 1, false);
  Timer add;
  keys.InBatches([&](auto batch) {
    bench.AddRows(table, batch, row);
    bench.EndStep();
  });
  add.Print("bags: FindOrCreate + Add, one row of 60 bytes a key", count);
  std::printf("%-58s %9zu MB\n", "bags: memory of them", bench.worker().memory_bytes() >> 20);
  Timer flush;
  bench.Flush();
  flush.Print("bags: flush of all (thread: the worker's share)", count);
  bench.Open(size_t{4} << 30);
  auto& again = bench.worker().Bags({1}, false);
  keys.Make(count / 10, count, 3, true);
  std::vector<state::BagTable::Group*> groups;
  Timer load;
  keys.InBatches([&](auto batch) {
    again.Find(batch, groups).value();
    bench.EndStep();
  });
  load.Print("bags: random groups from disk after a restart", count / 10);
}

void Ordered(const std::string& directory, size_t count) {
  Bench bench(directory, size_t{4} << 30);
  auto& table = bench.worker().Bags({1}, true);
  constexpr size_t kGroups = 4000;
  Keys keys;
  keys.Make(count, kGroups, 1, true);
  Random random(7);
  std::string row(40, 'r');
  std::vector<state::BagTable::Group*> groups;
  Timer add;
  keys.InBatches([&](auto batch) {
    table.FindOrCreate(batch, groups).value();
    for (size_t i = 0; i < batch.size(); ++i) {
      // A sort key: a byte for NULL, then a number below 100 million in 8 bytes.
      row[0] = 1;
      const uint64_t value = __builtin_bswap64(random.Below(100000000) | uint64_t{1} << 63);
      std::memcpy(row.data() + 1, &value, 8);
      table.Add(groups[i], row, 1);
    }
    bench.EndStep();
  });
  add.Print("bags: Add of random rows, 4,000 ordered groups", count);
  std::printf("%-58s %9zu MB\n", "bags: memory of them", bench.worker().memory_bytes() >> 20);
  Timer scan;
  keys.InBatches([&](auto batch) {
    if (batch.data() >= keys.keys.data() + count / 10) return;
    table.Find(batch, groups).value();
    for (auto* group : groups) {
      int left = 10;
      table.Scan(group, {}, [&](const auto&) { return --left > 0; });
    }
  });
  scan.Print("bags: first 10 rows of a group", count / 10);
}

void Tight(const std::string& directory, size_t count) {
  Keys keys;
  keys.Make(count, count, 1, false);
  Bench bench(directory, count * 72 / 10);
  auto& table = bench.worker().Cells({1}, 32);
  const auto run = [&] {
    keys.InBatches([&](auto batch) {
      bench.Count(table, batch);
      bench.EndStep();
      if (bench.store().wants_flush()) bench.Flush();
    });
  };
  Timer create;
  run();
  create.Print("cells: new keys, memory a tenth of the state", count);
  keys.Make(count / 2, count, 2, true);
  Timer update;
  run();
  update.Print("cells: random known keys, memory a tenth of the state", count / 2);
  std::printf("%-58s %9zu KB of %zu KB, %zu misses, %zu evicted\n", "cells: memory",
              bench.store().stats().memory_bytes >> 10, count * 72 / 10 >> 10,
              bench.store().stats().misses, bench.store().stats().evicted_entries);
}

void Empty(const std::string& directory) {
  const size_t before = ResidentMb();
  Timer open;
  Bench bench(directory, size_t{4} << 30);
  open.Print("empty store: opened (per second)", 1000);
  std::printf("%-58s %9zu MB resident more\n", "empty store: memory", ResidentMb() - before);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What the state tables reach");
  size_t keys = 1000000;
  std::string directory = "/tmp/bench_state";
  std::string only;
  app.add_option("--keys", keys, "keys of the plain tests");
  app.add_option("--directory", directory, "where the store lies; it is emptied");
  app.add_option("--only", only, "one of: empty cells big joins ordered tight");
  CLI11_PARSE(app, argc, argv);
  const auto wanted = [&](const char* name) { return only.empty() || only == name; };
  if (wanted("empty")) Empty(directory);
  if (wanted("cells")) Cells(directory, keys);
  if (wanted("joins")) Joins(directory, keys);
  if (wanted("ordered")) Ordered(directory, 6 * keys);
  if (wanted("tight")) Tight(directory, keys);
  if (wanted("big")) {
    BigCells(directory, 10 * keys, 16);
    BigCells(directory, 10 * keys, 32);
  }
  return 0;
}
