#include "runtime/ledger.h"

namespace millrace::runtime {

namespace {
struct StreamEntry {
  catalog::Kind kind;
  std::string name;
  StreamBooks books;
  int64_t appended = 0;
};

// Streams, and tables of topics: these too read records that others append.
std::vector<StreamEntry> Streams(const Published& published) {
  std::vector<StreamEntry> out;
  for (const catalog::Object* object : published.catalog->InOrder()) {
    const catalog::TableDefinition* table = catalog::TableOfTopic(*object);
    if (object->kind() != catalog::Kind::kStream && table == nullptr) continue;
    const catalog::Object* stream =
        table == nullptr ? object : published.catalog->Find(catalog::Kind::kStream, table->topic);
    if (stream == nullptr) continue;  // the catalog has refused it
    StreamEntry entry{object->kind(), object->name(), {}, 0};
    const auto books = published.state.books.find(InternalName(*object));
    if (books != published.state.books.end()) entry.books = books->second;
    for (const auto& [edge, counts] : published.state.door) {
      if (edge.first == stream->kept_as()) entry.appended += counts.appended;
    }
    out.push_back(std::move(entry));
  }
  return out;
}

std::string StreamOf(const Published& published, const std::string& identity) {
  return UserNameOf(*published.catalog, catalog::Kind::kStream, identity);
}

struct ReadEntry {
  std::string stream;
  std::string view;
  stream::ReadCounts counts;
};

std::vector<ReadEntry> Reads(const Published& published) {
  const std::map<std::string, std::string> names = UserNames(*published.catalog);
  std::vector<ReadEntry> out;
  for (const auto& [edge, counts] : published.state.reads) {
    const auto stream = names.find(edge.first);
    const auto view = names.find(edge.second);
    if (stream == names.end() || view == names.end()) continue;  // replaced in this very step
    out.push_back({stream->second, view->second, counts});
  }
  return out;
}
}  // namespace

std::vector<LedgerLine> LedgerOf(const Published& published) {
  std::vector<LedgerLine> lines;
  for (const auto& [edge, counts] : published.state.door) {
    const std::string name = fmt::format("{} → {}", edge.second, StreamOf(published, edge.first));
    lines.push_back({name, "sent", counts.sent});
    lines.push_back({name, "appended", counts.appended});
    lines.push_back({name, "repeated", counts.repeated});
    lines.push_back({name, "rejected", counts.rejected});
  }
  for (const StreamEntry& stream : Streams(published)) {
    const StreamBooks& books = stream.books;
    const std::string name = fmt::format("log → {}", stream.name);
    lines.push_back({name, "records", books.records});
    lines.push_back({name, "recovered", std::max<int64_t>(0, books.records - stream.appended)});
    lines.push_back({name, "in flight", std::max<int64_t>(0, stream.appended - books.records)});
    lines.push_back({name, "rows", books.rows});
    lines.push_back({name, "duplicates", books.duplicates});
    lines.push_back({name, "late kept", books.late_kept});
    lines.push_back({name, "late diverted", books.late_diverted});
    lines.push_back({name, "invalid", books.invalid});
    lines.push_back({name, "aborted", books.aborted});
  }
  for (const ReadEntry& read : Reads(published)) {
    const std::string name = fmt::format("{} → {}", read.stream, read.view);
    lines.push_back({name, "rows", read.counts.rows});
    lines.push_back({name, "used", read.counts.used});
    lines.push_back({name, "filtered", read.counts.filtered});
    lines.push_back({name, "failed", read.counts.failed});
  }
  return lines;
}

Status CheckBooks(const Published& published) {
  for (const auto& [edge, counts] : published.state.door) {
    if (counts.sent == counts.appended + counts.repeated + counts.rejected) continue;
    return Error(Code::kInternal,
                 "the books of {} → {} do not balance: sent {} is not appended {} + repeated {} + "
                 "rejected {}",
                 edge.second, StreamOf(published, edge.first), counts.sent, counts.appended,
                 counts.repeated, counts.rejected);
  }
  for (const StreamEntry& stream : Streams(published)) {
    const StreamBooks& books = stream.books;
    if (books.records ==
        books.rows + books.duplicates + books.late_diverted + books.invalid + books.aborted)
      continue;
    return Error(Code::kInternal,
                 "the books of {} {} do not balance: records {} is not rows {} + duplicates {} "
                 "+ late diverted {} + invalid {} + aborted {}",
                 catalog::KindName(stream.kind), stream.name, books.records, books.rows,
                 books.duplicates, books.late_diverted, books.invalid, books.aborted);
  }
  for (const ReadEntry& read : Reads(published)) {
    const stream::ReadCounts& counts = read.counts;
    if (counts.rows == counts.used + counts.filtered + counts.failed) continue;
    return Error(
        Code::kInternal,
        "the books of {} → {} do not balance: rows {} is not used {} + filtered {} + failed {}",
        read.stream, read.view, counts.rows, counts.used, counts.filtered, counts.failed);
  }
  return Ok();
}

}  // namespace millrace::runtime
