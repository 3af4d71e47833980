#include "http/request_metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::http {

RequestMetrics::RequestMetrics(size_t shards) {
  for (size_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>());
}

void RequestMetrics::Count(size_t shard, std::string_view route, int status, double seconds) {
  Shard& own = *shards_[shard];
  std::lock_guard lock(own.mutex);
  auto found = own.routes.find(route);
  if (found == own.routes.end()) {
    const bool full = own.routes.size() >= kRoutesMax;
    found = own.routes.try_emplace(full ? std::string("other") : std::string(route)).first;
  }
  Route& counted = found->second;
  ++counted.by_status[status];
  const auto bucket = std::lower_bound(kBounds.begin(), kBounds.end(), seconds) - kBounds.begin();
  ++counted.buckets[static_cast<size_t>(bucket)];
  counted.seconds += seconds;
  ++counted.count;
}

std::string RequestMetrics::Text() const {
  std::map<std::string, Route> total;
  for (const auto& shard : shards_) {
    std::lock_guard lock(shard->mutex);
    for (const auto& [name, route] : shard->routes) {
      Route& sum = total[name];
      for (const auto& [status, count] : route.by_status) sum.by_status[status] += count;
      for (size_t i = 0; i < sum.buckets.size(); ++i) sum.buckets[i] += route.buckets[i];
      sum.seconds += route.seconds;
      sum.count += route.count;
    }
  }
  std::string out =
      "# HELP http_requests_total Requests answered, by route and status.\n"
      "# TYPE http_requests_total counter\n";
  for (const auto& [name, route] : total) {
    for (const auto& [status, count] : route.by_status) {
      out += fmt::format("http_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", LabelValue(name),
                         status, count);
    }
  }
  out +=
      "# HELP http_request_duration_seconds From the complete request head to the complete "
      "answer.\n"
      "# TYPE http_request_duration_seconds histogram\n";
  for (const auto& [name, route] : total) {
    const std::string label = LabelValue(name);
    uint64_t below = 0;
    for (size_t i = 0; i < kBounds.size(); ++i) {
      below += route.buckets[i];
      out += fmt::format("http_request_duration_seconds_bucket{{route=\"{}\",le=\"{}\"}} {}\n",
                         label, kBounds[i], below);
    }
    out += fmt::format("http_request_duration_seconds_bucket{{route=\"{}\",le=\"+Inf\"}} {}\n",
                       label, route.count);
    out +=
        fmt::format("http_request_duration_seconds_sum{{route=\"{}\"}} {}\n", label, route.seconds);
    out +=
        fmt::format("http_request_duration_seconds_count{{route=\"{}\"}} {}\n", label, route.count);
  }
  return out;
}

std::string LabelValue(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace millrace::http
