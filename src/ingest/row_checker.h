// Decides for each record of a stream whether it is a row: decodes it by the schema and tries the
// CHECK conditions. Ingestion asks before it answers a producer; the step asks again, and its
// decision is the one that counts. Both get the same answer from the same bytes. Not thread-safe:
// one per thread.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "ingest/record_decoder.h"
#include "rows/decode.h"
#include "sql/database.h"

namespace millrace::ingest {

class RowChecker {
 public:
  // `catalog`: its types and macros may be named. The errors are those of the CHECK conditions'
  // binding.
  static Result<std::unique_ptr<RowChecker>> Make(const catalog::Catalog& catalog,
                                                  const rows::Schema& schema,
                                                  const std::vector<catalog::Check>& checks,
                                                  sql::Database& database,
                                                  RecordFormat format = {});
  // As JsonDecoder::Decode, with the rows that fail a CHECK among the errors.
  rows::Decoded Decode(std::span<const Record> records);
  // The same for values that are no records yet.
  rows::Decoded Decode(std::span<const std::string_view> values);

 private:
  RowChecker(RecordFormat format, const rows::Schema& schema);
  rows::Decoded Checked(rows::Decoded decoded);

  rows::Schema schema_;  // the decoder refers to it
  RecordDecoder decoder_;
  std::vector<std::string> check_texts_;
  std::vector<std::unique_ptr<sql::Database::RowCondition>> conditions_;
};

}  // namespace millrace::ingest
