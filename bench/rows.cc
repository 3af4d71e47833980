// What a row costs at each of its borders, in CPU time of one core: JSON in and out, keys, the row
// codec, consolidation.
//
//   bench_rows [--rows N]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/check.h"
#include "rows/csv_decode.h"
#include "rows/decode.h"
#include "rows/encode.h"
#include "rows/json_split.h"
#include "rows/key.h"
#include "rows/row_codec.h"

namespace {

using duckdb::LogicalType;
namespace rows = millrace::rows;

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The best of several rounds: the others were disturbed.
void Measure(const std::string& name, size_t count, size_t bytes,
             const std::function<void()>& run) {
  run();
  double best = std::numeric_limits<double>::max();
  for (int round = 0; round < 7; ++round) {
    const double begin = CpuSeconds();
    run();
    best = std::min(best, CpuSeconds() - begin);
  }
  fmt::print("{:<36} {:>8.2f} million rows/s {:>9.1f} ns/row", name,
             static_cast<double>(count) / best / 1e6, best / static_cast<double>(count) * 1e9);
  if (bytes > 0) fmt::print(" {:>7.2f} GB/s", static_cast<double>(bytes) / best / 1e9);
  fmt::print("\n");
}

// A bid of an auction, as the Nexmark benchmark has it.
rows::Schema Bids() {
  rows::Schema schema;
  schema.columns = {{"auction", LogicalType::BIGINT, true, std::nullopt, 1},
                    {"bidder", LogicalType::BIGINT, true, std::nullopt, 2},
                    {"price", LogicalType::BIGINT, true, std::nullopt, 3},
                    {"channel", LogicalType::VARCHAR, false, std::nullopt, 4},
                    {"date_time", LogicalType::TIMESTAMP, true, std::nullopt, 5}};
  return schema;
}

std::string BidJson(size_t i) {
  return fmt::format(
      R"({{"auction":{},"bidder":{},"price":{},"channel":"channel-{}","date_time":"2024-03-01T10:{}:{}.123Z"}})",
      1000 + i % 977, i * 7 % 100003, i * 31 % 1000000, i % 1000, 10 + i % 50, 10 + i % 50);
}

void MeasureKeys(rows::Batch& batch, const std::string& name, const std::vector<size_t>& columns) {
  std::vector<std::unique_ptr<duckdb::DataChunk>> keys;
  for (auto& part : batch.parts) {
    rows::Types types;
    for (const size_t c : columns) types.push_back(part.rows->data[c].GetType());
    auto chunk = std::make_unique<duckdb::DataChunk>();
    chunk->InitializeEmpty(types);
    for (size_t i = 0; i < columns.size(); ++i) {
      chunk->data[i].Reference(part.rows->data[columns[i]]);
    }
    chunk->SetCardinality(part.rows->size());
    keys.push_back(std::move(chunk));
  }
  rows::KeyEncoder encoder;
  Measure(name, batch.row_count(), 0, [&] {
    for (auto& chunk : keys) encoder.Encode(*chunk);
  });
}

void MeasureIn(const std::vector<std::string>& texts, const std::string& lines) {
  const rows::Schema schema = Bids();
  const std::vector<std::string_view> values(texts.begin(), texts.end());
  rows::JsonDecoder all(schema, {0, 1, 2, 3, 4});
  Measure("JSON in, 5 columns", texts.size(), lines.size(),
          [&] { CHECK(all.Decode(values).errors.empty()) << "bad rows"; });
  rows::JsonDecoder some(schema, {0, 2});
  Measure("JSON in, 2 of 5 columns", texts.size(), lines.size(),
          [&] { CHECK(some.Decode(values).errors.empty()) << "bad rows"; });
  const size_t single = texts.size() / 8;
  Measure("JSON in, row by row", single, 0, [&] {
    for (size_t i = 0; i < single; ++i) {
      CHECK(all.Decode({&values[i], 1}).errors.empty()) << "bad row";
    }
  });
  for (const auto body : {rows::JsonBody::kLines, rows::JsonBody::kAny}) {
    Measure(body == rows::JsonBody::kLines ? "split lines" : "split any JSON", texts.size(),
            lines.size(), [&] {
              rows::JsonSplitter splitter(body);
              CHECK(splitter.Feed(lines).value().size() == texts.size()) << "rows are missing";
            });
  }
}

void MeasureOut(rows::Batch& batch) {
  const rows::Schema schema = Bids();
  rows::RowWriter writer(schema.names());
  std::string out;
  const auto write = [&](auto&& row) {
    out.clear();
    for (auto& part : batch.parts) {
      writer.Bind(*part.rows);
      for (size_t r = 0; r < part.rows->size(); ++r) row(r);
    }
  };
  write([&](size_t r) { writer.JsonObject(r, out); });
  const size_t json_bytes = out.size();
  Measure("JSON out, 5 columns", batch.row_count(), json_bytes,
          [&] { write([&](size_t r) { writer.JsonObject(r, out); }); });
  Measure("CSV out, 5 columns", batch.row_count(), 0,
          [&] { write([&](size_t r) { writer.CsvRow(r, out); }); });
  const std::string csv = "auction,bidder,price,channel,date_time\n" + out;
  Measure("CSV in, 5 columns", batch.row_count(), csv.size(), [&] {
    rows::CsvDecoder decoder(schema);
    CHECK(decoder.Feed(csv).value().errors.empty()) << "bad rows";
  });
}

void MeasureCodec(rows::Batch& batch) {
  const rows::Types types = Bids().types();
  rows::RowEncoder encoder(types);
  Measure("row codec, encode 5 columns", batch.row_count(), 0, [&] {
    for (auto& part : batch.parts) encoder.Encode(*part.rows);
  });
  std::vector<std::string> encoded;
  for (auto& part : batch.parts) {
    for (const auto row : encoder.Encode(*part.rows)) encoded.emplace_back(row);
  }
  const std::vector<std::string_view> views(encoded.begin(), encoded.end());
  rows::RowDecoder decoder(types);
  Measure("row codec, decode 5 columns", views.size(), 0, [&] {
    rows::BatchBuilder builder(types);
    for (size_t i = 0; i < views.size(); i += STANDARD_VECTOR_SIZE) {
      const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, views.size() - i);
      duckdb::DataChunk& chunk = builder.Room(count);
      decoder.Decode({views.data() + i, count}, chunk, chunk.size()).value();
      builder.Commit(count, nullptr);
    }
  });
  Measure("consolidate, nothing to merge", batch.row_count(), 0,
          [&] { rows::Consolidate(batch, types); });
  Measure("consolidate and sort", batch.row_count(), 0,
          [&] { rows::ConsolidateSorted(batch, types); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What a row costs at each of its borders");
  size_t count = 65'536;
  app.add_option("--rows", count, "rows per round")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  std::vector<std::string> texts;
  std::string lines;
  for (size_t i = 0; i < count; ++i) {
    texts.push_back(BidJson(i));
    lines += texts.back() + "\n";
  }
  MeasureIn(texts, lines);

  rows::JsonDecoder decoder(Bids(), {0, 1, 2, 3, 4});
  const std::vector<std::string_view> values(texts.begin(), texts.end());
  rows::Decoded decoded = decoder.Decode(values);
  rows::Batch batch;
  for (auto& chunk : decoded.chunks) {
    batch.parts.push_back({std::shared_ptr<duckdb::DataChunk>(std::move(chunk)), {}});
  }
  MeasureOut(batch);
  MeasureKeys(batch, "key, 1 BIGINT", {0});
  MeasureKeys(batch, "key, 2 BIGINT", {0, 1});
  MeasureKeys(batch, "key, VARCHAR", {3});
  MeasureKeys(batch, "key, BIGINT and VARCHAR", {0, 3});
  MeasureCodec(batch);
  return 0;
}
