#include "runtime/version_decoder.h"

#include <algorithm>

#include "catalog/sql_text.h"
#include "catalog/stream_versions.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace millrace::runtime {

namespace {

// As many rows without columns.
rows::Decoded AllRows(size_t count) {
  rows::Decoded decoded;
  for (size_t first = 0; first < count; first += STANDARD_VECTOR_SIZE) {
    auto chunk = std::make_unique<duckdb::DataChunk>();
    chunk->SetCardinality(std::min<size_t>(STANDARD_VECTOR_SIZE, count - first));
    decoded.chunks.push_back(std::move(chunk));
  }
  return decoded;
}

}  // namespace

VersionDecoder::VersionDecoder(const catalog::StreamDefinition& stream, ingest::RecordFormat format,
                               const rows::Schema& version, const std::vector<size_t>& wanted)
    : version_(version) {
  std::vector<size_t> present;  // columns of the version, ascending as the decoder wants them
  for (const size_t column : wanted) {
    if (const auto found = version.FindId(stream.schema.columns[column].id))
      present.push_back(*found);
  }
  std::sort(present.begin(), present.end());
  for (const size_t column : wanted) {
    const rows::Column& now = stream.schema.columns[column];
    Target target{now.type, std::nullopt, duckdb::Value()};
    if (const auto found = version.FindId(now.id)) {
      const auto at = std::lower_bound(present.begin(), present.end(), *found);
      target.decoded = static_cast<size_t>(at - present.begin());
      same_ = same_ && version.columns[*found].type == now.type;
    } else {
      target.otherwise = catalog::ValueBefore(stream, now);
    }
    same_ = same_ && target.decoded == targets_.size();
    targets_.push_back(std::move(target));
  }
  if (!present.empty()) decoder_.emplace(format, version, present);
}

Result<rows::Decoded> VersionDecoder::Decode(std::span<const ingest::Record> records) {
  rows::Decoded decoded = decoder_ ? decoder_->Decode(records) : AllRows(records.size());
  if (same_) return decoded;
  for (auto& chunk : decoded.chunks) {
    auto rows = std::make_unique<duckdb::DataChunk>();
    rows::Types types;
    for (const Target& target : targets_) types.push_back(target.type);
    rows->InitializeEmpty(types);
    for (size_t i = 0; i < targets_.size(); ++i) {
      const Target& target = targets_[i];
      if (!target.decoded) {
        rows->data[i].Reference(target.otherwise);
        continue;
      }
      duckdb::Vector& given = chunk->data[*target.decoded];
      if (given.GetType() == target.type) {
        rows->data[i].Reference(given);
        continue;
      }
      duckdb::Vector wide(target.type, chunk->size());
      std::string message;
      if (!duckdb::VectorOperations::DefaultTryCast(given, wide, chunk->size(), &message)) {
        return Error(Code::kCorruption, "a {} cannot be read as {}: {}",
                     catalog::TypeText(given.GetType()), catalog::TypeText(target.type), message);
      }
      rows->data[i].Reference(wide);
    }
    rows->SetCardinality(chunk->size());
    chunk = std::move(rows);
  }
  return decoded;
}

}  // namespace millrace::runtime
