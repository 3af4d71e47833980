#include "ingest/row_checker.h"

#include <algorithm>

namespace millrace::ingest {

RowChecker::RowChecker(RecordFormat format, const rows::Schema& schema)
    : schema_(schema), decoder_(format, schema_, schema_.all()) {}

Result<std::unique_ptr<RowChecker>> RowChecker::Make(const catalog::Catalog& catalog,
                                                     const rows::Schema& schema,
                                                     const std::vector<catalog::Check>& checks,
                                                     sql::Database& database, RecordFormat format) {
  std::unique_ptr<RowChecker> checker(new RowChecker(format, schema));
  for (const catalog::Check& check : checks) {
    const sql::Origin origin{"", check.expression, 0, check.expression.size()};
    TRY(auto condition, database.Condition(catalog, checker->schema_, check.expression, origin));
    checker->conditions_.push_back(std::move(condition));
    checker->check_texts_.push_back(check.expression);
  }
  return checker;
}

rows::Decoded RowChecker::Decode(std::span<const std::string_view> values) {
  return Checked(decoder_.Decode(values));
}

rows::Decoded RowChecker::Decode(std::span<const Record> records) {
  return Checked(decoder_.Decode(records));
}

rows::Decoded RowChecker::Checked(rows::Decoded decoded) {
  if (conditions_.empty()) return decoded;

  std::vector<uint8_t> passes;
  std::vector<uint32_t> inputs;
  size_t first = 0;  // of the chunk, in decoded.inputs
  bool any_failed = false;
  for (auto& chunk : decoded.chunks) {
    const size_t count = chunk->size();
    std::vector<uint8_t> keep(count, 1);
    for (size_t i = 0; i < conditions_.size(); ++i) {
      conditions_[i]->Evaluate(*chunk, passes);
      for (size_t row = 0; row < count; ++row) {
        if (passes[row] || !keep[row]) continue;
        keep[row] = 0;
        decoded.errors.push_back(
            {decoded.inputs[first + row], "check", "",
             fmt::format("the row does not satisfy CHECK ({})", check_texts_[i])});
      }
    }
    duckdb::SelectionVector selection(count);
    size_t kept = 0;
    for (size_t row = 0; row < count; ++row) {
      if (!keep[row]) continue;
      selection.set_index(kept++, row);
      inputs.push_back(decoded.inputs[first + row]);
    }
    if (kept < count) {
      any_failed = true;
      chunk->Slice(selection, kept);
      chunk->Flatten();
    }
    first += count;
  }
  if (!any_failed) return decoded;
  decoded.inputs = std::move(inputs);
  std::erase_if(decoded.chunks, [](const auto& chunk) { return chunk->size() == 0; });
  std::stable_sort(decoded.errors.begin(), decoded.errors.end(),
                   [](const rows::RowError& a, const rows::RowError& b) { return a.row < b.row; });
  return decoded;
}

}  // namespace millrace::ingest
