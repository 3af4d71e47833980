#include "runtime/journal.h"

#include "runtime/record_parts.h"

namespace millrace::runtime {

std::string EncodeStepRecord(const StepRecord& record) {
  std::string out;
  PutVarint(out, record.semantics);
  PutZigzag(out, record.step.value);
  PutZigzag(out, record.clock.value);
  PutVarint(out, record.frame.value);
  PutVarint(out, record.catalog_version);
  PutVarint(out, record.ends.size());
  for (const auto& [partition, end] : record.ends) {
    PutPartition(out, partition);
    PutZigzag(out, end.value);
  }
  PutDoor(out, record.door);
  PutFixed<uint8_t>(out, record.history ? 1 : 0);
  if (record.history) PutSlice(out, *record.history);
  PutVarint(out, record.followed.size());
  for (const std::string& name : record.followed) PutBytes(out, name);
  return out;
}

Result<StepRecord> DecodeStepRecord(std::string_view bytes) {
  Reader reader(bytes);
  StepRecord record;
  TRY(const uint64_t semantics, reader.Varint());
  record.semantics = static_cast<uint32_t>(semantics);
  if (record.semantics != kSemantics) {
    return Error(Code::kConflict,
                 "the journal holds steps of semantics {}, this build computes semantics {}",
                 record.semantics, kSemantics)
        .Hint("run the version that wrote them once and stop it gracefully, then start this one");
  }
  TRY(record.step.value, reader.Zigzag());
  TRY(record.clock.value, reader.Zigzag());
  TRY(record.frame.value, reader.Varint());
  TRY(record.catalog_version, reader.Varint());
  TRY(const uint64_t ends, reader.Varint());
  for (uint64_t i = 0; i < ends; ++i) {
    TRY(const log::PartitionId partition, ReadPartition(reader));
    TRY(const int64_t end, reader.Zigzag());
    record.ends.emplace_back(partition, log::Offset{end});
  }
  TRY(record.door, ReadDoor(reader));
  TRY(const uint8_t fed, reader.Fixed<uint8_t>());
  if (fed != 0) {
    TRY(record.history, ReadSlice(reader));
  }
  TRY(const uint64_t followed, reader.Varint());
  for (uint64_t i = 0; i < followed; ++i) {
    TRY(const std::string_view name, reader.Bytes());
    record.followed.emplace_back(name);
  }
  return record;
}

Status ReadJournal(const log::Log& log, log::TopicId topic, log::Offset from,
                   const std::function<Status(log::Offset offset, StepRecord record)>& visit) {
  const log::PartitionId partition{topic, 0};
  const auto cut = log.DurableCut();
  const log::Cut::End* end = cut->Find(partition);
  if (end == nullptr) return Ok();
  while (from < end->end) {
    TRY(const log::ReadResult read, log.Read(partition, {.from = from, .until = end->end}));
    if (!read.damaged.empty()) {
      return Error(Code::kCorruption, "journal: records {} to {} are damaged: {}",
                   read.damaged[0].first.value, read.damaged[0].last.value, read.damaged[0].reason);
    }
    for (const log::ReadBatch& batch : read.batches) {
      log::RecordCursor records = batch.view().records();
      while (records.Next()) {
        if (records.record().offset < from || !records.record().value) continue;
        TRY(StepRecord record, DecodeStepRecord(*records.record().value));
        TRY(visit(records.record().offset, std::move(record)));
      }
    }
    from = read.next;
  }
  return Ok();
}

}  // namespace millrace::runtime
