#include "log/transactions.h"

#include <algorithm>

#include "log/doubled.h"

namespace millrace::log {
namespace {

constexpr std::string_view kAbortsMagic = "MRAB0001";

}  // namespace

void EndedTransaction::Encode(std::string& out) const {
  PutFixed(out, aborted.producer_id);
  PutFixed(out, aborted.first.value);
  PutFixed(out, aborted.last.value);
  PutFixed(out, stable.value);
}

Result<EndedTransaction> EndedTransaction::Decode(Reader& in) {
  EndedTransaction ended;
  TRY(ended.aborted.producer_id, in.Fixed<int64_t>());
  TRY(ended.aborted.first.value, in.Fixed<int64_t>());
  TRY(ended.aborted.last.value, in.Fixed<int64_t>());
  TRY(ended.stable.value, in.Fixed<int64_t>());
  return ended;
}

void Transactions::End(const AbortedTransaction& transaction, TransactionOutcome outcome) {
  CHECK(open_.erase(transaction.first) == 1) << "no transaction at " << transaction.first.value;
  if (outcome == TransactionOutcome::kCommit) return;
  aborted_.push_back({transaction, Stable({0}, transaction.last + 1)});
}

Offset Transactions::Stable(Offset start, Offset end) const {
  return open_.empty() ? end : std::min(end, std::max(start, *open_.begin()));
}

Transactions::Ended::const_iterator Transactions::FirstAt(Offset marker) const {
  return std::lower_bound(
      aborted_.begin(), aborted_.end(), marker,
      [](const EndedTransaction& ended, Offset wanted) { return ended.aborted.last < wanted; });
}

std::vector<AbortedTransaction> Transactions::Aborted(Offset from, Offset to) const {
  std::vector<AbortedTransaction> found;
  for (auto at = FirstAt(from); at != aborted_.end(); ++at) {
    if (at->aborted.first < to) found.push_back(at->aborted);
    if (at->stable >= to) break;
  }
  return found;
}

std::vector<EndedTransaction> Transactions::AbortedAt(Offset from, Offset to) const {
  return {FirstAt(from), FirstAt(to)};
}

void Transactions::DropBelow(Offset start) { aborted_.erase(aborted_.begin(), FirstAt(start)); }

void Transactions::SetStored(const std::vector<EndedTransaction>& stored, Offset end) {
  DropBelow(end);
  const auto last = std::find_if(stored.begin(), stored.end(), [end](const EndedTransaction& s) {
    return s.aborted.last >= end;
  });
  aborted_.insert(aborted_.begin(), stored.begin(), last);
}

std::string EncodeAborted(const AbortedFile& file) {
  std::string content;
  PutFixed(content, static_cast<uint8_t>(file.incomplete));
  PutVarint(content, file.ended.size());
  for (const EndedTransaction& ended : file.ended) ended.Encode(content);
  return EncodeDoubled(kAbortsMagic, content);
}

Result<AbortedFile> DecodeAborted(std::string_view bytes) {
  if (!HasMagic(bytes, kAbortsMagic)) {
    return Error(Code::kNotSupported, "written by another version: {}",
                 bytes.substr(0, kMagicBytes));
  }
  TRY(const std::string_view content, DecodeDoubled(bytes));
  Reader in(content);
  AbortedFile file;
  TRY(const uint8_t incomplete, in.Fixed<uint8_t>());
  file.incomplete = incomplete != 0;
  TRY(const uint64_t count, in.Varint());
  for (uint64_t i = 0; i < count; ++i) {
    TRY(file.ended.emplace_back(), EndedTransaction::Decode(in));
  }
  return file;
}

}  // namespace millrace::log
