#include "kafka_groups/transaction.h"

#include "base/coding.h"

namespace millrace::kafka_groups {

namespace {
constexpr uint8_t kTransactionVersion = 1;
constexpr char kTransactionKind = 'T';

void PutProducer(std::string& out, const ProducerIdentity& producer) {
  PutZigzag(out, producer.id);
  PutZigzag(out, producer.epoch);
}

Result<ProducerIdentity> ReadProducer(Reader& reader) {
  TRY(const int64_t id, reader.Zigzag());
  TRY(const int64_t epoch, reader.Zigzag());
  if (id < -1 || epoch < -1 || epoch > INT16_MAX)
    return Error(Code::kCorruption, "producer {} of epoch {}", id, epoch);
  return ProducerIdentity{id, static_cast<int16_t>(epoch)};
}
}  // namespace

std::string_view TransactionStateName(TransactionState state) {
  switch (state) {
    case TransactionState::kEmpty:
      return "Empty";
    case TransactionState::kOngoing:
      return "Ongoing";
    case TransactionState::kPrepareCommit:
      return "PrepareCommit";
    case TransactionState::kPrepareAbort:
      return "PrepareAbort";
    case TransactionState::kCompleteCommit:
      return "CompleteCommit";
    case TransactionState::kCompleteAbort:
      return "CompleteAbort";
  }
  return "Empty";
}

std::string EncodeTransaction(const Transaction& transaction) {
  std::string out;
  PutFixed(out, kTransactionVersion);
  PutFixed(out, static_cast<uint8_t>(transaction.state));
  PutProducer(out, transaction.producer);
  PutProducer(out, transaction.former);
  PutVarint(out, static_cast<uint64_t>(transaction.timeout.count()));
  PutZigzag(out, transaction.started_at.value);
  PutZigzag(out, transaction.updated_at.value);
  PutVarint(out, transaction.partitions.size());
  for (const TopicPartition& partition : transaction.partitions) {
    PutBytes(out, partition.topic);
    PutZigzag(out, partition.partition);
  }
  PutVarint(out, transaction.groups.size());
  for (const std::string& group : transaction.groups) PutBytes(out, group);
  return out;
}

Result<Transaction> DecodeTransaction(std::string_view bytes) {
  Reader reader(bytes);
  TRY(const uint8_t version, reader.Fixed<uint8_t>());
  if (version != kTransactionVersion) return Error(Code::kNotSupported, "version {}", version);
  Transaction out;
  TRY(const uint8_t state, reader.Fixed<uint8_t>());
  if (state > static_cast<uint8_t>(TransactionState::kCompleteAbort))
    return Error(Code::kCorruption, "state {}", state);
  out.state = static_cast<TransactionState>(state);
  TRY(out.producer, ReadProducer(reader));
  TRY(out.former, ReadProducer(reader));
  TRY(const uint64_t timeout, reader.Varint());
  if (timeout > INT32_MAX) return Error(Code::kCorruption, "a timeout of {} ms", timeout);
  out.timeout = std::chrono::milliseconds(timeout);
  TRY(out.started_at.value, reader.Zigzag());
  TRY(out.updated_at.value, reader.Zigzag());
  TRY(const uint64_t partitions, reader.Varint());
  for (uint64_t i = 0; i < partitions; ++i) {
    TRY(const std::string_view topic, reader.Bytes());
    TRY(const int64_t partition, reader.Zigzag());
    out.partitions.insert({std::string(topic), static_cast<int32_t>(partition)});
  }
  TRY(const uint64_t groups, reader.Varint());
  for (uint64_t i = 0; i < groups; ++i) {
    TRY(const std::string_view group, reader.Bytes());
    out.groups.emplace(group);
  }
  if (reader.remaining() > 0) return Error(Code::kCorruption, "{} bytes left", reader.remaining());
  return out;
}

std::string TransactionKey(const std::string& transactional_id) {
  return kTransactionKind + transactional_id;
}

Result<std::string> DecodeTransactionKey(std::string_view key) {
  if (key.size() < 2) return Error(Code::kCorruption, "a key of {} bytes", key.size());
  if (key[0] != kTransactionKind)
    return Error(Code::kNotSupported, "a key of kind {}", static_cast<int>(key[0]));
  return std::string(key.substr(1));
}

}  // namespace millrace::kafka_groups
