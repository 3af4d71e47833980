#include "cli/load.h"

#include <fcntl.h>
#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "base/clock.h"
#include "base/coding.h"
#include "base/decompress.h"
#include "base/random.h"
#include "cli/find_node.h"
#include "rows/csv_decode.h"
#include "rows/json_split.h"

namespace millrace::cli {

namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kBlockBytes = 2 << 20;
constexpr int kTriesMax = 30;

struct Totals {
  uint64_t rows = 0;
  uint64_t accepted = 0;
  uint64_t quarantined = 0;
  uint64_t rejected = 0;
  uint64_t repeated = 0;
};

// Unpacked bytes of a file or standard input, and how much of the packed ones was read.
class Input {
 public:
  static Result<std::unique_ptr<Input>> Open(const std::string& path) {
    const int descriptor = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return Error(Code::kNotFound, "open {}: {}", path, std::strerror(errno));
    auto input = std::unique_ptr<Input>(new Input(path, descriptor));
    const off_t size = ::lseek(descriptor, 0, SEEK_END);
    if (size > 0 && ::lseek(descriptor, 0, SEEK_SET) == 0) input->size_ = static_cast<uint64_t>(size);
    return input;
  }
  ~Input() {
    if (descriptor_ != STDIN_FILENO) ::close(descriptor_);
  }
  // The next piece; empty at the end.
  Result<std::string> Next() {
    std::string out;
    std::string raw(kReadBytes, '\0');
    while (out.empty() && !ended_) {
      const ssize_t got = ::read(descriptor_, raw.data(), raw.size());
      if (got < 0) return Error(Code::kIo, "read {}: {}", path_, std::strerror(errno));
      read_ += static_cast<uint64_t>(got);
      const std::string_view piece(raw.data(), static_cast<size_t>(got));
      if (got == 0) ended_ = true;
      if (!unpacker_ && got > 0) unpacker_.emplace(DetectCompression(piece), UINT64_MAX);
      const auto sink = [&](std::string_view bytes) -> Status {
        out.append(bytes);
        return Ok();
      };
      if (!unpacker_) break;
      if (ended_) {
        TRY(unpacker_->Finish().With(path_));
      } else {
        TRY(unpacker_->Feed(piece, sink).With(path_));
      }
    }
    return out;
  }
  uint64_t read() const { return read_; }
  uint64_t size() const { return size_; }

 private:
  Input(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  const std::string path_;
  const int descriptor_;
  std::optional<Decompressor> unpacker_;
  bool ended_ = false;
  uint64_t read_ = 0;
  uint64_t size_ = 0;
};

// The digest that names a file: of its packed bytes.
Result<uint64_t> DigestOf(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return Error(Code::kNotFound, "open {}: {}", path, std::strerror(errno));
  std::string buffer(kReadBytes, '\0');
  uint64_t digest = 0;
  while (true) {
    const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got < 0) {
      ::close(descriptor);
      return Error(Code::kIo, "read {}: {}", path, std::strerror(errno));
    }
    if (got == 0) break;
    digest = StableHash(std::string_view(buffer.data(), static_cast<size_t>(got)), digest);
  }
  ::close(descriptor);
  return digest;
}

std::string FormatOf(const std::string& path) {
  std::string name = path;
  for (const char* packed : {".zst", ".gz"}) {
    if (name.ends_with(packed)) name.resize(name.size() - std::strlen(packed));
  }
  if (name.ends_with(".csv")) return "csv";
  if (name.ends_with(".ndjson") || name.ends_with(".jsonl")) return "ndjson";
  if (name.ends_with(".json")) return "json";
  return "";
}

class Loader {
 public:
  Loader(const LoadOptions& options, net::HttpClient client)
      : options_(options), client_(std::move(client)), show_(!options.quiet && isatty(STDERR_FILENO) == 1) {}

  Status LoadFile(const std::string& path) {
    const std::string format = options_.format.empty() ? FormatOf(path) : options_.format;
    if (format == "parquet") return Error(Code::kNotSupported, "{}: Parquet is not read by load yet", path);
    if (format != "csv" && format != "json" && format != "ndjson") {
      return Error(Code::kInvalidArgument, "{}: the format is not clear from the name", path).Hint("say --format csv, json or ndjson");
    }
    if (path != "-") {
      TRY(const uint64_t digest, DigestOf(path));
      key_ = fmt::format("{:016x}", digest);
    } else {
      key_ = options_.id;
      if (key_.empty()) std::fprintf(stderr, "note: standard input without --id is not remembered: loading it again adds it again\n");
    }
    if (options_.again) key_ += fmt::format("/again-{:x}", static_cast<uint64_t>(Clock::System().Now().value));
    block_ = 0;
    header_.clear();
    body_.clear();
    start_ = Tick();
    TRY(auto input, Input::Open(path));
    input_ = input.get();
    if (format == "csv") {
      TRY(LoadCsv(*input));
    } else {
      TRY(LoadJson(*input, format));
    }
    TRY(Send());
    if (show_) std::fprintf(stderr, "\r\033[K");
    return Ok();
  }

