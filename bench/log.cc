// Appends with fsync through the log, against what the disk gives a plain loop: write + fdatasync
// on a growing file, and the same loop overwriting blocks that were written before. The three take
// turns in one run, so that a disk that changes its mind hits all alike. One producer, one batch a
// request, each waits for its acknowledgement.
//
//   bench_log [--dir build/bench_log] [--seconds 2] [--wal-mib 256] [--json]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>

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
constexpr int kRounds = 4;  // turns that each contender gets per size

struct Settings {
  std::string directory = "build/bench_log";
  double seconds = 2;
  uint64_t wal_mib = 256;
  bool sustained = true;
  bool json = false;
};

struct Measured {
  uint64_t bytes = 0;
  double seconds = 0;
  std::vector<double> latencies_micros;

  double mb_per_second() const {
    return seconds == 0 ? 0 : static_cast<double>(bytes) / seconds / 1e6;
  }
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

// Runs `once` until the time is over.
void Measure(double seconds, uint64_t bytes, const std::function<void()>& once, Measured& into) {
  const auto start = millrace::Tick();
  double now = 0;
  while (now < seconds) {
    once();
    const double after = millrace::SecondsSince(start);
    into.latencies_micros.push_back((after - now) * 1e6);
    into.bytes += bytes;
    now = after;
  }
  into.seconds += now;
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
  explicit MillraceLog(const Settings& settings) : directory_(settings.directory + "/log") {
    Must(Files::System().RemoveAll(directory_));
    LogOptions options;
    options.directory = directory_;
    options.write_ahead_bytes_max = settings.wal_mib * kMiB;
    log_ = Must(Log::Open(options));
    millrace::log::TopicConfig config;
    config.retention_bytes = 256 * kMiB;  // so that the disk does not fill up
    partition_ = {Must(log_->CreateTopic("bench", config)).id, 0};
    Must(log_->SetFreeFloor(partition_, millrace::log::kOffsetMax));
  }
  ~MillraceLog() {
    Must(log_->Close());
    log_.reset();
    Must(Files::System().RemoveAll(directory_));
  }
  void Once(std::string_view batch) {
    Must(log_->AppendAndWait({{partition_, std::string(batch)}}));
  }
  Log& log() { return *log_; }

 private:
  const std::string directory_;
  std::unique_ptr<Log> log_;
  PartitionId partition_;
};

struct Row {
  size_t batch_bytes;
  Measured log, growing, recycled;
};

Row RunSize(const Settings& settings, size_t batch_bytes, double seconds) {
  Row row{batch_bytes, {}, {}, {}};
  const std::string batch = MakeBatch(batch_bytes);
  MillraceLog log(settings);
  GrowingFile growing(settings.directory);
  RecycledFile recycled(settings.directory, settings.wal_mib * kMiB);
  const double turn = seconds / kRounds;
  for (int round = 0; round < kRounds; ++round) {
    Measure(
        turn, batch.size(), [&] { log.Once(batch); }, row.log);
    Measure(
        turn, batch.size(), [&] { growing.Once(batch); }, row.growing);
    Measure(
        turn, batch.size(), [&] { recycled.Once(batch); }, row.recycled);
  }
  return row;
}

// The same until the log has gone ten times round its write-ahead file.
Row RunSustained(const Settings& settings, size_t batch_bytes) {
  Row row{batch_bytes, {}, {}, {}};
  const std::string batch = MakeBatch(batch_bytes);
  MillraceLog log(settings);
  GrowingFile growing(settings.directory);
  RecycledFile recycled(settings.directory, settings.wal_mib * kMiB);
  const uint64_t wanted = 10 * settings.wal_mib * kMiB;
  while (log.log().Stats().write_ahead_bytes < wanted) {
    Measure(
        0.5, batch.size(), [&] { log.Once(batch); }, row.log);
    Measure(
        0.25, batch.size(), [&] { growing.Once(batch); }, row.growing);
    Measure(
        0.25, batch.size(), [&] { recycled.Once(batch); }, row.recycled);
  }
  return row;
}

void Print(const Settings& settings, std::string_view what, Row& row) {
  const double log = row.log.mb_per_second();
  const double growing = row.growing.mb_per_second();
  const double recycled = row.recycled.mb_per_second();
  if (settings.json) {
    fmt::print(
        "{{\"case\":\"{}\",\"batch_bytes\":{},\"log_mb_per_second\":{:.1f},\"growing_mb_per_"
        "second\":{:.1f},"
        "\"recycled_mb_per_second\":{:.1f},\"log_p50_micros\":{:.0f},\"log_p99_micros\":{:.0f},"
        "\"growing_p99_micros\":{:.0f},\"recycled_p99_micros\":{:.0f}}}\n",
        what, row.batch_bytes, log, growing, recycled, row.log.Percentile(0.5),
        row.log.Percentile(0.99), row.growing.Percentile(0.99), row.recycled.Percentile(0.99));
  } else {
    fmt::print(
        "{:>10} {:>8} {:>9.1f} {:>9.1f} {:>9.1f} {:>8.0f} % {:>8.0f} % {:>8.0f} {:>8.0f} "
        "{:>8.0f}\n",
        what, row.batch_bytes / 1024, log, growing, recycled, 100 * log / growing,
        100 * log / recycled, row.log.Percentile(0.5), row.log.Percentile(0.99),
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
  app.add_flag("--json", settings.json, "One JSON object a line");
  CLI11_PARSE(app, argc, argv);
  Must(Files::System().CreateDirectories(settings.directory));
  if (!settings.json) {
    fmt::print("{:>10} {:>8} {:>9} {:>9} {:>9} {:>10} {:>10} {:>8} {:>8} {:>8}\n", "case", "KiB",
               "log MB/s", "growing", "recycled", "of growing", "of recycl.", "p50 us", "p99 us",
               "grow p99");
  }
  for (const size_t kib : sizes_kib) {
    Row row = RunSize(settings, kib * 1024, settings.seconds);
    Print(settings, "append", row);
  }
  if (settings.sustained) {
    Row row = RunSustained(settings, 64 * 1024);
    Print(settings, "sustained", row);
  }
  return 0;
}
