#include "runtime/node_state.h"

#include "runtime/record_parts.h"

namespace millrace::runtime {

namespace {
// Version 2 had no builds, version 3 did not count what was aborted and shared nothing over
// generations.
constexpr uint8_t kStateVersion = 4;
constexpr uint8_t kOldestVersion = 2;

Result<std::string> ReadString(Reader& reader) {
  TRY(const std::string_view bytes, reader.Bytes());
  return std::string(bytes);
}
}  // namespace

std::string EncodeNodeState(const NodeState& state) {
  std::string out;
  PutFixed(out, kStateVersion);
  PutZigzag(out, state.step.value);
  PutZigzag(out, state.clock.value);
  PutVarint(out, state.frame.value);
  PutVarint(out, state.catalog_version);
  PutVarint(out, state.positions.size());
  for (const auto& [partition, position] : state.positions) {
    PutPartition(out, partition);
    PutZigzag(out, position.next.value);
    PutZigzag(out, position.event_time_max);
    PutZigzag(out, position.moved_at.value);
  }
  PutVarint(out, state.watermarks.size());
  for (const auto& [stream, watermark] : state.watermarks) {
    PutBytes(out, stream);
    PutZigzag(out, watermark.value);
  }
  PutVarint(out, state.books.size());
  for (const auto& [stream, books] : state.books) {
    PutBytes(out, stream);
    for (int64_t value : {books.records, books.rows, books.duplicates, books.late_kept,
                          books.late_diverted, books.invalid, books.aborted}) {
      PutZigzag(out, value);
    }
  }
  PutDoor(out, state.door);
  PutVarint(out, state.reads.size());
  for (const auto& [edge, counts] : state.reads) {
    PutBytes(out, edge.first);
    PutBytes(out, edge.second);
    for (int64_t value : {counts.rows, counts.used, counts.filtered, counts.failed}) {
      PutZigzag(out, value);
    }
  }
  PutVarint(out, state.builds.size());
  for (const auto& [number, build] : state.builds) {
    PutVarint(out, number);
    PutBuild(out, build);
  }
  PutVarint(out, state.shared.size());
  for (const auto& [view, generations] : state.shared) {
    PutBytes(out, view);
    PutVarint(out, generations.size());
    for (const auto& [fingerprint, generation] : generations) {
      PutFixed(out, fingerprint);
      PutVarint(out, generation);
    }
  }
  return out;
}

Result<NodeState> DecodeNodeState(std::string_view bytes) {
  Reader reader(bytes);
  NodeState state;
  TRY(const uint8_t version, reader.Fixed<uint8_t>());
  if (version < kOldestVersion || version > kStateVersion)
    return Error(Code::kNotSupported, "node state of version {}", version);
  TRY(state.step.value, reader.Zigzag());
  TRY(state.clock.value, reader.Zigzag());
  TRY(state.frame.value, reader.Varint());
  TRY(state.catalog_version, reader.Varint());
  TRY(const uint64_t positions, reader.Varint());
  for (uint64_t i = 0; i < positions; ++i) {
    TRY(const log::PartitionId partition, ReadPartition(reader));
    Position position;
    TRY(position.next.value, reader.Zigzag());
    TRY(position.event_time_max, reader.Zigzag());
    TRY(position.moved_at.value, reader.Zigzag());
    state.positions[partition] = position;
  }
  TRY(const uint64_t watermarks, reader.Varint());
  for (uint64_t i = 0; i < watermarks; ++i) {
    TRY(std::string stream, ReadString(reader));
    TRY(state.watermarks[stream].value, reader.Zigzag());
  }
  TRY(const uint64_t books, reader.Varint());
  for (uint64_t i = 0; i < books; ++i) {
    TRY(std::string stream, ReadString(reader));
    StreamBooks& entry = state.books[stream];
    for (int64_t* value : {&entry.records, &entry.rows, &entry.duplicates, &entry.late_kept,
                           &entry.late_diverted, &entry.invalid}) {
      TRY(*value, reader.Zigzag());
    }
    if (version >= 4) {
      TRY(entry.aborted, reader.Zigzag());
    }
  }
  TRY(state.door, ReadDoor(reader));
  TRY(const uint64_t reads, reader.Varint());
  for (uint64_t i = 0; i < reads; ++i) {
    TRY(std::string stream, ReadString(reader));
    TRY(std::string view, ReadString(reader));
    stream::ReadCounts& counts = state.reads[{stream, view}];
    for (int64_t* value : {&counts.rows, &counts.used, &counts.filtered, &counts.failed}) {
      TRY(*value, reader.Zigzag());
    }
  }
  if (version < 3) return state;
  TRY(const uint64_t builds, reader.Varint());
  for (uint64_t i = 0; i < builds; ++i) {
    TRY(const uint64_t number, reader.Varint());
    TRY(state.builds[number], ReadBuild(reader));
  }
  if (version < 4) return state;
  TRY(const uint64_t views, reader.Varint());
  for (uint64_t i = 0; i < views; ++i) {
    TRY(const std::string view, ReadString(reader));
    TRY(const uint64_t count, reader.Varint());
    for (uint64_t j = 0; j < count; ++j) {
      TRY(const auto fingerprint, reader.Fixed<uint64_t>());
      TRY(state.shared[view][fingerprint], reader.Varint());
    }
  }
  return state;
}

}  // namespace millrace::runtime