  const Totals& totals() const { return totals_; }

 private:
  Status LoadCsv(Input& input) {
    content_type_ = "text/csv";
    rows::CsvReader reader{rows::CsvOptions{}};
    const auto take = [&](const rows::CsvReader::Record& record) -> Status {
      std::string line;
      for (size_t i = 0; i < record.fields.size(); ++i) {
        if (i > 0) line += ',';
        const auto& field = record.fields[i];
        const bool quote = field.quoted || field.text.find_first_of(",\"\r\n") != std::string_view::npos;
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
    request.target = "/v1/streams/" + options_.stream;
    request.headers = {{"Content-Type", content_type_}, {"X-Millrace-Source", "load"}};
    if (!key_.empty()) {
      request.headers.emplace_back("Idempotency-Key", fmt::format("{}/{}", key_, block_));
      request.headers.emplace_back("Idempotency-Scope", "stream");
    }
    request.body = header_ + body_;
    Random jitter(static_cast<uint64_t>(Clock::System().Now().value));
    for (int attempt = 1;; ++attempt) {
      auto answer = client_.Send(request);
      const bool again = answer.ok() ? (answer->status == 429 || answer->status == 503) : !key_.empty();
      if (!again || attempt == kTriesMax) {
        if (!answer.ok()) return answer.error();
        if (answer->status != 200 && answer->status != 422) return ErrorOfAnswer(*answer);
        TRY(Count(*answer));
        break;
      }
      // The key makes a repeat harmless, whatever became of the first try.
      client_.Close();
      std::this_thread::sleep_for(std::chrono::milliseconds(std::min(2000, 50 << std::min(attempt, 6)) + jitter.Below(50)));
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
    if (parser.parse(padded).get(document) != simdjson::SUCCESS || document["accepted"].get(accepted) != simdjson::SUCCESS) {
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
    totals_.accepted += accepted;
    totals_.quarantined += number("quarantined");
    totals_.rejected += number("rejected_count");
    return Ok();
  }

  void Progress() {
    if (!show_) return;
    const double seconds = SecondsSince(start_);
    const double rate = static_cast<double>(totals_.rows) / std::max(seconds, 1e-3);
    std::string line = fmt::format("\r\033[K{} rows  {:.0f} rows/s", totals_.rows, rate);
    if (input_->size() > 0) {
      const double done = static_cast<double>(input_->read()) / static_cast<double>(input_->size());
      constexpr int kWidth = 30;
      const int filled = static_cast<int>(done * kWidth);
      line += fmt::format("  [{}{}] {:3.0f} %  {:.0f} s left", std::string(static_cast<size_t>(filled), '#'),
                          std::string(static_cast<size_t>(kWidth - filled), '.'), done * 100, seconds / std::max(done, 1e-3) - seconds);
    }
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
  }

  const LoadOptions& options_;
  net::HttpClient client_;
  const bool show_;
  Totals totals_;
  Input* input_ = nullptr;
  std::chrono::steady_clock::time_point start_;
  std::string key_;
  uint64_t block_ = 0;
  std::string content_type_;
  std::string header_;
  std::string body_;
  uint64_t rows_in_body_ = 0;
};

}  // namespace

Status Load(const LoadOptions& options) {
  TRY(net::HttpClient client, FindNode(options.url));
  Loader loader(options, std::move(client));
  const auto start = Tick();
  for (const std::string& path : options.files) TRY(loader.LoadFile(path).With("load " + path));
  const Totals& totals = loader.totals();
  std::string text = fmt::format("{} rows in {:.1f} s: {} new, {} known already", totals.rows, SecondsSince(start),
                                 totals.accepted + totals.quarantined, totals.repeated);
  if (totals.quarantined > 0) text += fmt::format(", {} of the new ones in quarantine", totals.quarantined);
  if (totals.rejected > 0) text += fmt::format(", {} rejected", totals.rejected);
  std::printf("%s\n", text.c_str());
  return Ok();
}

Status Replay(const std::string& stream, const std::string& url) {
  TRY(net::HttpClient client, FindNode(url));
  std::string quoted = Quoted(stream);
  TRY(const net::ClientAnswer answer, client.Post("/v1/sql", "application/sql", "REPLAY STREAM " + quoted));
  if (answer.status != 200) return ErrorOfAnswer(answer);
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const simdjson::padded_string padded(answer.body);
  int64_t affected = 0;
  if (parser.parse(padded).get(document) != simdjson::SUCCESS || document["affected"].get(affected) != simdjson::SUCCESS) {
    return ErrorOfAnswer(answer);
  }
  std::printf("%lld rows sent again\n", static_cast<long long>(affected));
  return Ok();
}

}  // namespace millrace::cli
