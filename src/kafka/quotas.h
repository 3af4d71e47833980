// Quotas: how many bytes a second a client may write and read, and how many may be written to and
// read from a stream.
//
// Each client and each stream has an account for either direction, which fills with its rate, up to
// a second's worth. A request takes its bytes out, below zero where it must: it is answered at
// once, the answer says how long the client should be still (throttle_time_ms), and its connection
// is not read for as long, since some clients do not heed it (KIP-219). What an account owes
// outlives connections.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kafka/request.h"

namespace millrace::kafka {

// Of one request. The debt beyond it is the next request's.
inline constexpr std::chrono::milliseconds kThrottleMax{10'000};
// Accounts of one kind: clients choose their own names. More of them share one.
inline constexpr size_t kQuotaAccountsMax = 10'000;

// Bytes a second; 0: no limit.
struct QuotaOptions {
  uint64_t client_produce = 0;
  uint64_t client_fetch = 0;
  uint64_t stream_produce = 0;
  uint64_t stream_fetch = 0;
};

class QuotaAccounts {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  explicit QuotaAccounts(uint64_t bytes_per_second) : rate_(bytes_per_second) {}

  // Takes the bytes out of an account. Until when it owes: zero where it does not.
  std::chrono::milliseconds Take(const std::string& name, size_t bytes, TimePoint now);
  uint64_t rate() const { return rate_; }
  size_t size() const;

 private:
  struct Account {
    double bytes;  // below zero: owed
    TimePoint at;
  };
  Account& Find(const std::string& name, TimePoint now);
  void Fill(Account& account, TimePoint now) const;

  const uint64_t rate_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Account> accounts_;
  TimePoint sweep_at_{};  // not before: it walks through all of them
};

class Quotas {
 public:
  using Bytes = std::vector<std::pair<std::string, size_t>>;  // by stream

  explicit Quotas(const QuotaOptions& options);

  // How long the client should be still, by the rate of requests of who signed in too.
  std::chrono::milliseconds CountProduce(const Request& request, const Bytes& bytes);
  std::chrono::milliseconds CountFetch(const Request& request, const Bytes& bytes);
  bool limits_produce(const Request& request) const {
    return client_produce_.rate() + stream_produce_.rate() > 0 || HasRate(request);
  }
  bool limits_fetch(const Request& request) const {
    return client_fetch_.rate() + stream_fetch_.rate() > 0 || HasRate(request);
  }
  // Of one Fetch: what it takes at once, a client or a stream owes no longer than a second.
  size_t FetchBytesMax(size_t wanted) const;
  // Prometheus text.
  std::string Metrics() const;

 private:
  struct Counters {
    std::atomic<int64_t> requests{0};
    std::atomic<int64_t> milliseconds{0};
  };
  static bool HasRate(const Request& request) {
    return request.principal != nullptr && request.principal->rate.limited();
  }
  static std::chrono::milliseconds Count(const Request& request, const Bytes& bytes,
                                         QuotaAccounts& clients, QuotaAccounts& streams,
                                         Counters& counters);

  QuotaAccounts client_produce_, client_fetch_, stream_produce_, stream_fetch_;
  Counters produce_, fetch_;  // that were throttled
};

}  // namespace millrace::kafka
