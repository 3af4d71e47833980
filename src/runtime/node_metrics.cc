#include "runtime/node_metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>

#include "runtime/catalog_tables.h"

namespace millrace::runtime {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

class Families {
 public:
  void Counter(const std::string& name, const std::string& help, double value, Labels labels = {}) {
    ClientMetric metric = Labelled(std::move(labels));
    metric.counter.value = value;
    Family(name, help, MetricType::Counter).metric.push_back(std::move(metric));
  }
  void Gauge(const std::string& name, const std::string& help, double value, Labels labels = {}) {
    ClientMetric metric = Labelled(std::move(labels));
    metric.gauge.value = value;
    Family(name, help, MetricType::Gauge).metric.push_back(std::move(metric));
  }
  void Histogram(const std::string& name, const std::string& help,
                 const log::LatencyHistogram& histogram) {
    ClientMetric metric;
    uint64_t count = 0;
    for (size_t i = 0; i < log::LatencyHistogram::kBuckets; ++i) {
      count += histogram.counts[i];
      const bool last = i + 1 == log::LatencyHistogram::kBuckets;
      metric.histogram.bucket.push_back(
          {count, last ? std::numeric_limits<double>::infinity()
                       : static_cast<double>(log::LatencyHistogram::BoundMicros(i)) / 1e6});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = static_cast<double>(histogram.total_micros) / 1e6;
    Family(name, help, MetricType::Histogram).metric.push_back(std::move(metric));
  }
  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  static ClientMetric Labelled(Labels labels) {
    ClientMetric metric;
    for (auto& [name, value] : labels) metric.label.push_back({name, value});
    return metric;
  }
  MetricFamily& Family(const std::string& name, const std::string& help, MetricType type) {
    if (families_.empty() || families_.back().name != name)
      families_.push_back({name, help, type, {}});
    return families_.back();
  }
  std::vector<MetricFamily> families_;
};

void AddLog(const log::LogStats& stats, Families& out) {
  const auto number = [](auto value) { return static_cast<double>(value); };
  out.Counter("millrace_log_appends_total", "Append requests acknowledged.", number(stats.appends));
  out.Counter("millrace_log_appends_refused_total",
              "Append requests turned away because queue or disk was full.",
              number(stats.appends_refused));
  out.Counter("millrace_log_records_total", "Records acknowledged.", number(stats.records));
  out.Counter("millrace_log_bytes_total", "Bytes of record batches acknowledged.",
              number(stats.bytes));
  out.Histogram("millrace_log_sync_seconds", "Time of one fdatasync of the write-ahead file.",
                stats.write_ahead_sync_latency);
  out.Gauge("millrace_log_queue_bytes", "Bytes waiting to be written.", number(stats.queue_bytes));
  out.Gauge("millrace_log_unsynced_bytes",
            "Bytes whose producers were answered before the fdatasync, which is to come.",
            number(stats.unsynced_bytes));
  out.Gauge("millrace_log_disk_above_high_mark",
            "1 while appends are refused because the disk is nearly full.",
            stats.disk_above_high_mark ? 1 : 0);
  out.Counter("millrace_log_damaged_ranges_total", "Ranges of records found damaged on disk.",
              number(stats.damaged_ranges));
}

void AddColumnCache(const column_cache::ColumnCache::Stats& stats, Families& out) {
  out.Gauge("millrace_column_cache_bytes", "Room that streams in columns take on disk.",
            static_cast<double>(stats.bytes));
  out.Gauge("millrace_column_cache_bytes_max", "The most that they may take.",
            static_cast<double>(stats.bytes_max));
  int64_t records = 0;
  for (const column_cache::CopiedStream& stream : stats.streams) records += stream.records();
  out.Gauge("millrace_column_cache_records", "Records of streams that stand in columns.",
            static_cast<double>(records));
  out.Counter("millrace_column_cache_scans_total",
              "Scans of streams that read them in columns, as far as they stand there.",
              static_cast<double>(stats.scans));
  out.Gauge("millrace_column_cache_failed",
            "1 where the column cache is off until the next start, because of its disk.",
            stats.failed ? 1 : 0);
}

}  // namespace

std::string NodeMetricsText(const Node::Impl& node) {
  Families out;
  AddLog(node.log->Stats(), out);

  const StepLoop::Stats steps = node.loop->stats();
  out.Counter("millrace_steps_total", "Steps computed.", static_cast<double>(steps.steps));
  out.Counter("millrace_step_records_total", "Records that steps took.",
              static_cast<double>(steps.records));
  out.Counter("millrace_step_busy_seconds_total", "Time spent computing steps.",
              steps.busy_seconds);
  out.Gauge("millrace_step_lag_records", "Records appended that no step has taken yet.",
            static_cast<double>(node.loop->lag_records()));
  out.Counter("millrace_state_flushes_total", "Flushes of the state.",
              static_cast<double>(steps.flushes));
  const state::Store::Stats state = node.store->stats();
  out.Gauge("millrace_state_memory_bytes", "Operator state in memory.",
            static_cast<double>(state.memory_bytes));
  out.Counter("millrace_state_evicted_entries_total",
              "Entries of operator state dropped from memory.",
              static_cast<double>(state.evicted_entries));
  out.Counter("millrace_state_misses_total", "Look-ups of operator state that had to ask the disk.",
              static_cast<double>(state.misses));

  if (node.columns != nullptr) AddColumnCache(node.columns->stats(), out);

  const PublishedPtr published = node.publisher.newest();
  out.Gauge("millrace_visible_step", "The newest step that readers see.",
            static_cast<double>(published->state.step.value));
  const std::map<std::string, std::string> names = UserNames(*published->catalog);
  for (const auto& [stream, books] : published->state.books) {
    const std::pair<const char*, int64_t> counters[] = {{"records", books.records},
                                                        {"rows", books.rows},
                                                        {"duplicates", books.duplicates},
                                                        {"late_kept", books.late_kept},
                                                        {"late_diverted", books.late_diverted},
                                                        {"invalid", books.invalid},
                                                        {"aborted", books.aborted}};
    for (const auto& [kind, value] : counters) {
      out.Counter("millrace_stream_records_total", "Records of a stream by what became of them.",
                  static_cast<double>(value),
                  {{"stream", UserName(names, stream)}, {"kind", kind}});
    }
  }
  const auto now = std::chrono::steady_clock::now();
  for (const auto& [name, relation] : published->relations->by_name) {
    if (relation->heat == nullptr) continue;
    int number = 0;
    for (const Heat::Partition& partition : relation->heat->Rates(now)) {
      out.Gauge("millrace_partition_bytes_per_second",
                "What steps take of a partition, over about ten seconds.", partition.bytes_per_s,
                {{"stream", relation->object.name()}, {"partition", std::to_string(number++)}});
    }
  }
  for (const auto& [name, relation] : published->relations->by_name) {
    if (relation->content == nullptr) continue;
    out.Gauge("millrace_relation_rows", "Rows of a view or table.",
              static_cast<double>(relation->content->row_count()),
              {{"relation", relation->object.name()}});
  }
  for (const auto& [status, count] : ViewsByStatus(*published)) {
    out.Gauge("millrace_views", "Materialized views by their status.", static_cast<double>(count),
              {{"status", status}});
  }
  for (const auto& [stream, watermark] : published->state.watermarks) {
    out.Gauge("millrace_watermark_seconds", "Watermark of a stream, as Unix time.",
              static_cast<double>(watermark.value) / 1e6, {{"stream", UserName(names, stream)}});
  }
  out.Gauge("millrace_books_balanced", "1 while the books of every hop balance.",
            CheckBooks(*published).ok() ? 1 : 0);
  return out.Text();
}

}  // namespace millrace::runtime
