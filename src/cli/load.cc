#include "cli/load.h"

#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/random.h"
#include "cli/find_node.h"
#include "cli/input.h"
#include "cli/parquet_rows.h"
#include "rows/csv_decode.h"
#include "rows/json_split.h"

namespace millrace::cli {

namespace {

constexpr size_t kBlockBytes = 2 << 20;
constexpr int kTriesMax = 30;
constexpr size_t kRejectedShown = 5;

struct Totals {
  uint64_t rows = 0;
  uint64_t accepted = 0;
  uint64_t quarantined = 0;
  uint64_t rejected = 0;
  uint64_t repeated = 0;
};

class Loader {
 public:
  Loader(const LoadOptions& options, net::HttpClient client)
      : options_(options),
        client_(std::move(client)),
        show_(!options.quiet && isatty(STDERR_FILENO) == 1) {}

  // Before anything is read: the stream has to be there. Its columns are for notes.
  Status FindStream() {
    TRY(const net::ClientAnswer answer,
        client_.Post("/v1/sql", "application/sql", "DESCRIBE " + Quoted(options_.stream)));
    if (answer.status != 200) return ErrorOfAnswer(answer);
    simdjson::dom::parser parser;
    simdjson::dom::element document;
    simdjson::dom::array rows;
    const simdjson::padded_string padded(answer.body);
    if (parser.parse(padded).get(document) != simdjson::SUCCESS ||
        document["rows"].get(rows) != simdjson::SUCCESS) {
      return ErrorOfAnswer(answer);
    }
    for (const simdjson::dom::element row : rows) {
      std::string_view name;
      if (row.at(0).get(name) == simdjson::SUCCESS) columns_.emplace_back(name);
    }
    return Ok();
  }

  Status LoadFile(const std::string& path) {
    const std::string format = options_.format.empty() ? FormatOf(path) : options_.format;
    if (format.empty()) {
      return Error(Code::kInvalidArgument, "the format is not clear from the name")
          .Hint("say --format csv, json, ndjson or parquet");
    }
    if (path != "-") {
      TRY(const uint64_t digest, DigestOf(path));
      key_ = fmt::format("{:016x}", digest);
    } else {
      key_ = options_.id;
      if (format != "parquet" && key_.empty() && !noted_) {
        noted_ = true;
        std::fprintf(stderr,
                     "note: standard input without --id is not remembered: loading it again adds "
                     "it again\n");
      }
    }
    if (options_.again) {
      const auto now = static_cast<uint64_t>(Clock::System().Now().value);
      key_ += fmt::format("/again-{:x}", now);
    }
    block_ = 0;
    header_.clear();
    body_.clear();
    rows_in_body_ = 0;
    start_ = Tick();
    rows_before_ = totals_.rows;
    TRY(format == "parquet" ? LoadParquet(path) : LoadText(path, format));
    done_ = {};
    if (show_) std::fprintf(stderr, "\r\033[K");
    return Ok();
  }

  const Totals& totals() const { return totals_; }

 private:
  Status LoadText(const std::string& path, const std::string& format) {
    TRY(const auto input, Input::Open(path));
    done_ = [&input = *input]() -> double {
      return input.size() == 0
                 ? -1
                 : static_cast<double>(input.read()) / static_cast<double>(input.size());
    };
    TRY(format == "csv" ? LoadCsv(*input) : LoadJson(*input, format));
    return Send();
  }

  Status LoadParquet(const std::string& path) {
    if (path == "-") {
      return Error(Code::kNotSupported, "Parquet is not read from standard input")
          .Hint("a Parquet file begins at its end: write it to a file first");
    }
    content_type_ = "application/x-ndjson";
    TRY(const auto rows, ParquetRows::Open(path));
    NoteUnknown(rows->columns());
    done_ = [this, &rows = *rows]() -> double {
      return rows.row_count() == 0 ? -1
                                   : static_cast<double>(totals_.rows - rows_before_) /
                                         static_cast<double>(rows.row_count());
    };
    while (true) {
      TRY(const std::vector<std::string> lines, rows->Next());
      if (lines.empty()) return Send();
      for (const std::string& line : lines) TRY(Add(line + "\n"));
    }
  }

  void NoteUnknown(const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
      const bool known =
          std::any_of(columns_.begin(), columns_.end(),
                      [&](const std::string& column) { return rows::EqualNames(column, name); });
      if (known) continue;
      const std::string near = DidYouMean(name, columns_);
      std::fprintf(stderr, "note: stream %s has no column %s; it is kept in the records%s%s\n",
                   Quoted(options_.stream).c_str(), Quoted(name).c_str(), near.empty() ? "" : " - ",
                   near.c_str());
    }
  }

