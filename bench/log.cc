// Appends with fsync through the log, against what the disk gives a plain loop: write + fdatasync
// on a growing file, and the same loop overwriting blocks that were written before. The three take
// short turns in one run, so that a disk that changes its mind hits all alike; figures are medians
// of the rounds. One producer, one batch a request, each waits for its acknowledgement; then many
// producers at once. As the recycled file is written once before, so the log begins with a
// write-ahead file that has its full size. At last, producers that write to one partition against
// the same that write to a thousand, in turns.
//
//   bench_log [--dir build/bench_log] [--seconds 2] [--wal-mib 256] [--json]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/files.h"
#include "log/log.h"

namespace {

using millrace::File;
using millrace::Files;
using millrace::OpenMode;
using millrace::Result;
using millrace::Status;
using millrace::log::AppendDone;
using millrace::log::Appended;
using millrace::log::Log;
using millrace::log::LogOptions;
using millrace::log::PartitionId;
using millrace::log::RecordBatchBuilder;

constexpr uint64_t kMiB = 1 << 20;
constexpr int kRecordBytes = 1000;
constexpr int kRounds = 15;  // turns that each contender gets per size

struct Settings {
  std::string directory = "build/bench_log";
  double seconds = 2;
  uint64_t wal_mib = 256;
  bool sustained = true;
  std::vector<size_t> sustained_kib = {64};
  std::vector<int> producers = {1, 8, 64};  // of 4 KiB each
  int partitions = 1000;
  bool json = false;
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Measured {
  std::vector<double> mb_per_second;  // of each round
  std::vector<double> latencies_micros;

  double Percentile(double p) {
    if (latencies_micros.empty()) return 0;
    std::sort(latencies_micros.begin(), latencies_micros.end());
    return latencies_micros[static_cast<size_t>(p *
                                                static_cast<double>(latencies_micros.size() - 1))];
  }
};

void Must(const Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "bench_log: {}\n", status.error().ToString());
  std::exit(1);
}
template <typename T>
T Must(Result<T> result) {
  if (result.ok()) return *std::move(result);
  fmt::print(stderr, "bench_log: {}\n", result.error().ToString());
  std::exit(1);
}

// One round: runs `once` until the time is over.
void Measure(double seconds, uint64_t bytes, const std::function<void()>& once, Measured& into) {
  const auto start = millrace::Tick();
  double now = 0;
  uint64_t done = 0;
  while (now < seconds) {
    once();
    const double after = millrace::SecondsSince(start);
    into.latencies_micros.push_back((after - now) * 1e6);
    done += bytes;
    now = after;
  }
  into.mb_per_second.push_back(static_cast<double>(done) / now / 1e6);
}

std::string MakeBatch(size_t bytes) {
  RecordBatchBuilder builder;
  const std::string value(kRecordBytes, 'x');
  while (builder.size() + kRecordBytes + 20 < bytes) builder.Add(std::nullopt, value, {1});
  // The rest is one record more, so that the batch has the wanted size but for a few bytes.
  builder.Add(
      std::nullopt,
      std::string(bytes - builder.size() - std::min<size_t>(16, bytes - builder.size()), 'y'), {1});
  return builder.Finish();
}

class GrowingFile {
 public:
  explicit GrowingFile(const std::string& directory) : path_(directory + "/growing") {
    file_ = Must(Files::System().Open(path_, OpenMode::kCreate));
    Must(file_->Truncate(0));
  }
  ~GrowingFile() { Must(Files::System().Remove(path_)); }
  void Once(std::string_view bytes) {
    Must(file_->Write(bytes, size_));
    Must(file_->Sync());
    size_ += bytes.size();
  }

