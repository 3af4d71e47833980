// Nexmark's queries as views over the streams person, auction and bid, with the speeds that they
// are held against. Thread-safe: constants.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace millrace::nexmark {

// Events per CPU-second of the whole process, generator included, one worker.
struct Bounds {
  double floor;  // at 100 events per second of event time
  double goal;
  double log_goal;     // where the events are read from the log as JSON
  double feldera = 0;  // hand-written circuits, at 100 events per second; 0: not measured
  double flink = 0;    // at 100,000 events per second
};

struct Query {
  std::string name;
  std::string select;
  std::string note = {};  // how it differs from the published text
  std::optional<Bounds> bounds = {};
  bool windowed = false;  // has an EMIT ON WINDOW CLOSE form
};

// q0 to q22, in order.
const std::vector<Query>& Queries();
// Null: there is none of this name.
const Query* FindQuery(const std::string& name);

// The bounded table that q13 joins: side_input(key BIGINT, value VARCHAR), keys 0 to 9,999.
inline constexpr const char* kSideInput = "side_input";
inline constexpr int kSideInputRows = 10'000;

}  // namespace millrace::nexmark
