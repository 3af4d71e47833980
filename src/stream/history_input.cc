#include "stream/history_input.h"

#include "rows/row_codec.h"
#include "state/view_table.h"

namespace millrace::stream {

rows::Batch InParts(const rows::Batch& changes, const rows::Types& types, uint32_t parts,
                    const std::vector<size_t>& by) {
  if (parts >= state::ViewTable::kParts) return changes;
  rows::BatchBuilder kept(types);
  if (parts == 0) return kept.Finish();
  rows::RowEncoder encoder(types);
  for (const rows::Batch::Part& part : changes.parts) {
    const std::vector<uint32_t> of_rows = state::ViewTable::PartsOf(*part.rows, by, encoder);
    for (size_t row = 0; row < of_rows.size(); ++row) {
      if (of_rows[row] < parts) kept.AppendRow(*part.rows, row, part.weight(row));
    }
  }
  return kept.Finish();
}

}  // namespace millrace::stream