 private:
  const std::string path_;
  std::unique_ptr<File> file_;
  uint64_t size_ = 0;
};

class RecycledFile {
 public:
  RecycledFile(const std::string& directory, uint64_t size)
      : path_(directory + "/recycled"), size_(size) {
    file_ = Must(Files::System().Open(path_, OpenMode::kCreate));
    const std::string zeros(kMiB, '\0');
    for (uint64_t at = 0; at < size_; at += zeros.size()) Must(file_->Write(zeros, at));
    Must(file_->Sync());
  }
  ~RecycledFile() { Must(Files::System().Remove(path_)); }
  void Once(std::string_view bytes) {
    if (at_ + bytes.size() > size_) at_ = 0;
    Must(file_->Write(bytes, at_));
    Must(file_->Sync());
    at_ += bytes.size();
  }

 private:
  const std::string path_;
  std::unique_ptr<File> file_;
  const uint64_t size_;
  uint64_t at_ = 0;
};

class MillraceLog {
 public:
  explicit MillraceLog(const Settings& settings, int partitions = 1)
      : directory_(fmt::format("{}/log{}", settings.directory, partitions)),
        partitions_(partitions) {
    Must(Files::System().RemoveAll(directory_));
    LogOptions options;
    options.directory = directory_;
    options.write_ahead_bytes_max = settings.wal_mib * kMiB;
    log_ = Must(Log::Open(options));
    millrace::log::TopicConfig config;
    config.partitions = partitions;
    config.retention_bytes = 256 * kMiB;  // so that the disk does not fill up
    topic_ = Must(log_->CreateTopic("bench", config)).id;
    for (int i = 0; i < partitions; ++i)
      Must(log_->SetFreeFloor({topic_, i}, millrace::log::kOffsetMax));
    const std::string batch = MakeBatch(kMiB);
    const uint64_t wanted = settings.wal_mib * kMiB;
    for (uint64_t done = 0; log_->Stats().write_ahead_file_bytes < wanted && done < 2 * wanted;) {
      Once(batch);
      done += batch.size();
    }
  }
  ~MillraceLog() {
    Must(log_->Close());
    log_.reset();
    Must(Files::System().RemoveAll(directory_));
  }
  void Once(std::string_view batch) {
    const int partition = next_.fetch_add(1, std::memory_order_relaxed) % partitions_;
    Must(log_->AppendAndWait({{PartitionId{topic_, partition}, std::string(batch)}}));
  }
  Log& log() { return *log_; }

