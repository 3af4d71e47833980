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

}  // namespace

Result<int64_t> CheckBatches(std::string_view batches, RowChecker* rejecting) {
  int64_t count = 0;
  while (!batches.empty()) {
    TRY(const log::RecordBatchView view,
        log::RecordBatchView::Parse(batches, log::CrcCheck::kAlreadyVerified));
    if (view.codec() != log::Codec::kNone) {
      TRY(const std::string unpacked, log::Unpack(view));
      TRY(const log::RecordBatchView plain,
          log::RecordBatchView::Parse(unpacked, log::CrcCheck::kAlreadyVerified));
      if (rejecting != nullptr) TRY(CheckRows(plain, count, *rejecting));
    } else if (rejecting != nullptr) {
      TRY(CheckRows(view, count, *rejecting));
    }
    count += view.record_count();
    batches.remove_prefix(view.size());
  }
  return count;
}

}  // namespace millrace::ingest
