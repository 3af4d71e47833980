#include "kafka/quotas.h"

#include <algorithm>

#include "base/clock.h"
#include "net/connection_server.h"

namespace millrace::kafka {
namespace {

// Of clients beyond kQuotaAccountsMax. No client has it: names of users and ids are marked.
constexpr const char* kOthers = "others";

constexpr std::chrono::seconds kSweepEvery{1};

// Who it is where clients sign in, else what it calls itself. The two do not mix.
std::string AccountOf(const Request& request) {
  if (request.principal != nullptr) return "principal " + request.principal->ToString();
  return "client " + request.client_id;
}

}  // namespace

void QuotaAccounts::Fill(Account& account, TimePoint now) const {
  const auto rate = static_cast<double>(rate_);
  const double seconds = std::max(0.0, std::chrono::duration<double>(now - account.at).count());
  account.bytes = std::min(rate, account.bytes + seconds * rate);
  account.at = now;
}

QuotaAccounts::Account& QuotaAccounts::Find(const std::string& name, TimePoint now) {
  const auto found = accounts_.find(name);
  if (found != accounts_.end()) return found->second;
  const Account full{static_cast<double>(rate_), now};
  if (accounts_.size() >= kQuotaAccountsMax && now >= sweep_at_) {
    sweep_at_ = now + kSweepEvery;
    // A full account is as good as none.
    for (auto at = accounts_.begin(); at != accounts_.end();) {
      Fill(at->second, now);
      at = at->second.bytes >= full.bytes ? accounts_.erase(at) : std::next(at);
    }
  }
  const bool room = accounts_.size() < kQuotaAccountsMax;
  return accounts_.emplace(room ? name : kOthers, full).first->second;
}

std::chrono::milliseconds QuotaAccounts::Take(const std::string& name, size_t bytes,
                                              TimePoint now) {
  if (rate_ == 0) return std::chrono::milliseconds::zero();
  const std::lock_guard lock(mutex_);
  Account& account = Find(name, now);
  Fill(account, now);
  account.bytes -= static_cast<double>(bytes);
  if (account.bytes >= 0) return std::chrono::milliseconds::zero();
  const double owed_ms = -account.bytes * 1000 / static_cast<double>(rate_);
  if (owed_ms >= static_cast<double>(kThrottleMax.count())) return kThrottleMax;
  return std::chrono::milliseconds(static_cast<int64_t>(owed_ms) + 1);
}

size_t QuotaAccounts::size() const {
  const std::lock_guard lock(mutex_);
  return accounts_.size();
}

Quotas::Quotas(const QuotaOptions& options)
    : client_produce_(options.client_produce),
      client_fetch_(options.client_fetch),
      stream_produce_(options.stream_produce),
      stream_fetch_(options.stream_fetch) {}

std::chrono::milliseconds Quotas::Count(const Request& request, const Bytes& bytes,
                                        QuotaAccounts& clients, QuotaAccounts& streams,
                                        Counters& counters) {
  const auto now = Tick();
  std::chrono::milliseconds throttle{0};
  size_t all = 0;
  for (const auto& [stream, size] : bytes) {
    all += size;
    throttle = std::max(throttle, streams.Take(stream, size, now));
  }
  throttle = std::max(throttle, clients.Take(AccountOf(request), all, now));
  if (HasRate(request)) {
    const auth::Principal& who = *request.principal;
    const auto wait = who.meter->TakeAnyway(who.rate, now);
    throttle = std::max(throttle, std::chrono::ceil<std::chrono::milliseconds>(wait));
    throttle = std::min(throttle, kThrottleMax);
  }
  if (throttle.count() > 0) {
    counters.requests.fetch_add(1);
    counters.milliseconds.fetch_add(throttle.count());
  }
  return throttle;
}

std::chrono::milliseconds Quotas::CountProduce(const Request& request, const Bytes& bytes) {
  return Count(request, bytes, client_produce_, stream_produce_, produce_);
}

std::chrono::milliseconds Quotas::CountFetch(const Request& request, const Bytes& bytes) {
  return Count(request, bytes, client_fetch_, stream_fetch_, fetch_);
}

size_t Quotas::FetchBytesMax(size_t wanted) const {
  for (const QuotaAccounts* accounts : {&client_fetch_, &stream_fetch_}) {
    if (accounts->rate() > 0) wanted = std::min<size_t>(wanted, accounts->rate());
  }
  return wanted;
}

std::string Quotas::Metrics() const {
  const auto counter = [](std::string_view name, std::string_view help, int64_t value) {
    return net::MetricText(name, "counter", help, value);
  };
  return counter("kafka_produce_throttled_total", "Produce requests over a quota.",
                 produce_.requests.load()) +
         counter("kafka_produce_throttled_milliseconds_total",
                 "Time that clients were told to be still after a Produce.",
                 produce_.milliseconds.load()) +
         counter("kafka_fetch_throttled_total", "Fetch requests over a quota.",
                 fetch_.requests.load()) +
         counter("kafka_fetch_throttled_milliseconds_total",
                 "Time that clients were told to be still after a Fetch.",
                 fetch_.milliseconds.load());
}

}  // namespace millrace::kafka
