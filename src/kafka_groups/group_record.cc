#include "kafka_groups/group_record.h"

#include "base/coding.h"

namespace millrace::kafka_groups {

namespace {

constexpr char kGroupKind = 'G';
constexpr char kOffsetKind = 'O';
constexpr char kPendingKind = 'P';
constexpr uint8_t kGroupVersion = 1;
constexpr uint8_t kOffsetVersion = 1;

std::string Prefix(char kind, const std::string& group) {
  std::string key(1, kind);
  PutBytes(key, group);
  return key;
}

void PutPartition(std::string& key, const TopicPartition& partition) {
  PutBytes(key, partition.topic);
  PutBig<int32_t>(key, partition.partition);
}

void PutOptional(std::string& out, const std::optional<std::string>& text) {
  PutFixed<uint8_t>(out, text.has_value());
  if (text) PutBytes(out, *text);
}

Result<std::optional<std::string>> ReadOptional(Reader& reader) {
  TRY(const uint8_t there, reader.Fixed<uint8_t>());
  if (there == 0) return std::optional<std::string>();
  TRY(const std::string_view text, reader.Bytes());
  return std::optional<std::string>(text);
}

Result<std::chrono::milliseconds> ReadTimeout(Reader& reader) {
  TRY(const uint64_t value, reader.Varint());
  if (value > INT32_MAX) return Error(Code::kCorruption, "a timeout of {} ms", value);
  return std::chrono::milliseconds(value);
}

void PutMember(std::string& out, const Member& member) {
  PutBytes(out, member.id);
  PutOptional(out, member.instance_id);
  PutBytes(out, member.client_id);
  PutBytes(out, member.client_host);
  PutVarint(out, static_cast<uint64_t>(member.session_timeout.count()));
  PutVarint(out, static_cast<uint64_t>(member.rebalance_timeout.count()));
  PutVarint(out, member.protocols.size());
  for (const GroupProtocol& protocol : member.protocols) {
    PutBytes(out, protocol.name);
    PutBytes(out, protocol.metadata);
  }
  PutBytes(out, member.assignment);
}

Result<Member> ReadMember(Reader& reader) {
  Member member;
  TRY(member.id, reader.Bytes());
  TRY(member.instance_id, ReadOptional(reader));
  TRY(member.client_id, reader.Bytes());
  TRY(member.client_host, reader.Bytes());
  TRY(member.session_timeout, ReadTimeout(reader));
  TRY(member.rebalance_timeout, ReadTimeout(reader));
  TRY(const uint64_t protocols, reader.Varint());
  for (uint64_t i = 0; i < protocols; ++i) {
    GroupProtocol protocol;
    TRY(protocol.name, reader.Bytes());
    TRY(protocol.metadata, reader.Bytes());
    member.protocols.push_back(std::move(protocol));
  }
  TRY(member.assignment, reader.Bytes());
  return member;
}

}  // namespace

std::string GroupKey(const std::string& group) { return Prefix(kGroupKind, group); }
std::string OffsetsPrefix(const std::string& group) { return Prefix(kOffsetKind, group); }
std::string PendingOffsetsPrefix(const std::string& group) { return Prefix(kPendingKind, group); }

std::string PendingOffsetsPrefix(const std::string& group, const TopicPartition& partition) {
  std::string key = Prefix(kPendingKind, group);
  PutPartition(key, partition);
  return key;
}

std::string OffsetKey(const std::string& group, const TopicPartition& partition) {
  std::string key = Prefix(kOffsetKind, group);
  PutPartition(key, partition);
  return key;
}

std::string PendingOffsetKey(const std::string& group, const TopicPartition& partition,
                             int64_t producer_id) {
  std::string key = PendingOffsetsPrefix(group, partition);
  PutBig<int64_t>(key, producer_id);
  return key;
}

Result<TableKey> DecodeKey(std::string_view bytes) {
  Reader reader(bytes);
  TableKey key;
  TRY(const char kind, reader.Fixed<char>());
  TRY(key.group, reader.Bytes());
  if (kind == kGroupKind) {
    key.kind = TableKey::Kind::kGroup;
  } else if (kind == kOffsetKind || kind == kPendingKind) {
    key.kind = kind == kOffsetKind ? TableKey::Kind::kOffset : TableKey::Kind::kPendingOffset;
    TRY(key.partition.topic, reader.Bytes());
    TRY(const std::string_view partition, reader.Raw(sizeof(int32_t)));
    key.partition.partition = GetBig<int32_t>(partition.data());
    if (kind == kPendingKind) {
      TRY(const std::string_view producer, reader.Raw(sizeof(int64_t)));
      key.producer_id = GetBig<int64_t>(producer.data());
    }
  } else {
    return Error(Code::kNotSupported, "a key of kind {}", static_cast<int>(kind));
  }
  if (reader.remaining() > 0)
    return Error(Code::kCorruption, "{} bytes behind a key", reader.remaining());
  return key;
}

std::string EncodeGroup(const Group& group, GroupState state) {
  std::string out;
  PutFixed(out, kGroupVersion);
  PutFixed(out, static_cast<uint8_t>(state));
  PutZigzag(out, group.generation);
  PutBytes(out, group.protocol_type);
  PutBytes(out, group.protocol);
  PutBytes(out, group.leader);
  PutZigzag(out, group.empty_since.value);
  PutVarint(out, group.members.size());
  for (const auto& [id, member] : group.members) PutMember(out, member);
  return out;
}

Status DecodeGroup(std::string_view bytes, Group& group) {
  Reader reader(bytes);
  TRY(const uint8_t version, reader.Fixed<uint8_t>());
  if (version != kGroupVersion) return Error(Code::kNotSupported, "version {}", version);
  TRY(const uint8_t state, reader.Fixed<uint8_t>());
  TRY(const int64_t generation, reader.Zigzag());
  if (generation < 0 || generation > INT32_MAX)
    return Error(Code::kCorruption, "generation {}", generation);
  TRY(const std::string_view protocol_type, reader.Bytes());
  TRY(const std::string_view protocol, reader.Bytes());
  TRY(const std::string_view leader, reader.Bytes());
  TRY(const int64_t empty_since, reader.Zigzag());
  TRY(const uint64_t members, reader.Varint());
  for (uint64_t i = 0; i < members; ++i) {
    TRY(Member member, ReadMember(reader));
    if (group.members.contains(member.id))
      return Error(Code::kCorruption, "two members of the id {}", Quoted(member.id));
    group.Add(std::move(member), std::string(protocol_type));
  }
  if (reader.remaining() > 0) return Error(Code::kCorruption, "{} bytes left", reader.remaining());
  const auto stored = static_cast<GroupState>(state);
  const bool has_members = stored == GroupState::kCompletingRebalance ||  //
                           stored == GroupState::kStable;
  if ((!has_members && stored != GroupState::kEmpty) || has_members != !group.members.empty())
    return Error(Code::kCorruption, "state {} with {} members", state, members);
  if (has_members && !group.members.contains(std::string(leader)))
    return Error(Code::kCorruption, "the leader is none of the members");
  group.state = stored;
  group.generation = static_cast<int32_t>(generation);
  group.generation_told = true;
  group.protocol_type = protocol_type;
  group.protocol = protocol;
  group.leader = leader;
  group.empty_since = Micros{empty_since};
  group.NoteTopics();
  return Ok();
}

std::string EncodeOffset(const CommittedOffset& offset) {
  std::string out;
  PutFixed(out, kOffsetVersion);
  PutZigzag(out, offset.offset);
  PutZigzag(out, offset.leader_epoch);
  PutZigzag(out, offset.committed_at.value);
  PutBytes(out, offset.metadata);
  return out;
}

Result<CommittedOffset> DecodeOffset(std::string_view bytes) {
  Reader reader(bytes);
  TRY(const uint8_t version, reader.Fixed<uint8_t>());
  if (version != kOffsetVersion) return Error(Code::kNotSupported, "version {}", version);
  CommittedOffset offset;
  TRY(offset.offset, reader.Zigzag());
  TRY(const int64_t leader_epoch, reader.Zigzag());
  offset.leader_epoch = static_cast<int32_t>(leader_epoch);
  TRY(offset.committed_at.value, reader.Zigzag());
  TRY(offset.metadata, reader.Bytes());
  if (reader.remaining() > 0) return Error(Code::kCorruption, "{} bytes left", reader.remaining());
  return offset;
}

}  // namespace millrace::kafka_groups
