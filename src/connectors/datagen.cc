#include "connectors/datagen.h"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/logging.h"
#include "base/random.h"

namespace millrace::connectors {

namespace {

constexpr double kRowsPerSecondMax = 1'000'000;
constexpr std::chrono::milliseconds kTick{20};

struct Options {
  double rows_per_second = 10;
  uint64_t rows = UINT64_MAX;  // all together
  uint64_t seed = 1;
};

Result<Options> ParseOptions(const catalog::SourceDefinition& definition) {
  Options options;
  const auto parse = [&](const std::string& name, auto& value) -> Status {
    const std::string& text = definition.options.at(name);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return Ok();
    return Error(Code::kInvalidArgument, "datagen: {} = {} is no number", name, Quoted(text));
  };
  for (const auto& [name, value] : definition.options) {
    if (name == "rows_per_second") {
      TRY(parse(name, options.rows_per_second));
    } else if (name == "rows") {
      TRY(parse(name, options.rows));
    } else if (name == "seed") {
      TRY(parse(name, options.seed));
    } else {
      return Error(Code::kInvalidArgument, "datagen has no option {}", Quoted(name))
          .Hint(DidYouMean(name, {"rows_per_second", "rows", "seed"}));
    }
  }
  if (!(options.rows_per_second > 0 && options.rows_per_second <= kRowsPerSecondMax)) {
    return Error(Code::kInvalidArgument,
                 "datagen: rows_per_second must lie above 0 and at most at {}", kRowsPerSecondMax);
  }
  return options;
}

// The JSON text of one random value of the column.
std::string RandomValue(const rows::Column& column, Random& random, Micros now) {
  using Type = duckdb::LogicalTypeId;
  static constexpr const char* kWords[] = {"alder", "birch", "cedar", "elm",   "hazel",
                                           "larch", "maple", "oak",   "rowan", "willow"};
  switch (column.type.id()) {
    case Type::BOOLEAN:
      return random.OneIn(2) ? "true" : "false";
    case Type::TINYINT:
    case Type::UTINYINT:
      return std::to_string(random.Below(100));
    case Type::SMALLINT:
    case Type::USMALLINT:
      return std::to_string(random.Below(1000));
    case Type::INTEGER:
    case Type::UINTEGER:
    case Type::BIGINT:
    case Type::UBIGINT:
    case Type::HUGEINT:
    case Type::UHUGEINT:
      return std::to_string(random.Below(10'000));
    case Type::FLOAT:
    case Type::DOUBLE:
      return fmt::format("{}.{:02}", random.Below(100), random.Below(100));
    case Type::DECIMAL: {
      const uint8_t scale = duckdb::DecimalType::GetScale(column.type);
      const uint8_t whole = duckdb::DecimalType::GetWidth(column.type) - scale;
      const uint64_t bound = whole >= 3 ? 1000 : whole == 2 ? 100 : whole == 1 ? 10 : 1;
      std::string text = std::to_string(random.Below(bound));
      if (scale > 0) text += fmt::format(".{}", random.Below(10));
      return text;
    }
    case Type::DATE:
      return '"' +
             duckdb::Date::ToString(duckdb::Timestamp::GetDate(duckdb::timestamp_t(now.value))) +
             '"';
    case Type::TIMESTAMP:
    case Type::TIMESTAMP_TZ:
      return '"' + duckdb::Timestamp::ToString(duckdb::timestamp_t(now.value)) + '"';
    case Type::UUID: {
      const duckdb::hugeint_t value(static_cast<int64_t>(random.Next()), random.Next());
      return '"' + duckdb::UUID::ToString(value) + '"';
    }
    case Type::ENUM:
      return '"' +
             duckdb::EnumType::GetString(column.type,
                                         random.Below(duckdb::EnumType::GetSize(column.type)))
                 .GetString() +
             '"';
    case Type::VARCHAR:
      return fmt::format("\"{}\"", kWords[random.Below(std::size(kWords))]);
    default:
      return "null";
  }
}

class Datagen final : public Source {
 public:
  Datagen(Options options, const catalog::StreamDefinition& stream, ingest::Ingest& ingest)
      : options_(options), stream_(stream), ingest_(ingest), thread_([this] { Run(); }) {}
  ~Datagen() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      wake_.notify_one();
    }
    thread_.join();
  }

 private:
  void Run() {
    Random random(options_.seed);
    double owed = 0;
    auto last = Tick();
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kTick, [&] { return stop_; }) && options_.rows > 0) {
      owed =
          std::min(owed + SecondsSince(last) * options_.rows_per_second, options_.rows_per_second);
      last = Tick();
      const auto count = std::min<uint64_t>(static_cast<uint64_t>(owed), options_.rows);
      if (count == 0) continue;
      lock.unlock();
      if (Send(count, random)) {
        owed -= static_cast<double>(count);
        options_.rows -= count;
      }
      lock.lock();
    }
  }

  bool Send(uint64_t count, Random& random) {
    const Micros now = Clock::System().Now();
    auto texts = std::make_shared<std::vector<std::string>>();
    ingest::Request request;
    request.stream = stream_.name;
    request.source = "datagen";
    for (uint64_t i = 0; i < count; ++i) {
      std::string text = "{";
      for (const rows::Column& column : stream_.schema.columns) {
        text += fmt::format("{}\"{}\":{}", text.size() > 1 ? "," : "", column.name,
                            RandomValue(column, random, now));
      }
      texts->push_back(text + "}");
    }
    for (const std::string& text : *texts) request.rows.emplace_back(text);
    request.owner = texts;
    const Result<ingest::Answer> answer = ingest_.AppendAndWait(std::move(request));
    if (answer.ok()) return true;
    LOG_WARNING("datagen could not send; it tries again", "stream={} error={}", stream_.name,
                answer.error().message());
    return false;
  }

  Options options_;
  const catalog::StreamDefinition stream_;
  ingest::Ingest& ingest_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace

Status CheckDatagen(const catalog::SourceDefinition& definition) {
  TRY(ParseOptions(definition));
  return Ok();
}

Result<std::unique_ptr<Source>> StartDatagen(const catalog::SourceDefinition& definition,
                                             const catalog::StreamDefinition& stream,
                                             ingest::Ingest& ingest) {
  TRY(const Options options, ParseOptions(definition));
  return std::unique_ptr<Source>(std::make_unique<Datagen>(options, stream, ingest));
}

}  // namespace millrace::connectors
