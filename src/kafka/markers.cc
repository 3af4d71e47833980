#include "kafka/markers.h"

#include "base/logging.h"
#include "log/append_problem.h"

namespace millrace::kafka {

void Markers::Write(const kafka_groups::TransactionOutcome& outcome,
                    std::function<void(Status)> done) {
  log::TransactionEnd end;
  end.producer = {outcome.producer.id, outcome.producer.epoch};
  end.outcome = outcome.commit ? log::TransactionOutcome::kCommit : log::TransactionOutcome::kAbort;
  for (const kafka_groups::TopicPartition& partition : outcome.partitions) {
    // A topic that was deleted meanwhile took its part of the transaction along.
    const std::optional<Topic> topic = backend_.FindTopic(partition.topic);
    if (topic && partition.partition < topic->partitions)
      end.partitions.push_back({topic->id, partition.partition});
  }
  if (end.partitions.empty()) return done(Ok());
  const int64_t producer_id = outcome.producer.id;
  const Status queued = backend_.log().AppendMarkers(
      std::move(end), [done, producer_id](const Result<log::Appended>& appended) {
        if (appended.ok()) return done(Ok());
        const bool fenced =
            log::AppendProblemOf(appended.error()) == log::AppendProblem::kInvalidProducerEpoch;
        if (!fenced) return done(appended.error());
        // The next producer of this id has written already: its first marker ended this one's.
        LOG_WARNING("a transaction's marker comes after its producer's next epoch", "producer={}",
                    producer_id);
        done(Ok());
      });
  if (!queued.ok()) done(queued);
}

}  // namespace millrace::kafka
