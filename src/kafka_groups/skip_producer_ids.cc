#include "kafka_groups/skip_producer_ids.h"

#include "base/coding.h"
#include "kafka_groups/durable_table.h"
#include "kafka_groups/log_storage.h"
#include "kafka_groups/producer_ids.h"
#include "kafka_groups/transaction.h"
#include "kafka_groups/transaction_coordinator.h"

namespace millrace::kafka_groups {

Status SkipProducerIds(log::Log& log) {
  Turns turns;
  TRY(const auto storage, LogStorage::Open(log, kTransactionStateTopic));
  DurableTable table(turns, *storage, {});
  TRY(table.Load());
  int64_t end = 0;
  if (const std::string* stored = table.Find(kProducerIdsKey); stored != nullptr) {
    Reader reader(*stored);
    TRY(end, reader.Fixed<int64_t>());
  }
  std::string skipped;
  PutFixed(skipped, end + kProducerIdsSkipped);
  Status outcome = Error(Code::kInternal, "the record was not written");
  {
    const Turns::Turn turn(turns);
    TRY(table.Apply({{kProducerIdsKey, skipped}}, [&](Status done) { outcome = std::move(done); }));
  }
  while (log.RunOnce(/*background=*/false)) {
  }
  return outcome;
}

}  // namespace millrace::kafka_groups
