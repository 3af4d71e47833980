// Which keys of an operator's state are due when: keys by time, taken out as time passes. The
// entries of a virtual shard stand in one ordered group, so that what is due comes first.
//
// Thread rule: belongs to one operator instance. Errors: those of the state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "state/tables.h"
#include "stream/state_rows.h"

namespace millrace::stream {

// Beside the eight tables of a node.
state::TableId TimeIndexTable(state::TableId node);

class TimeIndex {
 public:
  struct Entry {
    state::Key key;
    std::string_view payload;
    int64_t weight;  // sum over equal entries, not 0
  };

  // `node`: the first of the node's table ids.
  TimeIndex(state::WorkerState& state, state::TableId node, int worker, int workers);

  struct New {
    std::string_view time;  // memcmp order is order of time; of one size for all entries
    state::Key key;
    std::string_view payload = {};  // comes back with the key
    int64_t weight = 1;
  };
  // Equal entries come back as one; those whose weights add up to 0 do not.
  Status Add(std::span<const New> entries);
  // Takes out the entries whose time lies below `bound` (`inclusive`: or is equal to it). They stay
  // valid until the next call.
  Result<std::span<const Entry>> Take(std::string_view bound, bool inclusive);
  // The first entry that is waiting, from its time on; empty: none.
  Result<std::string> First();

 private:
  state::Key ShardKey(int shard) const;
  Status FindShards(std::vector<state::BagTable::Group*>& groups);

  state::BagTable& table_;
  const std::string shard_names_;
  std::vector<state::Key> shards_;  // of this worker
  ByteArena bytes_;
  std::vector<Entry> taken_;
  // Scratch.
  std::vector<state::Key> keys_;
  std::vector<state::BagTable::Group*> groups_;
  std::string row_;
};

}  // namespace millrace::stream
