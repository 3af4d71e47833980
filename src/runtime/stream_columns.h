// Streams as the column cache reads them: by StreamHistory, up to the newest step that is shown.
// Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "column_cache/stream_source.h"
#include "log/log.h"
#include "runtime/published.h"
#include "runtime/system_tables.h"

namespace millrace::column_cache {
class ColumnCache;
}

namespace millrace::runtime {

// `relation` at a step; none: it is no stream, or its records may go from its middle.
std::optional<column_cache::Stream> StreamInColumns(const log::Log& log,
                                                    std::shared_ptr<const Relation> relation,
                                                    const NodeState& state);

class StreamColumns final : public column_cache::StreamSource {
 public:
  // All outlive it. `lag_records`: how far the engine is behind.
  StreamColumns(const log::Log& log, const Publisher& publisher,
                std::function<int64_t()> lag_records)
      : log_(log), publisher_(publisher), lag_records_(std::move(lag_records)) {}
  std::optional<column_cache::Stream> Find(const std::string& identity) override;
  bool Busy() override;

 private:
  const log::Log& log_;
  const Publisher& publisher_;
  const std::function<int64_t()> lag_records_;
};

// millrace.column_cache; empty where `cache` is nullptr.
SystemTable ColumnCacheTable(const log::Log& log, const column_cache::ColumnCache* cache);

}  // namespace millrace::runtime
