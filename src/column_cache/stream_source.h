// The streams of the node, as the column cache reads them. Implemented by the runtime.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"

namespace millrace::column_cache {

// The rows of a span of offsets. Not thread-safe.
class SpanReader {
 public:
  virtual ~SpanReader() = default;
  // Chunks of all columns, in order of offset; nullptr: the end.
  virtual Result<std::shared_ptr<duckdb::DataChunk>> Next() = 0;
  // Whether records of what was read are lost to damage on disk.
  virtual bool lost() const = 0;
};

// A stream at one step. What lies below the step's ends never changes, but that it may go from the
// start on.
struct Stream {
  std::string identity;  // stays over a rename; another stream of the name has another one
  std::string layout;    // of another layout the same records are other rows
  std::string name;      // the user's
  rows::Types types;     // of all columns
  size_t partition = 0;  // which of them is _partition; _offset is the next
  struct Span {
    int32_t partition;
    int64_t start;
    int64_t end;
  };
  std::vector<Span> spans;  // what it holds, by partition, ascending
  std::function<std::unique_ptr<SpanReader>(const Span&)> read;

  const Span* Find(int32_t number) const {
    const auto at =
        std::lower_bound(spans.begin(), spans.end(), number,
                         [](const Span& span, int32_t wanted) { return span.partition < wanted; });
    return at != spans.end() && at->partition == number ? &*at : nullptr;
  }
  int64_t records() const {
    int64_t count = 0;
    for (const Span& span : spans) count += span.end - span.start;
    return count;
  }
};

// Thread-safe.
class StreamSource {
 public:
  virtual ~StreamSource() = default;
  // At the newest step that is shown; none: it is gone, or its records may go from its middle.
  virtual std::optional<Stream> Find(const std::string& identity) = 0;
  // Others need the machine more.
  virtual bool Busy() = 0;
};

}  // namespace millrace::column_cache
