#include "ingest/idempotency.h"

#include "base/coding.h"

namespace millrace::ingest {

namespace {
constexpr uint8_t kVersion = 1;

Error OtherBody(const std::string& key) {
  return Error(Code::kConflict, "idempotency key {} was used before with another body", Quoted(key))
      .Hint("use a new key for a new request");
}
}  // namespace

std::string EncodeRemembered(const RememberedAnswer& remembered) {
  std::string out;
  PutFixed(out, kVersion);
  PutFixed(out, remembered.body_hash);
  PutFixed(out, remembered.topic_id);
  PutFixed(out, remembered.at.value);
  PutVarint(out, remembered.answer.accepted);
  PutVarint(out, remembered.answer.quarantined);
  PutVarint(out, remembered.answer.rejected_count);
  PutVarint(out, remembered.answer.rejected.size());
  for (const RejectedRow& row : remembered.answer.rejected) {
    PutVarint(out, row.row);
    PutBytes(out, row.column);
    PutBytes(out, row.error);
  }
  return out;
}

Result<RememberedAnswer> DecodeRemembered(std::string_view bytes) {
  Reader reader(bytes);
  RememberedAnswer out;
  TRY(const uint8_t version, reader.Fixed<uint8_t>());
  if (version != kVersion)
    return Error(Code::kNotSupported, "idempotency record of version {}", version);
  TRY(out.body_hash, reader.Fixed<uint64_t>());
  TRY(out.topic_id, reader.Fixed<uint64_t>());
  TRY(out.at.value, reader.Fixed<int64_t>());
  TRY(out.answer.accepted, reader.Varint());
  TRY(out.answer.quarantined, reader.Varint());
  TRY(out.answer.rejected_count, reader.Varint());
  TRY(const uint64_t listed, reader.Varint());
  for (uint64_t i = 0; i < listed; ++i) {
    RejectedRow row;
    TRY(row.row, reader.Varint());
    TRY(row.column, reader.Bytes());
    TRY(row.error, reader.Bytes());
    out.answer.rejected.push_back(std::move(row));
  }
  return out;
}

IdempotencyIndex::Verdict IdempotencyIndex::Begin(const std::string& key, bool kept,
                                                  uint64_t body_hash, uint64_t topic_id, Micros now,
                                                  const Done& done) {
  std::optional<Result<Answer>> answer;
  {
    const std::lock_guard lock(mutex_);
    auto [it, inserted] = slots_.try_emplace(key);
    Slot& slot = it->second;
    const bool stale = slot.remembered &&
                       (slot.remembered->topic_id != topic_id ||
                        (!slot.kept && slot.remembered->at.value +
                                               std::chrono::microseconds(kIdempotencyKept).count() <
                                           now.value));
    if (inserted || stale) {
      slot = Slot{};
      slot.body_hash = body_hash;
      slot.kept = kept;
      return Verdict::kNew;
    }
    if (slot.body_hash != body_hash) {
      answer = OtherBody(key);
    } else if (!slot.remembered) {
      slot.waiting.push_back(done);
    } else {
      answer = slot.remembered->answer;
      answer->value().repeated = true;
    }
  }
  if (answer) done(std::move(*answer));
  return Verdict::kAnswered;
}

void IdempotencyIndex::Finish(const std::string& key, Result<RememberedAnswer> outcome) {
  std::vector<Done> waiting;
  {
    const std::lock_guard lock(mutex_);
    const auto it = slots_.find(key);
    CHECK(it != slots_.end() && !it->second.remembered) << "Finish without Begin";
    waiting.swap(it->second.waiting);
    if (outcome.ok()) {
      it->second.remembered = *outcome;
    } else {
      slots_.erase(it);
    }
  }
  for (const Done& done : waiting) {
    if (!outcome.ok()) {
      done(outcome.error());
      continue;
    }
    Answer answer = outcome->answer;
    answer.repeated = true;
    done(std::move(answer));
  }
}

void IdempotencyIndex::Load(const std::string& key, bool kept, RememberedAnswer remembered) {
  const std::lock_guard lock(mutex_);
  Slot& slot = slots_[key];
  slot.body_hash = remembered.body_hash;
  slot.kept = kept;
  slot.remembered = std::move(remembered);
}

void IdempotencyIndex::Expire(Micros before) {
  const std::lock_guard lock(mutex_);
  std::erase_if(slots_, [&](const auto& item) {
    return item.second.remembered && !item.second.kept && item.second.remembered->at < before;
  });
}

size_t IdempotencyIndex::size() const {
  const std::lock_guard lock(mutex_);
  return slots_.size();
}

}  // namespace millrace::ingest