 private:
  const std::string directory_;
  std::unique_ptr<Log> log_;
  const int partitions_;
  millrace::log::TopicId topic_;
  std::atomic<int> next_{0};  // each append goes to the partition after that of the one before
};

struct Row {
  size_t batch_bytes;
  Measured log, growing, recycled;
};

// Turns of `turn` seconds, until `done`.
Row Run(const Settings& settings, size_t batch_bytes, double turn,
        const std::function<bool(int round, const Log&)>& done) {
  Row row{batch_bytes, {}, {}, {}};
  const std::string batch = MakeBatch(batch_bytes);
  MillraceLog log(settings);
  GrowingFile growing(settings.directory);
  RecycledFile recycled(settings.directory, settings.wal_mib * kMiB);
  for (int round = 0; !done(round, log.log()); ++round) {
    Measure(
        turn, batch.size(), [&] { log.Once(batch); }, row.log);
    Measure(
        turn, batch.size(), [&] { growing.Once(batch); }, row.growing);
    Measure(
        turn, batch.size(), [&] { recycled.Once(batch); }, row.recycled);
  }
  return row;
}

Row RunSize(const Settings& settings, size_t batch_bytes) {
  return Run(settings, batch_bytes, settings.seconds / kRounds,
             [](int round, const Log&) { return round == kRounds; });
}

// The same until the log has gone ten times round its write-ahead file, in longer turns: more is
// appended in one than the log may keep in memory.
Row RunSustained(const Settings& settings, size_t batch_bytes) {
  const uint64_t wanted = 10 * settings.wal_mib * kMiB;
  return Run(settings, batch_bytes, 0.25,
             [&](int, const Log& log) { return log.Stats().write_ahead_bytes >= wanted; });
}

// What each append of producers that wait took, each producer in a thread of its own.
std::vector<std::vector<double>> AppendFor(double turn, int producers, const std::string& batch,
                                           MillraceLog& log) {
  std::vector<std::vector<double>> micros(static_cast<size_t>(producers));
  std::vector<std::thread> threads;
  const auto start = millrace::Tick();
  for (auto& mine : micros) {
    threads.emplace_back([&] {
      for (double now = millrace::SecondsSince(start); now < turn;) {
        log.Once(batch);
        const double after = millrace::SecondsSince(start);
        mine.push_back((after - now) * 1e6);
        now = after;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return micros;
}

void RunProducers(const Settings& settings, int producers) {
  constexpr size_t kBatchBytes = 4096;
  const std::string batch = MakeBatch(kBatchBytes);
  MillraceLog log(settings);
  std::vector<double> appends_per_second;
  std::vector<double> latencies;
  const auto before = log.log().Stats();
  for (int round = 0; round < kRounds; ++round) {
    const auto start = millrace::Tick();
    const auto micros = AppendFor(settings.seconds / kRounds, producers, batch, log);
    const double seconds = millrace::SecondsSince(start);
    size_t appends = 0;
    for (const auto& mine : micros) {
      appends += mine.size();
      latencies.insert(latencies.end(), mine.begin(), mine.end());
    }
    appends_per_second.push_back(static_cast<double>(appends) / seconds);
  }
  const auto after = log.log().Stats();
  const double per_frame = static_cast<double>(after.appends - before.appends) /
                           static_cast<double>(after.frames - before.frames);
  Measured all{{}, std::move(latencies)};
  const double rate = Median(appends_per_second);
  const double p50 = all.Percentile(0.5), p99 = all.Percentile(0.99);
  fmt::print(
      fmt::runtime(settings.json ? "{{\"case\":\"producers\",\"producers\":{},"
                                   "\"appends_per_second\":{:.0f},\"appends_per_frame\":{:.1f},"
                                   "\"p50_micros\":{:.0f},\"p99_micros\":{:.0f}}}\n"
                                 : "{} producers of 4 KiB: {:.0f} appends/s, {:.1f} to a frame, "
                                   "p50 {:.0f} us, p99 {:.0f} us\n"),
      producers, rate, per_frame, p50, p99);
  std::fflush(stdout);
}

// Eight producers of 64 KiB, in turns of a second: long enough that segments are filled and synced
// all the while.
void RunPartitions(const Settings& settings) {
  constexpr int kProducers = 8;
  const std::string batch = MakeBatch(64 << 10);
  MillraceLog one(settings);
  MillraceLog many(settings, settings.partitions);
  const auto rate = [&](MillraceLog& log) {
    const auto start = millrace::Tick();
    size_t appends = 0;
    for (const auto& mine : AppendFor(1, kProducers, batch, log)) appends += mine.size();
    return static_cast<double>(appends * batch.size()) / millrace::SecondsSince(start) / 1e6;
  };
  std::vector<double> of_one, of_many, ratios;
  for (int round = 0; round < kRounds; ++round) {
    of_one.push_back(rate(one));
    of_many.push_back(rate(many));
    ratios.push_back(100 * of_many.back() / of_one.back());
  }
  fmt::print(
      fmt::runtime(settings.json ? "{{\"case\":\"partitions\",\"partitions\":{},"
                                   "\"one_mb_per_second\":{:.0f},\"many_mb_per_second\":{:.0f},"
                                   "\"percent\":{:.0f}}}\n"
                                 : "{} partitions: one {:.0f} MB/s, all {:.0f} MB/s, {:.0f} %\n"),
      settings.partitions, Median(of_one), Median(of_many), Median(ratios));
}

// The median of the rounds' ratios: noise that hits a whole round cancels out.
double Share(const Measured& log, const Measured& loop) {
  std::vector<double> ratios;
  for (size_t i = 0; i < log.mb_per_second.size(); ++i) {
    ratios.push_back(log.mb_per_second[i] / loop.mb_per_second[i]);
  }
  return 100 * Median(ratios);
}

void Print(const Settings& settings, std::string_view what, Row& row) {
  const double log = Median(row.log.mb_per_second);
  const double growing = Median(row.growing.mb_per_second);
  const double recycled = Median(row.recycled.mb_per_second);
  if (settings.json) {
    fmt::print(
        "{{\"case\":\"{}\",\"batch_bytes\":{},\"log_mb_per_second\":{:.1f},\"growing_mb_per_"
        "second\":{:.1f},"
        "\"recycled_mb_per_second\":{:.1f},\"of_growing_percent\":{:.0f},"
        "\"of_recycled_percent\":{:.0f},\"log_p50_micros\":{:.0f},\"log_p99_micros\":{:.0f},"
        "\"growing_p99_micros\":{:.0f},\"recycled_p99_micros\":{:.0f}}}\n",
        what, row.batch_bytes, log, growing, recycled, Share(row.log, row.growing),
        Share(row.log, row.recycled), row.log.Percentile(0.5), row.log.Percentile(0.99),
        row.growing.Percentile(0.99), row.recycled.Percentile(0.99));
  } else {
    fmt::print(
        "{:>10} {:>8} {:>9.1f} {:>9.1f} {:>9.1f} {:>8.0f} % {:>8.0f} % {:>8.0f} {:>8.0f} "
        "{:>8.0f}\n",
        what, row.batch_bytes / 1024, log, growing, recycled, Share(row.log, row.growing),
        Share(row.log, row.recycled), row.log.Percentile(0.5), row.log.Percentile(0.99),
        row.growing.Percentile(0.99));
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  std::vector<size_t> sizes_kib = {4, 16, 64, 256, 1024};
  CLI::App app("Appends with fsync: the log against plain loops on the same disk");
  app.add_option("--dir", settings.directory, "Folder for the data, on the disk to be measured")
      ->capture_default_str();
  app.add_option("--seconds", settings.seconds, "Time for each contender and size")
      ->capture_default_str();
  app.add_option("--wal-mib", settings.wal_mib, "Size of the write-ahead file")
      ->capture_default_str();
  app.add_option("--sizes-kib", sizes_kib, "Batch sizes")->capture_default_str();
  app.add_flag("--sustained,!--no-sustained", settings.sustained,
               "Also go ten times round the write-ahead file");
  app.add_option("--sustained-kib", settings.sustained_kib, "Batch sizes for that")
      ->capture_default_str();
  app.add_option("--producers", settings.producers, "Numbers of producers at once")
      ->capture_default_str();
  app.add_option("--partitions", settings.partitions, "Partitions beside one; 0: leave it out")
      ->capture_default_str();
  app.add_flag("--json", settings.json, "One JSON object a line");
  CLI11_PARSE(app, argc, argv);
  Must(Files::System().CreateDirectories(settings.directory));
  if (!settings.json) {
    fmt::print("{:>10} {:>8} {:>9} {:>9} {:>9} {:>10} {:>10} {:>8} {:>8} {:>8}\n", "case", "KiB",
               "log MB/s", "growing", "recycled", "of growing", "of recycl.", "p50 us", "p99 us",
               "grow p99");
  }
  for (const size_t kib : sizes_kib) {
    Row row = RunSize(settings, kib * 1024);
    Print(settings, "append", row);
  }
  for (const size_t kib : settings.sustained_kib) {
    if (!settings.sustained) break;
    Row row = RunSustained(settings, kib * 1024);
    Print(settings, "sustained", row);
  }
  for (const int producers : settings.producers) RunProducers(settings, producers);
  if (settings.partitions > 0) RunPartitions(settings);
  return 0;
}
