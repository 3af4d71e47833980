#include "kafka/coordinators.h"

#include <random>

namespace millrace::kafka {

namespace {

constexpr std::chrono::milliseconds kTick{100};

// Goes on evenly whatever is done to the machine's clock.
class SteadyClock final : public Clock {
 public:
  Micros Now() const override {
    return {std::chrono::duration_cast<std::chrono::microseconds>(
                std::chrono::steady_clock::now().time_since_epoch())
                .count()};
  }
};

const Clock& Timers() {
  static const SteadyClock clock;
  return clock;
}

}  // namespace

Result<std::unique_ptr<Coordinators>> Coordinators::Open(log::Log& log) {
  std::unique_ptr<Coordinators> made(new Coordinators);
  TRY(made->group_storage_,
      kafka_groups::LogStorage::Open(log, kafka_groups::kConsumerOffsetsTopic));
  kafka_groups::GroupOptions options;
  options.clock = &Clock::System();
  options.timers = &Timers();
  std::random_device random;
  options.seed = (uint64_t{random()} << 32) | random();
  TRY(made->groups_, kafka_groups::GroupCoordinator::Open(options, *made->group_storage_));
  made->ticker_ = std::thread([raw = made.get()] { raw->Run(); });
  return made;
}

Coordinators::~Coordinators() {
  if (!ticker_.joinable()) return;  // Open failed
  Shutdown();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  ticker_.join();
}

void Coordinators::Shutdown() { groups_->Shutdown(); }

void Coordinators::Run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kTick, [this] { return stopping_; })) {
    lock.unlock();
    groups_->Tick();
    lock.lock();
  }
}

}  // namespace millrace::kafka
