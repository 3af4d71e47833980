// Decodes records of a stream by the version that reads them, and gives rows of the stream as it is
// now: what came later has the DEFAULT with which it came, what was narrower is widened.
// Not thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/definitions.h"
#include "ingest/record_decoder.h"

namespace millrace::runtime {

class VersionDecoder {
 public:
  // `version`: of the stream, outlives the decoder. `wanted`: columns of the stream as it is now,
  // ascending.
  VersionDecoder(const catalog::StreamDefinition& stream, ingest::RecordFormat format,
                 const rows::Schema& version, const std::vector<size_t>& wanted);
  // The chunks and errors are those of JsonDecoder::Decode. Error: a value cannot be widened, which
  // is damage.
  Result<rows::Decoded> Decode(std::span<const ingest::Record> records);
  const rows::Schema& schema() const { return version_; }

 private:
  struct Target {
    duckdb::LogicalType type;
    std::optional<size_t> decoded;  // column of the decoder's chunks
    duckdb::Value otherwise;        // where there is none
  };

  const rows::Schema& version_;
  std::vector<Target> targets_;
  bool same_ = true;                              // rows come out of the decoder as they are wanted
  std::optional<ingest::RecordDecoder> decoder_;  // none: nothing of the version is wanted
};

}  // namespace millrace::runtime