  Status LoadCsv(Input& input) {
    content_type_ = "text/csv";
    rows::CsvReader reader{rows::CsvOptions{}};
    const auto take = [&](const rows::CsvReader::Record& record) -> Status {
      std::string line;
      for (size_t i = 0; i < record.fields.size(); ++i) {
        if (i > 0) line += ',';
        const auto& field = record.fields[i];
        const bool quote =
            field.quoted || field.text.find_first_of(",\"\r\n") != std::string_view::npos;
        if (!quote) {
          line += field.text;
          continue;
        }
        line += '"';
        for (char c : field.text) {
          if (c == '"') line += '"';
          line += c;
        }
        line += '"';
      }
      line += '\n';
      if (header_.empty()) {
        header_ = std::move(line);
        std::vector<std::string> names;
        for (const auto& field : record.fields) names.emplace_back(field.text);
        NoteUnknown(names);
        return Ok();
      }
      return Add(line);
    };
    while (true) {
      TRY(const std::string piece, input.Next());
      if (piece.empty()) break;
      TRY(reader.Feed(piece, take));
    }
    return reader.Finish(take);
  }

  Status LoadJson(Input& input, const std::string& format) {
    content_type_ = "application/x-ndjson";
    rows::JsonSplitter splitter(format == "ndjson" ? rows::JsonBody::kLines : rows::JsonBody::kAny);
    const auto take = [&](const std::vector<std::string_view>& rows) -> Status {
      for (std::string_view row : rows) {
        std::string line(row);
        // An object of a JSON file may span lines; within one every line end is white space.
        std::replace(line.begin(), line.end(), '\n', ' ');
        TRY(Add(line + "\n"));
      }
      return Ok();
    };
    while (true) {
      TRY(const std::string piece, input.Next());
      if (piece.empty()) break;
      TRY(const auto rows, splitter.Feed(piece));
      TRY(take(rows));
    }
    TRY(const auto rows, splitter.Finish());
    return take(rows);
  }

  Status Add(const std::string& line) {
    body_ += line;
    ++rows_in_body_;
    return body_.size() >= kBlockBytes ? Send() : Ok();
  }

  Status Send() {
    if (rows_in_body_ == 0) return Ok();
    net::ClientRequest request;
    request.method = "POST";
    request.target = "/v1/streams/" + PercentEncoded(options_.stream);
    request.headers = {{"Content-Type", content_type_}, {"X-Millrace-Source", "load"}};
    if (!key_.empty()) {
      request.headers.emplace_back("Idempotency-Key", fmt::format("{}/{}", key_, block_));
      request.headers.emplace_back("Idempotency-Scope", "stream");
    }
    request.body = header_ + body_;
    Random jitter(static_cast<uint64_t>(Clock::System().Now().value));
    for (int attempt = 1;; ++attempt) {
      auto answer = client_.Send(request);
      const bool again =
          answer.ok() ? (answer->status == 429 || answer->status == 503) : !key_.empty();
      if (!again || attempt == kTriesMax) {
        if (!answer.ok()) return answer.error();
        if (answer->status != 200 && answer->status != 422) return ErrorOfAnswer(*answer);
        TRY(Count(*answer));
        break;
      }
      // The key makes a repeat harmless, whatever became of the first try.
      client_.Close();
      std::this_thread::sleep_for(
          std::chrono::milliseconds(std::min(2000, 50 << std::min(attempt, 6)) + jitter.Below(50)));
    }
    ++block_;
    body_.clear();
    rows_in_body_ = 0;
    Progress();
    return Ok();
  }

  Status Count(const net::ClientAnswer& answer) {
    simdjson::dom::parser parser;
    simdjson::dom::element document;
    const simdjson::padded_string padded(answer.body);
    uint64_t accepted = 0;
    if (parser.parse(padded).get(document) != simdjson::SUCCESS ||
        document["accepted"].get(accepted) != simdjson::SUCCESS) {
      return ErrorOfAnswer(answer);
    }
    const auto number = [&](const char* name) {
      uint64_t value = 0;
      return document[name].get(value) == simdjson::SUCCESS ? value : 0;
    };
    bool repeated = false;
    totals_.rows += rows_in_body_;
    if (document["repeated"].get(repeated) == simdjson::SUCCESS && repeated) {
      totals_.repeated += rows_in_body_;
      return Ok();
    }
    ShowRejected(document);
    totals_.accepted += accepted;
    totals_.quarantined += number("quarantined");
    totals_.rejected += number("rejected_count");
    return Ok();
  }

