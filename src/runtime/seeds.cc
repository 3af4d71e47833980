#include "runtime/seeds.h"

#include "base/coding.h"
#include "ingest/row_checker.h"
#include "rows/csv_decode.h"

namespace millrace::runtime {

Status Seeds::Check(const catalog::Catalog& catalog, const catalog::TableDefinition& table) {
  TRY(const std::string text, Read(table).With(ContextOf(table)));
  const auto rows = Decode(catalog, table, text).With(ContextOf(table));
  return rows.ok() ? Ok() : Status(rows.error());
}

Status Seeds::Apply(const catalog::Catalog& catalog) {
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kTable)) {
    const auto& table = std::get<catalog::TableDefinition>(object->definition);
    if (table.seed.empty()) continue;
    const std::string context = ContextOf(table);
    TRY(const std::string text, Read(table).With(context));
    // A table that is dropped and made again has another generation, so it is filled anew.
    const std::string note_path = fmt::format("{}/{}", directory_, object->generation);
    const std::string note = fmt::format("{} {:016x}", text.size(), StableHash(text));
    TRY(const bool noted, files_.Exists(note_path));
    if (noted) {
      TRY(const std::string before, files_.ReadAll(note_path));
      if (before == note) continue;
    }
    TRY(const TableWriter::Chunks rows, Decode(catalog, table, text).With(context));
    TRY(writer_.Upsert(table.name, rows).With(context));
    TRY(files_.CreateDirectories(directory_));
    TRY(files_.Replace(note_path, note).With(context));
  }
  return Ok();
}

std::string Seeds::ContextOf(const catalog::TableDefinition& table) const {
  return fmt::format("seed table {} from {}", Quoted(table.name), table.seed);
}

Result<std::string> Seeds::Read(const catalog::TableDefinition& table) {
  const bool absolute = table.seed.starts_with('/');
  return Files::System().ReadAll(absolute ? table.seed : project_directory_ + "/" + table.seed);
}

Result<TableWriter::Chunks> Seeds::Decode(const catalog::Catalog& catalog,
                                          const catalog::TableDefinition& table,
                                          const std::string& text) {
  TRY(const auto checker, ingest::RowChecker::Make(catalog, table.schema, table.checks, database_));
  rows::CsvToJson reader(table.schema);
  TableWriter::Chunks chunks;
  size_t rows_before = 0;
  const auto take = [&](const rows::CsvToJson::Rows& read) -> Status {
    if (!read.errors.empty()) {
      return Error(Code::kInvalidArgument, "row {}: {}", read.errors[0].row + 1,
                   read.errors[0].message);
    }
    rows::Decoded decoded = checker->Decode(read.values());
    if (!decoded.errors.empty()) {
      return Error(Code::kInvalidArgument, "row {}: {}", rows_before + decoded.errors[0].row + 1,
                   decoded.errors[0].message);
    }
    rows_before += read.values().size();
    for (auto& chunk : decoded.chunks) chunks.push_back(std::move(chunk));
    return Ok();
  };
  TRY(const rows::CsvToJson::Rows first, reader.Feed(text));
  TRY(take(first));
  TRY(const rows::CsvToJson::Rows last, reader.Finish());
  TRY(take(last));
  return chunks;
}

}  // namespace millrace::runtime
