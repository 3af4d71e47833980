#include "runtime/change_decoder.h"

#include <algorithm>
#include <array>

#include "rows/json_text.h"
#include "runtime/key_text.h"
#include "runtime/row_text.h"

namespace millrace::runtime {

namespace {

using Part = ingest::SchemaValues::Part;

// What names a schema becomes JSON in portions of about this size.
constexpr size_t kTextBytesMax = size_t{8} << 20;

// The fields of a change event that count; the values of other columns than `op` are JSON texts.
enum EnvelopeColumn : size_t { kOp, kBefore, kAfter, kPayload };

rows::Schema EnvelopeSchema() {
  rows::Schema schema;
  int id = 1;
  for (const char* name : {"op", "before", "after", "payload"}) {
    rows::Column column;
    column.name = name;
    column.type = duckdb::LogicalType::VARCHAR;
    column.id = id++;
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

std::optional<std::string_view> TextAt(duckdb::DataChunk& rows, size_t column, size_t row) {
  duckdb::UnifiedVectorFormat format;
  rows.data[column].ToUnifiedFormat(rows.size(), format);
  const size_t at = format.sel->get_index(row);
  if (!format.validity.RowIsValid(at)) return std::nullopt;
  const auto& text = duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(format)[at];
  return std::string_view(text.GetData(), text.GetSize());
}

// Calls `visit(chunk, row, input)` for each good row.
template <typename Visit>
void EachRow(const rows::Decoded& decoded, Visit visit) {
  size_t next = 0;
  for (size_t chunk = 0; chunk < decoded.chunks.size(); ++chunk) {
    for (size_t row = 0; row < decoded.chunks[chunk]->size(); ++row)
      visit(chunk, row, decoded.inputs[next++]);
  }
}

}  // namespace

Result<std::unique_ptr<ChangeDecoder>> ChangeDecoder::Make(const Relation& table,
                                                           const catalog::Catalog& catalog,
                                                           sql::Database& database) {
  CHECK(catalog::TableOfTopic(table.object) != nullptr);
  TRY(auto checker,
      ingest::RowChecker::Make(catalog, table.table()->schema, table.table()->checks, database));
  return std::unique_ptr<ChangeDecoder>(new ChangeDecoder(table, std::move(checker)));
}

ChangeDecoder::ChangeDecoder(const Relation& table, std::unique_ptr<ingest::RowChecker> checker)
    : schema_(table.table()->schema),
      key_columns_(KeyColumns(*table.table())),
      debezium_(table.table()->format == catalog::TableDefinition::Format::kDebezium),
      envelope_schema_(EnvelopeSchema()),
      by_schema_(table.format().registry),
      checker_(std::move(checker)),
      keys_(schema_, key_columns_),
      envelopes_(envelope_schema_, envelope_schema_.all()) {}

RowChanges ChangeDecoder::Decode(std::span<const ingest::Record> records) {
  RowChanges out;
  for (size_t first = 0; first < records.size();)
    first += DecodeSome(records.subspan(first), static_cast<uint32_t>(first), out);
  by_schema_.Rest();
  return out;
}

size_t ChangeDecoder::DecodeSome(std::span<const ingest::Record> records, uint32_t first,
                                 RowChanges& out) {
  decoded_.clear();
  texts_.clear();
  ReadTexts(records);
  ReadKeys();
  if (debezium_) {
    ReadDebezium();
  } else {
    ReadJson();
  }
  PutRows(first, out);
  TakeRows(first, out);
  for (size_t i = 0; i < events_.size(); ++i) {
    Event& event = events_[i];
    if (!event.error.empty())
      out.errors.push_back({first + i, "change", std::move(event.column), std::move(event.error)});
    if (event.what == What::kClear) out.cleared.push_back(first + static_cast<uint32_t>(i));
  }
  return events_.size();
}

// The events of as many of the records as stand for texts of a bounded size.
void ChangeDecoder::ReadTexts(std::span<const ingest::Record> records) {
  events_.clear();
  size_t text_bytes = 0;
  const auto text_of = [&](Part part, const ingest::Record& record,
                           std::string& error) -> std::optional<std::string_view> {
    std::optional<Result<std::string>> json = by_schema_.JsonOf(part, record);
    if (!json) return part == Part::kKey ? record.key : record.value;
    if (!json->ok()) {
      error = json->error().message();
      return std::nullopt;
    }
    text_bytes += (*json)->size();
    return texts_.emplace_back(std::move(*json).value());
  };
  for (const ingest::Record& record : records) {
    if (text_bytes >= kTextBytesMax) break;
    Event& event = events_.emplace_back();
    event.key_text = text_of(Part::kKey, record, event.key_error);
    if (!event.key_error.empty()) event.key_error = "its key: " + event.key_error;
    event.value = text_of(Part::kValue, record, event.error);
  }
}

std::vector<std::string> ChangeDecoder::Canonical(duckdb::DataChunk& keys) const {
  duckdb::DataChunk whole;
  WidenKeys(schema_, key_columns_, keys, whole);
  return RowsAsJson(schema_, whole, key_columns_);
}

// Keys as Kafka Connect writes them stand in {"schema", "payload"}; others are taken as they are.
std::vector<std::string> ChangeDecoder::Unwrapped(const std::vector<std::string_view>& keys) {
  std::vector<std::string> out;
  // What is none stays as it is, for the decoder to say why.
  const auto as_object = [&](std::string_view key) {
    auto object = KeyAsObject(schema_, key_columns_, key);
    return object.ok() ? *std::move(object) : std::string(key);
  };
  for (const std::string_view key : keys) out.push_back(as_object(key));
  if (!debezium_) return out;
  std::vector<std::string_view> views(out.begin(), out.end());
  std::vector<std::optional<std::string>> payloads(keys.size());
  const rows::Decoded decoded = envelopes_.Decode(views);
  EachRow(decoded, [&](size_t chunk, size_t row, size_t input) {
    payloads[input] = TextAt(*decoded.chunks[chunk], kPayload, row);
  });
  for (size_t i = 0; i < keys.size(); ++i) {
    if (payloads[i]) out[i] = as_object(*payloads[i]);
  }
  return out;
}

void ChangeDecoder::ReadKeys() {
  std::vector<std::string_view> keys;
  std::vector<size_t> places;
  for (size_t i = 0; i < events_.size(); ++i) {
    if (!events_[i].key_text) continue;
    keys.push_back(*events_[i].key_text);
    places.push_back(i);
  }
  if (keys.empty()) return;
  const std::vector<std::string> texts = Unwrapped(keys);
  keys.assign(texts.begin(), texts.end());
  const rows::Decoded decoded = keys_.Decode(keys);
  for (const rows::RowError& error : decoded.errors) {
    std::string& noted = events_[places[error.row]].key_error;
    if (noted.empty()) noted = "its key: " + error.message;
  }
  std::vector<std::string> canonical;
  size_t last_chunk = SIZE_MAX;
  EachRow(decoded, [&](size_t chunk, size_t row, size_t input) {
    if (chunk != last_chunk) canonical = Canonical(*decoded.chunks[chunk]);
    last_chunk = chunk;
    events_[places[input]].key = std::move(canonical[row]);
  });
}

void ChangeDecoder::ReadJson() {
  for (Event& event : events_) {
    if (!event.error.empty()) continue;
    if (!event.key_error.empty()) {
      event.error = event.key_error;
    } else if (event.value) {
      event.what = What::kRow;
      event.row = event.value;
    } else if (event.key.empty()) {
      event.error = "neither key nor value";
    } else {
      event.what = What::kGone;
    }
  }
}

void ChangeDecoder::ReadDebezium() {
  std::vector<std::string_view> values;
  std::vector<size_t> places;
  for (size_t i = 0; i < events_.size(); ++i) {
    if (!events_[i].value) continue;
    values.push_back(*events_[i].value);
    places.push_back(i);
  }
  const rows::Decoded& decoded = decoded_.emplace_back(envelopes_.Decode(values));
  for (const rows::RowError& error : decoded.errors) {
    Event& event = events_[places[error.row]];
    if (event.error.empty()) event.error = error.message;
  }
  std::vector<size_t> wrapped;
  EachRow(decoded, [&](size_t chunk, size_t row, size_t input) {
    duckdb::DataChunk& rows = *decoded.chunks[chunk];
    const auto payload = TextAt(rows, kPayload, row);
    Event& event = events_[places[input]];
    if (payload && !TextAt(rows, kOp, row)) {
      event.row = payload;
      wrapped.push_back(places[input]);
    } else {
      ReadEvent(decoded, chunk, row, event);
    }
  });
  ReadPayloads(wrapped);
}

void ChangeDecoder::ReadPayloads(const std::vector<size_t>& wrapped) {
  if (wrapped.empty()) return;
  std::vector<std::string_view> values;
  for (const size_t place : wrapped) {
    values.push_back(*events_[place].row);
    events_[place].row.reset();
  }
  // The chunks that events refer to stay where they are when this grows.
  const rows::Decoded& decoded = decoded_.emplace_back(envelopes_.Decode(values));
  for (const rows::RowError& error : decoded.errors) {
    Event& event = events_[wrapped[error.row]];
    if (event.error.empty()) event.error = "its payload: " + error.message;
  }
  EachRow(decoded, [&](size_t chunk, size_t row, size_t input) {
    ReadEvent(decoded, chunk, row, events_[wrapped[input]]);
  });
}

void ChangeDecoder::ReadEvent(const rows::Decoded& decoded, size_t chunk, size_t row,
                              Event& event) {
  duckdb::DataChunk& rows = *decoded.chunks[chunk];
  const auto op = TextAt(rows, kOp, row);
  if (!op) {
    event.error = "no change event: it has no op";
  } else if (*op == "c" || *op == "r" || *op == "u") {
    event.row = TextAt(rows, kAfter, row);
    event.before = TextAt(rows, kBefore, row);
    if (event.row) {
      event.what = What::kRow;
    } else {
      event.error = fmt::format("an event with op \"{}\" has no after", *op);
    }
  } else if (*op == "d") {
    event.row = TextAt(rows, kBefore, row);
    if (event.row || !event.key.empty()) {
      event.what = What::kGone;
    } else {
      event.error = event.key_error.empty() ? "an event with op \"d\" has neither before nor key"
                                            : event.key_error;
    }
  } else if (*op == "t") {
    event.what = What::kClear;
  } else {
    event.error =
        fmt::format("op {} is not known: it is c, r, u, d or t", Quoted(rows::Shortened(*op)));
  }
}

// The JSON object `row` with the fields of the record's key in front, so that its own count where
// it has them.
std::string_view ChangeDecoder::WithKey(const Event& event, std::string_view row) {
  const std::string_view text = rows::TrimJson(row);
  if (event.key.empty() || !text.starts_with('{')) return row;
  const bool empty = rows::TrimJson(text.substr(1)).starts_with('}');
  std::string& with = texts_.emplace_back(event.key);
  with.pop_back();
  if (!empty) with += ',';
  return with += text.substr(1);
}

void ChangeDecoder::PutRows(uint32_t first, RowChanges& out) {
  std::vector<std::string_view> values;
  std::vector<size_t> places;
  for (size_t i = 0; i < events_.size(); ++i) {
    const Event& event = events_[i];
    if (event.what != What::kRow) continue;
    values.push_back(WithKey(event, *event.row));
    places.push_back(i);
  }
  rows::Decoded decoded = checker_->Decode(values);
  for (const rows::RowError& error : decoded.errors) {
    Event& event = events_[places[error.row]];
    event.what = What::kNothing;
    if (!event.error.empty()) continue;
    event.error = error.message;
    event.column = error.column;
  }
  size_t next = 0;
  for (std::unique_ptr<duckdb::DataChunk>& chunk : decoded.chunks) {
    const std::vector<std::string> keys = RowsAsJson(schema_, *chunk, key_columns_);
    duckdb::SelectionVector kept(chunk->size());
    size_t count = 0;
    for (size_t row = 0; row < keys.size(); ++row) {
      const size_t place = places[decoded.inputs[next++]];
      Event& event = events_[place];
      if (!debezium_ && !event.key.empty() && event.key != keys[row]) {
        event.what = What::kNothing;
        event.error = fmt::format("its key {} is not that of its row, {}", event.key, keys[row]);
        continue;
      }
      event.key = keys[row];
      kept.set_index(count++, row);
      out.row_inputs.push_back(first + static_cast<uint32_t>(place));
    }
    if (count < chunk->size()) {
      chunk->Slice(kept, count);
      chunk->Flatten();
    }
    if (count > 0) out.rows.push_back(std::move(chunk));
  }
}

void ChangeDecoder::TakeRows(uint32_t first, RowChanges& out) {
  std::vector<std::string_view> texts;
  std::vector<size_t> places;
  for (size_t i = 0; i < events_.size(); ++i) {
    const Event& event = events_[i];
    if (event.what == What::kGone) {
      texts.push_back(event.row ? WithKey(event, *event.row) : std::string_view(event.key));
    } else if (event.what == What::kRow && event.before) {
      texts.push_back(*event.before);
    } else {
      continue;
    }
    places.push_back(i);
  }
  rows::Decoded decoded = keys_.Decode(texts);
  for (const rows::RowError& error : decoded.errors) {
    // What was there before an update need not be told.
    Event& event = events_[places[error.row]];
    if (event.what != What::kGone) continue;
    if (event.error.empty()) event.error = error.message;
    event.column = error.column;
  }
  size_t next = 0;
  for (std::unique_ptr<duckdb::DataChunk>& chunk : decoded.chunks) {
    const std::vector<std::string> keys = Canonical(*chunk);
    duckdb::SelectionVector kept(chunk->size());
    size_t count = 0;
    for (size_t row = 0; row < keys.size(); ++row) {
      const size_t place = places[decoded.inputs[next++]];
      // The row that is put in takes the place of the one with its key.
      if (events_[place].what == What::kRow && events_[place].key == keys[row]) continue;
      kept.set_index(count++, row);
      out.key_inputs.push_back(first + static_cast<uint32_t>(place));
    }
    if (count < chunk->size()) {
      chunk->Slice(kept, count);
      chunk->Flatten();
    }
    if (count > 0) out.keys.push_back(std::move(chunk));
  }
}

}  // namespace millrace::runtime