  // The first few: where the row stands in its file, and what is wrong with it.
  void ShowRejected(simdjson::dom::element document) {
    simdjson::dom::array rejected;
    if (document["rejected"].get(rejected) != simdjson::SUCCESS) return;
    for (const simdjson::dom::element item : rejected) {
      uint64_t row = 0;
      std::string_view error;
      if (rejected_shown_ == kRejectedShown || item["row"].get(row) != simdjson::SUCCESS ||
          item["error"].get(error) != simdjson::SUCCESS) {
        return;
      }
      ++rejected_shown_;
      const uint64_t in_file = totals_.rows - rows_in_body_ - rows_before_ + row + 1;
      std::fprintf(stderr, "%srejected: row %llu: %s\n", show_ ? "\r\033[K" : "",
                   static_cast<unsigned long long>(in_file), std::string(error).c_str());
    }
  }

  void Progress() {
    if (!show_) return;
    const double seconds = SecondsSince(start_);
    const double rate = static_cast<double>(totals_.rows - rows_before_) / std::max(seconds, 1e-3);
    std::string line =
        fmt::format("\r\033[K{} rows  {:.0f} rows/s", totals_.rows - rows_before_, rate);
    if (const double done = std::min(done_(), 1.0); done >= 0) {
      constexpr int kWidth = 30;
      const auto filled = static_cast<size_t>(done * kWidth);
      line += fmt::format("  [{}{}] {:3.0f} %  {:.0f} s left", std::string(filled, '#'),
                          std::string(kWidth - filled, '.'), done * 100,
                          seconds / std::max(done, 1e-3) - seconds);
    }
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
  }

  const LoadOptions& options_;
  net::HttpClient client_;
  const bool show_;
  Totals totals_;
  std::vector<std::string> columns_;  // of the stream
  // Part of the file that is through, negative: not known. Looks at what reads the file, so it is
  // there only while that is.
  std::function<double()> done_;
  uint64_t rows_before_ = 0;  // of the files before
  size_t rejected_shown_ = 0;
  bool noted_ = false;
  std::chrono::steady_clock::time_point start_;
  std::string key_;
  uint64_t block_ = 0;
  std::string content_type_;
  std::string header_;
  std::string body_;
  uint64_t rows_in_body_ = 0;
};

}  // namespace

namespace {

std::string Summary(const Totals& totals, double seconds) {
  std::string text = fmt::format("{} rows in {:.1f} s: {} new, {} known already", totals.rows,
                                 seconds, totals.accepted + totals.quarantined, totals.repeated);
  if (totals.quarantined > 0) {
    text += fmt::format(", {} of the new ones in quarantine", totals.quarantined);
  }
  if (totals.rejected > 0) text += fmt::format(", {} rejected", totals.rejected);
  return text;
}

}  // namespace

Status Load(const LoadOptions& options) {
  TRY(net::HttpClient client, FindNode(options.node));
  Loader loader(options, std::move(client));
  TRY(loader.FindStream());
  const auto start = Tick();
  for (const std::string& path : options.files) {
    Status loaded = loader.LoadFile(path).With("load " + path);
    if (loaded.ok()) continue;
    if (loader.totals().rows > 0) {
      std::fprintf(stderr, "stopped after %s\n",
                   Summary(loader.totals(), SecondsSince(start)).c_str());
    }
    return loaded;
  }
  std::printf("%s\n", Summary(loader.totals(), SecondsSince(start)).c_str());
  return Ok();
}

Status Replay(const std::string& stream, const NodeFlags& node) {
  TRY(net::HttpClient client, FindNode(node));
  std::string quoted = Quoted(stream);
  TRY(const net::ClientAnswer answer,
      client.Post("/v1/sql", "application/sql", "REPLAY STREAM " + quoted));
  if (answer.status != 200) return ErrorOfAnswer(answer);
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const simdjson::padded_string padded(answer.body);
  int64_t affected = 0;
  if (parser.parse(padded).get(document) != simdjson::SUCCESS ||
      document["affected"].get(affected) != simdjson::SUCCESS) {
    return ErrorOfAnswer(answer);
  }
  std::printf("%lld rows sent again\n", static_cast<long long>(affected));
  return Ok();
}

}  // namespace millrace::cli
