#include "ingest/batch_check.h"

#include <vector>

#include "log/record_batch.h"
#include "log/unpack.h"

namespace millrace::ingest {

namespace {

Status CheckRows(const log::RecordBatchView& plain, int64_t first, RowChecker& checker) {
  std::vector<Record> checked;
  checked.reserve(static_cast<size_t>(plain.record_count()));
  log::RecordCursor records = plain.records();
  while (records.Next()) checked.emplace_back(records.record(), kNextFrame);
  TRY(records.status());
  const rows::Decoded decoded = checker.Decode(checked);
  if (decoded.errors.empty()) return Ok();
  const rows::RowError& error = decoded.errors.front();
  return Error(Code::kInvalidArgument, "record {}: {}", first + static_cast<int64_t>(error.row) + 1,
               error.message);
}

Status CheckKeys(const log::RecordBatchView& plain, int64_t first) {
  log::RecordCursor records = plain.records();
  for (int64_t record = first + 1; records.Next(); ++record) {
    if (!records.record().key)
      return Error(Code::kInvalidArgument,
                   "record {}: it has no key, and a compacted topic keeps the newest of each",
                   record);
  }
  return records.status();
}

}  // namespace

Result<int64_t> CheckBatches(std::string_view batches, const BatchRules& rules) {
  int64_t count = 0;
  while (!batches.empty()) {
    TRY(const log::RecordBatchView view,
        log::RecordBatchView::Parse(batches, log::CrcCheck::kAlreadyVerified));
    if (view.codec() != log::Codec::kNone) {
      TRY(const std::string unpacked, log::Unpack(view));
      TRY(const log::RecordBatchView plain,
          log::RecordBatchView::Parse(unpacked, log::CrcCheck::kAlreadyVerified));
      if (rules.packed_keys) TRY(CheckKeys(plain, count));
      if (rules.rows != nullptr) TRY(CheckRows(plain, count, *rules.rows));
    } else if (rules.rows != nullptr) {
      TRY(CheckRows(view, count, *rules.rows));
    }
    count += view.record_count();
    batches.remove_prefix(view.size());
  }
  return count;
}

}  // namespace millrace::ingest
