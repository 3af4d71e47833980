// Which nodes of a plan may be one with equal nodes of plans that came at other times. A value.
#pragma once

#include <cstdint>
#include <map>

namespace millrace::stream {

struct Sharing {
  // Under which generation a node's state stands where it is not the plan's own: by the fingerprint
  // that it has under its own.
  using Generations = std::map<uint64_t, uint64_t>;

  // What the plan's nodes hold is what all rows give that its relations ever had.
  bool whole = false;
  Generations generations;
};

}  // namespace millrace::stream
