// Nexmark's events: people register, open auctions, and bid (docs of the benchmark:
// github.com/nexmark/nexmark). Of every 50 events the first is a person, the next three are
// auctions, 46 are bids.
//
// Event n is a function of seed, rate and n alone: any share of the events can be made on any
// thread, in any order, and the same numbers give the same rows. Texts point into tables of the
// Generator, which must outlive the batches. Thread-safe: immutable once made.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "catalog/definitions.h"
#include "rows/batch.h"

namespace millrace::nexmark {

enum class Kind { kPerson, kAuction, kBid };
inline constexpr std::array<Kind, 3> kKinds = {Kind::kPerson, Kind::kAuction, Kind::kBid};
const char* RelationName(Kind kind);  // "person", "auction", "bid"

// The stream of these events, with `date_time` as its event time and a watermark delay of 4 s.
catalog::StreamDefinition StreamOf(Kind kind);

// Events by number: [begin, end).
struct EventRange {
  int64_t begin = 0;
  int64_t end = 0;
};

struct GeneratorOptions {
  uint64_t seed = 1;
  int64_t rate = 100;  // events per second of event time
};

class Generator {
 public:
  explicit Generator(const GeneratorOptions& options);

  // The events of one kind, oldest first: the stream's declared columns, then its hidden ones
  // (catalog::ShapeOf), of which _ingested_at and _timestamp are the event time and _offset is the
  // number of the event.
  rows::Batch Rows(Kind kind, EventRange range) const;
  // The streams' watermark when the events below `end` have come.
  Micros WatermarkAt(int64_t end) const { return {TimeOf(end - 1) - kDelay}; }
  // Microseconds since 1970-01-01 UTC.
  int64_t TimeOf(int64_t event) const { return kFirstTime + event * 1'000'000 / rate_; }

 private:
  static constexpr int64_t kDelay = 4'000'000;
  static constexpr int64_t kFirstTime = 1'735'689'600'000'000;  // 2025-01-01
  static constexpr size_t kTextBytes = size_t{1} << 20;
  static constexpr size_t kNumberedChannels = 10'000;

  struct Channel {
    std::string name;
    std::string url;
  };
  // The random numbers of one event.
  class Draw;
  struct Columns;

  std::string RandomUrl(Random& random) const;
  void WritePerson(int64_t event, Columns& out) const;
  void WriteAuction(int64_t event, Columns& out) const;
  void WriteBid(int64_t event, Columns& out) const;
  duckdb::string_t Slice(Draw& draw, size_t bytes) const;
  // Random letters that bring an event of `bytes` to `average` bytes, give or take a fifth.
  duckdb::string_t Extra(Draw& draw, size_t bytes, size_t average) const;

  uint64_t seed_;
  int64_t rate_;
  int64_t auction_horizon_;  // µs of event time in which 100 auctions are opened
  std::string text_;
  std::vector<std::string> names_;
  std::vector<Channel> channels_;  // the four that half of the bids come from, then the others
};

}  // namespace millrace::nexmark
