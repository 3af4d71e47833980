// Unnest: out = each row of Δin once per entry of its longest list, with its weight. Linear, no
// state.
#include <algorithm>

#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "stream/expressions.h"
#include "stream/operator.h"

namespace millrace::stream {
namespace {

// The input's columns, then the lists.
std::vector<Expression> ColumnsAndLists(const rows::Types& types, const Unnest& unnest) {
  std::vector<Expression> expressions;
  for (size_t i = 0; i < types.size(); ++i) {
    expressions.push_back(std::make_shared<duckdb::BoundReferenceExpression>(types[i], i));
  }
  expressions.insert(expressions.end(), unnest.lists.begin(), unnest.lists.end());
  return expressions;
}

class UnnestOperator final : public Operator {
 public:
  UnnestOperator(const Node& node, const OperatorContext& context)
      : types_(node.types),
        columns_(context.input_types[0].size()),
        runner_(context.client,
                ColumnsAndLists(context.input_types[0], std::get<Unnest>(node.op))) {
    for (const duckdb::LogicalType& type : types_)
      row_bytes_ += duckdb::GetTypeIdSize(type.InternalType());
  }

  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override {
    rows::BatchBuilder out(types_);
    if (inputs[0] == nullptr) return out.Finish();
    for (const rows::Batch::Part& part : inputs[0]->parts) {
      TRY(auto rows, runner_.Project(context, part));
      if (rows) TRY(Expand(context, *rows, out));
    }
    return out.Finish();
  }

 private:
  // Rows that are being put out: which input row each is, and which entry of the lists.
  struct Places {
    std::vector<duckdb::sel_t> rows;
    std::vector<duckdb::idx_t> entries;
    std::vector<rows::Weight> weights;
  };

  Status Expand(StepContext& context, rows::Batch::Part& part, rows::BatchBuilder& out) {
    duckdb::DataChunk& rows = *part.rows;
    std::vector<duckdb::UnifiedVectorFormat> lists(rows.ColumnCount() - columns_);
    for (size_t i = 0; i < lists.size(); ++i) {
      rows.data[columns_ + i].ToUnifiedFormat(rows.size(), lists[i]);
    }
    Places places;
    for (size_t row = 0; row < rows.size(); ++row) {
      if (part.weight(row) == 0) continue;
      duckdb::idx_t longest = 0;
      for (const auto& list : lists) longest = std::max(longest, LengthOf(list, row));
      for (duckdb::idx_t entry = 0; entry < longest; ++entry) {
        places.rows.push_back(static_cast<duckdb::sel_t>(row));
        places.entries.push_back(entry);
        places.weights.push_back(part.weight(row));
        if (places.rows.size() < STANDARD_VECTOR_SIZE) continue;
        PutOut(rows, lists, places, out);
        TRY(context.budget.Spend(STANDARD_VECTOR_SIZE * row_bytes_));
      }
    }
    PutOut(rows, lists, places, out);
    return Ok();
  }

  static const duckdb::list_entry_t* EntryOf(const duckdb::UnifiedVectorFormat& list, size_t row) {
    const auto at = list.sel->get_index(row);
    if (!list.validity.RowIsValid(at)) return nullptr;
    return duckdb::UnifiedVectorFormat::GetData<duckdb::list_entry_t>(list) + at;
  }
  static duckdb::idx_t LengthOf(const duckdb::UnifiedVectorFormat& list, size_t row) {
    const duckdb::list_entry_t* entry = EntryOf(list, row);
    return entry == nullptr ? 0 : entry->length;
  }

  void PutOut(duckdb::DataChunk& rows, const std::vector<duckdb::UnifiedVectorFormat>& lists,
              Places& places, rows::BatchBuilder& out) {
    const size_t count = places.rows.size();
    if (count == 0) return;
    duckdb::DataChunk& chunk = out.Room(count);
    const duckdb::SelectionVector of_rows(places.rows.data());
    for (size_t i = 0; i < columns_; ++i) {
      duckdb::VectorOperations::Copy(rows.data[i], chunk.data[i], of_rows, count, 0, chunk.size());
    }
    for (size_t i = 0; i < lists.size(); ++i) {
      PutEntries(rows.data[columns_ + i], lists[i], places, chunk.data[columns_ + i], chunk.size());
    }
    out.Commit(count, places.weights.data());
    places = {};
  }

  static void PutEntries(duckdb::Vector& lists, const duckdb::UnifiedVectorFormat& format,
                         const Places& places, duckdb::Vector& out, size_t at) {
    const size_t count = places.rows.size();
    duckdb::SelectionVector of_entries(count);
    std::vector<size_t> missing;
    for (size_t i = 0; i < count; ++i) {
      const duckdb::list_entry_t* entry = EntryOf(format, places.rows[i]);
      const bool has = entry != nullptr && places.entries[i] < entry->length;
      of_entries.set_index(i, has ? entry->offset + places.entries[i] : 0);
      if (!has) missing.push_back(at + i);
    }
    // A list vector without any entry has nothing that could be copied.
    if (missing.size() < count) {
      duckdb::VectorOperations::Copy(duckdb::ListVector::GetEntry(lists), out, of_entries, count, 0,
                                     at);
    }
    for (const size_t row : missing) duckdb::FlatVector::SetNull(out, row, true);
  }

  const rows::Types types_;
  const size_t columns_;
  size_t row_bytes_ = 0;
  ExpressionRunner runner_;
};

}  // namespace

std::unique_ptr<Operator> MakeUnnest(const Node& node, OperatorContext context) {
  return std::make_unique<UnnestOperator>(node, context);
}

}  // namespace millrace::stream
