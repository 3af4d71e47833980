// Counts requests by route and status, and how long they took, for /metrics.
//
// Thread-safe. Each I/O thread counts in a shard of its own, so that counting costs no contention.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::http {

class RequestMetrics {
 public:
  // Upper bounds in seconds; a last bucket takes the rest.
  static constexpr std::array<double, 14> kBounds = {
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};
  // Distinct routes that are told apart; more are counted as "other".
  static constexpr size_t kRoutesMax = 1000;

  explicit RequestMetrics(size_t shards);
  void Count(size_t shard, std::string_view route, int status, double seconds);
  // Prometheus text: http_requests_total{route,status}, http_request_duration_seconds{route}.
  std::string Text() const;

 private:
  struct Route {
    std::map<int, uint64_t> by_status;
    std::array<uint64_t, kBounds.size() + 1> buckets{};
    double seconds = 0;
    uint64_t count = 0;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::map<std::string, Route, std::less<>> routes;  // guarded by mutex
  };
  std::vector<std::unique_ptr<Shard>> shards_;
};

// A label's value with backslash, quote and newline escaped.
std::string LabelValue(std::string_view text);

}  // namespace millrace::http
