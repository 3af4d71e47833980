// Calls of DuckDB under watch: their connections are interrupted when they took too long or when
// somebody cancelled them (base/watchdog.h). DuckDB looks at an interrupt between two chunks of
// rows. Thread-safe.
#pragma once

#include "base/watchdog.h"
#include "duckdb.hpp"

namespace millrace::stream {

using millrace::EndOfCall;

class Watchdog : public millrace::Watchdog {
 public:
  // A call under watch as long as it lives.
  class Guard : public millrace::Watchdog::Guard {
   public:
    // `is_over` is asked on the watchdog's thread. REQUIRES: what it says stays true.
    Guard(Watchdog& watchdog, duckdb::ClientContext& client, std::function<bool()> is_over)
        : millrace::Watchdog::Guard(watchdog, std::move(is_over),
                                    [&client] { client.Interrupt(); }) {}
  };
};

}  // namespace millrace::stream
