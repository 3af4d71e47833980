// Remembers the answers given under idempotency keys, so that a repeated request is answered and
// not appended again.
//
// Each answer is a record of the internal topic __idempotency (24 h) or __idempotency_kept (as long
// as the stream), written in the same frame as the rows, so that both survive or neither. This is
// the index over them, in memory. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ingest/ingest.h"

namespace millrace::ingest {

inline constexpr char kIdempotencyTopic[] = "__idempotency";
inline constexpr char kIdempotencyKeptTopic[] = "__idempotency_kept";
inline constexpr std::chrono::hours kIdempotencyKept{24};

struct RememberedAnswer {
  uint64_t body_hash = 0;
  uint64_t topic_id = 0;  // incarnation of the stream
  Micros at;
  Answer answer;  // without the list of rejected rows' texts beyond their count
};
std::string EncodeRemembered(const RememberedAnswer& remembered);
Result<RememberedAnswer> DecodeRemembered(std::string_view bytes);

class IdempotencyIndex {
 public:
  using Done = std::function<void(Result<Answer>)>;

  enum class Verdict {
    kNew,       // the caller appends, then calls Finish
    kAnswered,  // `done` was or will be called with the remembered answer or an error
  };
  // `key` is stream name + key. A request under a key that is in flight waits for the first one's
  // answer. `kept`: remembered as long as the stream exists.
  Verdict Begin(const std::string& key, bool kept, uint64_t body_hash, uint64_t topic_id,
                Micros now, const Done& done);
  // The append's outcome. An error forgets the key.
  void Finish(const std::string& key, Result<RememberedAnswer> outcome);
  // At start: a record of the topics.
  void Load(const std::string& key, bool kept, RememberedAnswer remembered);
  // Forgets answers older than `before` that were not kept for the life of their stream.
  void Expire(Micros before);
  size_t size() const;

 private:
  struct Slot {
    std::optional<RememberedAnswer> remembered;  // none: in flight
    bool kept = false;
    uint64_t body_hash = 0;
    std::vector<Done> waiting;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Slot> slots_;
};

}  // namespace millrace::ingest
