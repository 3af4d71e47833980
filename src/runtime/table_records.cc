#include "runtime/table_records.h"

#include <algorithm>
#include <span>
#include <vector>

#include "log/record_batch.h"
#include "log/unpack.h"
#include "runtime/key_text.h"
#include "runtime/row_text.h"

namespace millrace::runtime {

namespace {

Error WrongRecord(int64_t number, const std::string& message) {
  return Error(Code::kInvalidArgument, "record {}: {}", number, message);
}

// What one batch becomes.
class BatchWriter {
 public:
  BatchWriter(const Relation& table, ingest::RowChecker& checker, int64_t first)
      : schema_(table.table()->schema),
        key_columns_(KeyColumns(*table.table())),
        keys_(schema_, key_columns_),
        checker_(checker),
        first_(first) {}

  Result<std::string> Write(const log::RecordBatchView& sent, const log::RecordBatchView& plain) {
    std::vector<log::RecordView> records;
    for (log::RecordCursor cursor = plain.records(); cursor.Next();)
      records.push_back(cursor.record());
    TRY(plain.CheckRecords());
    TRY(DecodeRows(records));
    TRY(DecodeKeys(records));
    log::RecordBatchBuilder out;
    for (size_t i = 0; i < records.size(); ++i) {
      const bool row = records[i].value.has_value();
      out.Add(row ? row_keys_[i] : sent_keys_[i],
              row ? std::optional<std::string_view>(rows_[i]) : std::nullopt, records[i].timestamp);
    }
    if (sent.producer_id() >= 0) out.SetProducer(sent.producer(), sent.base_sequence());
    return out.Finish();
  }

 private:
  // Fills rows_ and row_keys_ where records have a value.
  Status DecodeRows(const std::vector<log::RecordView>& records) {
    rows_.assign(records.size(), {});
    row_keys_.assign(records.size(), {});
    std::vector<std::string_view> values;
    std::vector<size_t> places;
    for (size_t i = 0; i < records.size(); ++i) {
      if (!records[i].value) continue;
      values.push_back(*records[i].value);
      places.push_back(i);
    }
    const rows::Decoded decoded = checker_.Decode(values);
    if (!decoded.errors.empty()) {
      const rows::RowError& error = decoded.errors.front();
      return WrongRecord(first_ + static_cast<int64_t>(places[error.row]) + 1, error.message);
    }
    size_t next = 0;
    for (const auto& chunk : decoded.chunks) {
      const std::vector<std::string> rows = RowsAsJson(schema_, *chunk);
      TRY(CheckKeys(*chunk, std::span(places).subspan(next)));
      const std::vector<std::string> keys = RowsAsJson(schema_, *chunk, key_columns_);
      for (size_t row = 0; row < chunk->size(); ++row, ++next) {
        rows_[places[next]] = rows[row];
        row_keys_[places[next]] = keys[row];
      }
    }
    return Ok();
  }

  // Fills sent_keys_ where records have a key.
  Status DecodeKeys(const std::vector<log::RecordView>& records) {
    sent_keys_.assign(records.size(), {});
    std::vector<std::string> texts;
    std::vector<size_t> places;
    for (size_t i = 0; i < records.size(); ++i) {
      if (!records[i].key && !records[i].value)
        return WrongRecord(Number(i), "neither key nor value");
      if (!records[i].key) continue;
      auto object = KeyAsObject(schema_, key_columns_, *records[i].key);
      if (!object.ok()) return WrongRecord(Number(i), object.error().message());
      texts.push_back(*std::move(object));
      places.push_back(i);
    }
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const rows::Decoded decoded = keys_.Decode(views);
    if (!decoded.errors.empty()) {
      const rows::RowError& error = decoded.errors.front();
      return WrongRecord(Number(places[error.row]), "its key: " + error.message);
    }
    size_t next = 0;
    for (const auto& chunk : decoded.chunks) {
      // RowsAsJson goes by the schema's places of the columns.
      duckdb::DataChunk whole;
      WidenKeys(schema_, key_columns_, *chunk, whole);
      TRY(CheckKeys(whole, std::span(places).subspan(next)));
      for (std::string& key : RowsAsJson(schema_, whole, key_columns_)) {
        const size_t place = places[next++];
        if (records[place].value && key != row_keys_[place])
          return WrongRecord(Number(place), fmt::format("its key {} is not that of its row, {}",
                                                        key, row_keys_[place]));
        sent_keys_[place] = std::move(key);
      }
    }
    return Ok();
  }

  Status CheckKeys(duckdb::DataChunk& rows, std::span<const size_t> places) const {
    for (const size_t column : key_columns_) {
      duckdb::UnifiedVectorFormat format;
      rows.data[column].ToUnifiedFormat(rows.size(), format);
      for (size_t row = 0; row < rows.size(); ++row) {
        if (format.validity.RowIsValid(format.sel->get_index(row))) continue;
        return WrongRecord(Number(places[row]),
                           "key column " + Quoted(schema_.columns[column].name) + " is NULL");
      }
    }
    return Ok();
  }

  int64_t Number(size_t place) const { return first_ + static_cast<int64_t>(place) + 1; }

  const rows::Schema& schema_;
  const std::vector<size_t> key_columns_;
  rows::JsonDecoder keys_;
  ingest::RowChecker& checker_;
  const int64_t first_;  // records of the batches before
  std::vector<std::string> rows_, row_keys_, sent_keys_;
};

}  // namespace

Result<std::string> ChangelogOf(const Relation& table, ingest::RowChecker& checker,
                                std::string_view batches) {
  if (table.table()->primary_key.empty())
    return Error(Code::kNotSupported, "table {} has no primary key: records are put in by key",
                 Quoted(table.object.name()))
        .Hint("INSERT and DELETE change it");
  std::string out;
  int64_t count = 0;
  while (!batches.empty()) {
    TRY(const log::RecordBatchView sent,
        log::RecordBatchView::Parse(batches, log::CrcCheck::kVerify));
    if (sent.is_control() || sent.is_transactional())
      return Error(Code::kNotSupported, "table {} takes no records of transactions",
                   Quoted(table.object.name()))
          .Hint("a producer without transactional.id writes to it, whole batches at once");
    std::string unpacked;
    log::RecordBatchView plain = sent;
    if (sent.codec() != log::Codec::kNone) {
      TRY(unpacked, log::Unpack(sent));
      TRY(plain, log::RecordBatchView::Parse(unpacked, log::CrcCheck::kAlreadyVerified));
    }
    BatchWriter writer(table, checker, count);
    TRY(const std::string written, writer.Write(sent, plain));
    out += written;
    count += sent.record_count();
    batches.remove_prefix(sent.size());
  }
  return out;
}

}  // namespace millrace::runtime
