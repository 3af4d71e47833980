#include "runtime/page_cursor.h"

#include "base/coding.h"
#include "rows/row_codec.h"

namespace millrace::runtime {
namespace {

// version, repeated (varint), hash of the row (8 bytes), the row of what it is ordered by (length
// and bytes), digest of all before (8 bytes).
constexpr uint8_t kCursorVersion = 1;
constexpr size_t kDigestBytes = sizeof(uint64_t);
constexpr size_t kCursorBytesMax = 3 * 1024;  // a third more as text; targets have 8 KiB

Error NotOurs() {
  return Error(Code::kInvalidArgument,
               "the cursor is none of this endpoint's with these parameters")
      .Hint("begin again, without a cursor");
}

}  // namespace

Result<std::string> EncodeCursor(const PageCursor& cursor, const rows::Types& types,
                                 uint64_t subject) {
  duckdb::DataChunk row;
  row.Initialize(duckdb::Allocator::DefaultAllocator(), types, 1);
  for (size_t i = 0; i < types.size(); ++i) row.SetValue(i, 0, cursor.order[i]);
  row.SetCardinality(1);
  std::string out;
  PutFixed(out, kCursorVersion);
  PutVarint(out, cursor.repeated);
  PutFixed(out, cursor.row_hash);
  rows::RowEncoder encoder(types);
  PutBytes(out, encoder.Encode(row)[0]);
  if (out.size() > kCursorBytesMax) {
    return Error(Code::kTooLarge, "what the rows are ordered by takes {} bytes; a cursor holds {}",
                 out.size(), kCursorBytesMax)
        .Hint("order by shorter columns, or ask without page_size");
  }
  PutFixed(out, StableHash(out, subject));
  return out;
}

Result<PageCursor> DecodeCursor(std::string_view bytes, const rows::Types& types,
                                uint64_t subject) {
  if (bytes.size() < kDigestBytes || bytes.size() > kCursorBytesMax + kDigestBytes)
    return NotOurs();
  const std::string_view body = bytes.substr(0, bytes.size() - kDigestBytes);
  if (GetFixed<uint64_t>(bytes.data() + body.size()) != StableHash(body, subject)) return NotOurs();
  Reader reader(body);
  const auto version = reader.Fixed<uint8_t>();
  const auto repeated = reader.Varint();
  const auto row_hash = reader.Fixed<uint64_t>();
  const auto row = reader.Bytes();
  if (!version.ok() || *version != kCursorVersion || !repeated.ok() || !row_hash.ok() ||
      !row.ok() || reader.remaining() > 0)
    return NotOurs();
  duckdb::DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types, 1);
  rows::RowDecoder decoder(types);
  if (!decoder.Decode({{*row}}, chunk, 0).ok()) return NotOurs();
  PageCursor cursor;
  for (size_t i = 0; i < types.size(); ++i) cursor.order.push_back(chunk.GetValue(i, 0));
  cursor.repeated = *repeated;
  cursor.row_hash = *row_hash;
  return cursor;
}

}  // namespace millrace::runtime
