// Keys on disk, see docs/formats/state.md:
//
//   table id (8, big-endian) | virtual shard (1) | key length (3, big-endian) | key | row (bags
//   only)
//
// The length makes the part up to the key a prefix that the filters of the files know, so that a
// look-up of a cell and of a whole group both cost one filter probe where nothing is stored. The
// runtime's own tables have shard 0 and no length (0xffffff), so that their entries lie in key
// order; the rows of contents have shard 0 and stand in groups, as bags do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/coding.h"
#include "state/store.h"

namespace millrace::state {

inline constexpr size_t kTableIdBytes = 8;
inline constexpr size_t kKeyLengthBytes = 3;
inline constexpr size_t kKeyOffset = kTableIdBytes + 1 + kKeyLengthBytes;
inline constexpr size_t kNoLength = 0xffffff;
// Of a key of an operator's table.
inline constexpr size_t kKeyBytesMax = kNoLength - 1;
// Holds the store's own entries (flushed step, encodings); no operator or runtime table has this
// id.
inline constexpr TableId kMetaTable{UINT64_MAX};

inline void WriteKeyLength(char* at, size_t length) {
  at[0] = static_cast<char>(length >> 16);
  at[1] = static_cast<char>(length >> 8);
  at[2] = static_cast<char>(length);
}
inline size_t ReadKeyLength(const char* at) {
  return size_t{static_cast<uint8_t>(at[0])} << 16 | size_t{static_cast<uint8_t>(at[1])} << 8 |
         static_cast<uint8_t>(at[2]);
}
inline std::string ShardPrefix(TableId table, uint8_t shard) {
  std::string out;
  PutBig(out, table.value);
  out.push_back(static_cast<char>(shard));
  return out;
}
inline void AppendDiskKey(std::string& out, TableId table, uint8_t shard, std::string_view key) {
  PutBig(out, table.value);
  out.push_back(static_cast<char>(shard));
  char length[kKeyLengthBytes];
  WriteKeyLength(length, key.size());
  out.append(length, sizeof(length));
  out.append(key);
}
inline std::string DiskKey(TableId table, uint8_t shard, std::string_view key) {
  std::string out;
  AppendDiskKey(out, table, shard, key);
  return out;
}
inline std::string RuntimeKey(TableId table, std::string_view key) {
  std::string out = ShardPrefix(table, 0);
  out.resize(kKeyOffset);
  WriteKeyLength(out.data() + kTableIdBytes + 1, kNoLength);
  out.append(key);
  return out;
}
inline constexpr size_t kGroupBytes = 8;
// Of one of the runtime's own tables whose entries stand in groups; `key` begins with the group.
inline std::string GroupedPrefix(TableId table) {
  std::string out = ShardPrefix(table, 0);
  out.resize(kKeyOffset);
  WriteKeyLength(out.data() + kTableIdBytes + 1, kGroupBytes);
  return out;
}
inline std::string GroupedKey(TableId table, std::string_view key) {
  std::string out = GroupedPrefix(table);
  out.append(key);
  return out;
}
// The least key above all that begin with `prefix`. REQUIRES: not all of its bytes are 0xff.
inline std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace millrace::state
