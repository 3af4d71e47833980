#include "kafka_groups/producer_ids.h"

#include "base/coding.h"
#include "kafka_groups/transaction.h"

namespace millrace::kafka_groups {

Status ProducerIds::Load() {
  if (const std::string* stored = table_.Find(kProducerIdsKey); stored != nullptr) {
    Reader reader(*stored);
    TRY(end_, reader.Fixed<int64_t>());
    if (end_ < 0 || reader.remaining() > 0)
      return Error(Code::kCorruption, "the producer ids given out are not a number");
  }
  // A newer end may be among what was lost.
  if (table_.lost_records()) end_ += kProducerIdsSkipped;
  next_ = end_;
  return Ok();
}

void ProducerIds::Next(Done done) {
  if (next_ < end_) return done(next_++);
  waiting_.push_back(std::move(done));
  if (!reserving_) Reserve();
}

void ProducerIds::Reserve() {
  std::string end;
  PutFixed(end, end_ + kProducerIdBlock);
  reserving_ = true;
  const Status queued =
      table_.Apply({{kProducerIdsKey, end}}, [this](const Status& reserved) { Serve(reserved); });
  if (!queued.ok()) Serve(queued);
}

void ProducerIds::Serve(const Status& reserved) {
  reserving_ = false;
  if (reserved.ok()) end_ += kProducerIdBlock;
  for (Done& done : std::exchange(waiting_, {})) {
    if (reserved.ok()) {
      Next(std::move(done));
    } else {
      done(reserved.error());
    }
  }
}

}  // namespace millrace::kafka_groups
