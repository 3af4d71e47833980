#include "state/content_disk.h"

#include <bit>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "state/disk_key.h"

namespace millrace::state {
namespace {

constexpr uint64_t kMetaVersion = 1;

Result<rows::Weight> WeightOf(std::string_view value) {
  Reader reader(value);
  TRY(const int64_t weight, reader.Zigzag());
  if (weight <= 0 || reader.remaining() != 0)
    return Error(Code::kCorruption, "a row of a content has weight {}", weight);
  return weight;
}

}  // namespace

std::string EncodeContentMeta(const ContentMeta& meta) {
  std::string out;
  PutVarint(out, kMetaVersion);
  PutVarint(out, meta.key.size());
  for (const size_t column : meta.key) PutVarint(out, column);
  PutZigzag(out, meta.rows);
  PutVarint(out, meta.entries);
  return out;
}

Result<ContentMeta> DecodeContentMeta(std::string_view bytes) {
  Reader in(bytes);
  TRY(const uint64_t version, in.Varint());
  if (version != kMetaVersion)
    return Error(Code::kConflict, "a content was written in version {} of its format", version)
        .Hint("open it with the release that wrote it");
  ContentMeta meta;
  TRY(const uint64_t columns, in.Varint());
  for (uint64_t i = 0; i < columns; ++i) {
    TRY(const uint64_t column, in.Varint());
    meta.key.push_back(column);
  }
  TRY(meta.rows, in.Zigzag());
  TRY(meta.entries, in.Varint());
  if (in.remaining() != 0) return Error(Code::kCorruption, "what is kept of a content is too long");
  return meta;
}

std::string ContentDisk::KeyOf(uint64_t group, std::string_view row) {
  std::string out;
  out.reserve(kGroupBytes + row.size());
  // The part is what it is ordered by first.
  PutBig(out, std::rotr(group, kContentPartBits));
  out.append(row);
  return out;
}

Result<std::optional<ContentMeta>> ContentDisk::ReadMeta() const {
  const std::string key = RuntimeKey(id_, {});
  const std::string_view keys[] = {key};
  std::optional<ContentMeta> meta;
  TRY(disk_->MultiGet(keys, [&](size_t, std::optional<std::string_view> value) -> Status {
    if (value) {
      TRY(meta, DecodeContentMeta(*value));
    }
    return Ok();
  }));
  return meta;
}

Status ContentDisk::ScanUngrouped(const Visit& visit) const {
  return disk_->Scan(RuntimeKey(id_, {}),
                     [&](std::string_view key, std::string_view value) -> Status {
                       TRY(const rows::Weight weight, WeightOf(value));
                       return visit(key.substr(kKeyOffset), weight);
                     });
}

Status ContentDisk::Weights(
    std::span<const Place> places,
    const std::function<void(size_t at, rows::Weight weight)>& visit) const {
  std::vector<std::string> keys;
  keys.reserve(places.size());
  for (const Place& place : places) keys.push_back(GroupedKey(id_, KeyOf(place.group, place.row)));
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  return disk_->MultiGet(
      views,
      [&](size_t at, std::optional<std::string_view> value) -> Status {
        rows::Weight weight = 0;
        if (value) {
          TRY(weight, WeightOf(*value));
        }
        visit(at, weight);
        return Ok();
      },
      snapshot_.get());
}

Result<rows::Weight> ContentDisk::Cursor::weight() const { return WeightOf(cursor_->value()); }

void ContentDisk::Cursor::Begin(std::string_view after) {
  std::string from(after);
  if (!from.empty()) from.push_back('\0');
  cursor_->Seek(from);
}

void ContentDisk::Cursor::BeginPart(uint32_t part) { cursor_->Seek(KeyOf(part, {})); }

uint32_t ContentDisk::Cursor::part() const {
  const std::string_view key = cursor_->key();
  return uint32_t{static_cast<uint8_t>(key[0])} << 2 | static_cast<uint8_t>(key[1]) >> 6;
}

ContentDisk::Cursor ContentDisk::All() const {
  Cursor cursor;
  cursor.cursor_ = disk_->Cursor(GroupedPrefix(id_), /*one_group=*/false, snapshot_);
  cursor.group_bytes_ = kGroupBytes;
  return cursor;
}

ContentDisk::Cursor ContentDisk::Group(uint64_t group) const {
  Cursor cursor;
  cursor.cursor_ = disk_->Cursor(GroupedKey(id_, KeyOf(group, {})), /*one_group=*/true, snapshot_);
  return cursor;
}

}  // namespace millrace::state
