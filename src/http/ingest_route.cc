// POST /v1/streams/{name}: the body's rows, as they come, become records.
//
// Without an idempotency key the body is appended in pieces: while one is decoded on a pool thread
// and the ones before it wait for the disk, the next is read. Pieces of one body are handed over
// one after the other, so that its rows keep their order. With a key the body is one append.
#include <algorithm>
#include <deque>
#include <iterator>

#include "base/coding.h"
#include "http/body_reader.h"
#include "http/cloud_events.h"
#include "http/ingest_request.h"
#include "http/problem.h"
#include "http/row_splitter.h"
#include "rows/json_split.h"

namespace millrace::http {
namespace {

constexpr size_t kRowBytesMax = rows::kRowBytesMaxDefault;
// A piece: some thousand rows of usual size, few enough milliseconds of decoding.
constexpr size_t kPieceBytes = 256 * 1024;
constexpr size_t kPieceBytesMin = 4 * 1024;
constexpr size_t kInFlightMax = 8;
constexpr size_t kListedErrorsMax = 1000;
static_assert(kPieceBytes < kRowBytesMax);
// Overload in the middle of a body: the piece is tried again, with waits that double, before the
// client is told.
constexpr std::chrono::milliseconds kRetryFirst{5};
constexpr std::chrono::milliseconds kRetryLast{640};
constexpr int kRetriesMax = 16;

// The bytes of a piece, given back to the budget when the last reader lets go.
struct Buffer {
  Buffer(std::shared_ptr<MemoryBudget> owner, size_t size)
      : budget(std::move(owner)), bytes(size, '\0') {}
  ~Buffer() { budget->Give(bytes.size()); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  std::shared_ptr<MemoryBudget> budget;
  std::string bytes;
};

std::shared_ptr<Buffer> TakeBuffer(const std::shared_ptr<MemoryBudget>& budget, size_t size) {
  if (!budget->TryTake(size)) return nullptr;
  return std::make_shared<Buffer>(budget, size);
}

Error NoMemory() {
  return Error(Code::kOverloaded, "request bodies hold all the memory that they may")
      .Hint("try again in a second");
}

struct Piece {
  CutRows cut;
  std::shared_ptr<const void> owner;  // of the bytes that the rows are views into
  std::vector<ingest::RejectedRow>
      rejected;        // before ingest saw them; ascending by their index in the body
  size_t end_row = 0;  // index in the body of the row behind the piece
};

class Body {
 public:
  Body(ServiceContext& context, Backend& backend, Exchange& exchange, IngestRequest request,
       BodyReader reader, std::unique_ptr<RowSplitter> splitter)
      : context_(context),
        backend_(backend),
        exchange_(exchange),
        request_(std::move(request)),
        reader_(std::move(reader)),
        splitter_(std::move(splitter)) {}

  asio::awaitable<void> Run() {
    Status status = Ok();
    if (request_.idempotency_key.empty()) {
      status = co_await AppendInPieces();
    } else {
      status = co_await AppendWhole();
    }
    if (status.ok() && request_.wait_visible) co_await WaitVisible();
    Answer(status);
  }

 private:
  struct InFlight {
    Piece piece;
    net::Waiting<ingest::Answer> answer;
  };

  // ---- reading

  // Fills the buffer from `filled` on; true when the body has ended.
  asio::awaitable<Result<bool>> Fill(Buffer& buffer, size_t& filled) {
    while (filled < buffer.bytes.size()) {
      auto got = co_await reader_.Read(buffer.bytes.data() + filled, buffer.bytes.size() - filled);
      if (!got.ok()) co_return std::move(got).error();
      if (*got == 0) co_return true;
      filled += *got;
    }
    co_return false;
  }

  // A buffer from the budget. Where there is none, what this body has in flight is waited for
  // first.
  asio::awaitable<std::shared_ptr<Buffer>> WaitForBuffer(size_t size) {
    std::chrono::milliseconds pause = kRetryFirst;
    for (int attempt = 0; attempt < kRetriesMax; ++attempt) {
      if (auto buffer = TakeBuffer(context_.body_memory, size)) co_return buffer;
      if (splitter_->row_count() == 0 && in_flight_.empty())
        co_return nullptr;  // nothing of it is appended: the client may simply try again
      co_await exchange_.Sleep(pause);
      pause = std::min(pause * 2, kRetryLast);
    }
    co_return nullptr;
  }

  Result<size_t> Cut(const std::shared_ptr<Buffer>& buffer, size_t size, bool last, Piece& piece) {
    auto used = splitter_->Cut(std::string_view(buffer->bytes).substr(0, size), last, piece.cut);
    piece.owner = piece.cut.owner ? std::exchange(piece.cut.owner, nullptr) : buffer;
    piece.end_row = splitter_->row_count();
    for (rows::RowError& wrong : piece.cut.wrong) {
      piece.rejected.push_back({wrong.row, std::move(wrong.column), std::move(wrong.message)});
    }
    DropLargeRows(piece);
    return used;
  }

  static void DropLargeRows(Piece& piece) {
    CutRows& cut = piece.cut;
    size_t kept = 0;
    for (size_t i = 0; i < cut.rows.size(); ++i) {
      if (cut.rows[i].size() > kRowBytesMax) {
        piece.rejected.push_back(TooLarge(cut.indexes[i]));
        continue;
      }
      cut.rows[kept] = cut.rows[i];
      cut.indexes[kept++] = cut.indexes[i];
    }
    cut.rows.resize(kept);
    cut.indexes.resize(kept);
    std::sort(piece.rejected.begin(), piece.rejected.end(),
              [](const auto& a, const auto& b) { return a.row < b.row; });
  }

  static ingest::RejectedRow TooLarge(size_t row) {
    return {row, "", fmt::format("the row is larger than {} bytes", kRowBytesMax)};
  }

  asio::awaitable<Status> AppendInPieces() {
    Status status = co_await ReadPieces();
    // Also after an error: what is in flight is appended or not, and the answer says so.
    while (!in_flight_.empty()) {
      Status settled = co_await SettleOldest();
      if (status.ok() && !settled.ok()) status = std::move(settled);
    }
    co_return status;
  }

  asio::awaitable<Status> ReadPieces() {
    const uint64_t announced = exchange_.head().content_length.value_or(kPieceBytes);
    size_t size =
        static_cast<size_t>(std::clamp<uint64_t>(announced + 1, kPieceBytesMin, kPieceBytes));
    std::string rest;  // the beginning of a row that the last piece cut off
    for (;;) {
      const size_t wanted = std::max(size, rest.size() * 2);
      auto buffer = co_await WaitForBuffer(wanted);
      if (buffer == nullptr) co_return NoMemory();
      size_t filled = rest.copy(buffer->bytes.data(), rest.size());
      auto ended = co_await Fill(*buffer, filled);
      if (!ended.ok()) co_return std::move(ended).error();
      Piece piece;
      auto used = Cut(buffer, filled, *ended, piece);
      if (used.ok()) {
        rest.assign(buffer->bytes, *used, filled - *used);
        if (rest.size() > kRowBytesMax) {
          piece.rejected.push_back(TooLarge(splitter_->DropRow()));
          piece.end_row = splitter_->row_count();
          rest.clear();
        }
      }
      if (!piece.cut.rows.empty() || !piece.rejected.empty()) {
        Status handed = co_await HandOver(std::move(piece));
        if (!handed.ok()) co_return handed;
      }
      if (!used.ok()) co_return std::move(used).error();
      if (*ended) co_return Ok();
      size = kPieceBytes;
    }
  }

  asio::awaitable<Status> AppendWhole() {
    const size_t limit = context_.options.request_bytes_max;
    const Error too_large =
        Error(Code::kTooLarge, "a body with an Idempotency-Key may hold {} bytes", limit)
            .Hint("send it in several requests, each with a key of its own");
    const uint64_t announced = exchange_.head().content_length.value_or(kPieceBytes);
    if (announced > limit) co_return too_large;
    auto buffer = TakeBuffer(context_.body_memory, static_cast<size_t>(announced) + 1);
    if (buffer == nullptr) co_return NoMemory();
    size_t filled = 0;
    for (;;) {
      auto ended = co_await Fill(*buffer, filled);
      if (!ended.ok()) co_return std::move(ended).error();
      if (filled > limit) co_return too_large;
      if (*ended) break;
      auto larger = TakeBuffer(context_.body_memory, std::min(buffer->bytes.size() * 2, limit + 1));
      if (larger == nullptr) co_return NoMemory();
      buffer->bytes.copy(larger->bytes.data(), filled);
      buffer = std::move(larger);
    }
    Piece piece;
    auto used = Cut(buffer, filled, true, piece);
    if (!used.ok()) co_return std::move(used).error();
    body_hash_ = StableHash(std::string_view(buffer->bytes).substr(0, filled));
    Status handed = co_await HandOver(std::move(piece));
    if (!handed.ok()) co_return handed;
    Status settled = co_await SettleOldest();
    co_return settled;
  }

  // ---- appending

  // Gives the piece to ingest on a pool thread and returns when it is decoded and in the log's
  // queue, or failed at once.
  asio::awaitable<Status> HandOver(Piece piece) {
    while (in_flight_.size() >= kInFlightMax) {
      Status settled = co_await SettleOldest();
      if (!settled.ok()) co_return settled;
    }
    std::chrono::milliseconds pause = kRetryFirst;
    for (int attempt = 0;; ++attempt) {
      auto flight = std::make_unique<InFlight>();
      flight->piece = piece;
      const bool taken = co_await Submit(*flight);
      const bool overloaded = !taken || flight->answer.RefusedWith(Code::kOverloaded);
      const bool begun = !in_flight_.empty() || settled_pieces_ > 0;
      if (!overloaded) {
        in_flight_.push_back(std::move(flight));
        co_return Ok();
      }
      if (!begun || attempt == kRetriesMax) {
        if (!taken)
          co_return Error(Code::kOverloaded, "too many request bodies are waiting")
              .Hint("try again in a second");
        auto refused = co_await exchange_.Wait(flight->answer);
        co_return std::move(refused).error();
      }
      co_await exchange_.Sleep(pause);
      pause = std::min(pause * 2, kRetryLast);
    }
  }

  asio::awaitable<bool> Submit(InFlight& flight) {
    auto request = std::make_shared<ingest::Request>();
    request->stream = request_.stream;
    request->rows = flight.piece.cut.rows;
    request->owner = flight.piece.owner;
    request->idempotency_key = request_.idempotency_key;
    request->body_hash = body_hash_;
    request->remember_long = request_.remember_long;
    request->source = request_.source;
    net::Waiting<net::Done> handed_over;
    const bool taken =
        context_.ingest.TrySubmit([&backend = backend_, request, answer = flight.answer.Callback(),
                                   done = handed_over.Callback()] {
          backend.ingest().Append(std::move(*request), answer);
          done(net::Done{});
        });
    if (!taken) co_return false;
    auto handed = co_await exchange_.Wait(handed_over);
    co_return handed.ok();
  }

  // Waits for the disk, and adds the oldest piece's answer to the total.
  asio::awaitable<Status> SettleOldest() {
    const std::unique_ptr<InFlight> flight = std::move(in_flight_.front());
    in_flight_.pop_front();
    auto answered = co_await exchange_.Wait(flight->answer);
    if (!answered.ok()) {
      failed_ = true;
      co_return std::move(answered).error();
    }
    Add(flight->piece, *answered);
    co_return Ok();
  }

  void Add(const Piece& piece, ingest::Answer& answer) {
    ++settled_pieces_;
    ingest::Answer& total = total_.answer;
    total.accepted += answer.accepted;
    total.quarantined += answer.quarantined;
    total.rejected_count += answer.rejected_count + piece.rejected.size();
    total.repeated = total.repeated || answer.repeated;
    if (request_.wait_visible) {
      total.placed.insert(total.placed.end(), answer.placed.begin(), answer.placed.end());
    }
    if (!answer.token.empty()) total_.tokens.push_back(std::move(answer.token));
    if (total_.tokens.size() > kTokensGathered) MergeTokens();
    // Ingest counts the rows that it was given: their indexes in the body are the piece's to tell.
    for (ingest::RejectedRow& row : answer.rejected) row.row = piece.cut.indexes[row.row];
    std::vector<ingest::RejectedRow> merged;
    std::merge(piece.rejected.begin(), piece.rejected.end(),
               std::make_move_iterator(answer.rejected.begin()),
               std::make_move_iterator(answer.rejected.end()), std::back_inserter(merged),
               [](const auto& a, const auto& b) { return a.row < b.row; });
    const size_t room = kListedErrorsMax - total.rejected.size();
    if (merged.size() > room) merged.resize(room);
    std::move(merged.begin(), merged.end(), std::back_inserter(total.rejected));
    if (!failed_) total_.rows = piece.end_row;
  }

  // ---- answering

  std::string MergeTokens() {
    if (total_.tokens.size() > 1) total_.tokens = {backend_.MergeTokens(total_.tokens)};
    return total_.tokens.empty() ? std::string() : total_.tokens.front();
  }

  asio::awaitable<void> WaitVisible() {
    const std::string token = MergeTokens();
    total_.visible = true;
    if (token.empty()) {
      total_.decided.emplace();
      co_return;
    }
    // The rows are appended: that they are not visible yet is no reason to send them again.
    const Status visible = co_await AwaitVisible(backend_, exchange_, token, request_.timeout);
    total_.visible = visible.ok();
    if (!visible.ok()) total_.not_visible = visible.error().message();
    if (visible.ok() && !total_.answer.repeated) {
      total_.decided = backend_.Decided(total_.answer.placed);
    }
  }

  void Answer(const Status& status) {
    const std::string token = MergeTokens();
    const ingest::Answer& answer = total_.answer;
    if (status.ok()) {
      const bool nothing_taken =
          answer.accepted + answer.quarantined == 0 && answer.rejected_count > 0;
      exchange_.Reply(nothing_taken ? 422 : 200, "application/json",
                      IngestBody(total_, token, nullptr));
      return;
    }
    const Error& error = status.error();
    if (settled_pieces_ == 0) {
      exchange_.ReplyError(error, StatusOfFailure(error));
      return;
    }
    if (error.code() == Code::kOverloaded || error.code() == Code::kUnavailable)
      exchange_.AddHeader("Retry-After", "1");
    exchange_.Reply(StatusOfFailure(error), "application/json", IngestBody(total_, token, &error));
  }

  int StatusOfFailure(const Error& error) const {
    switch (error.code()) {
      case Code::kConflict:
        return 422;  // the key was used with another body
      case Code::kTimeout:
        return 408;
      default:
        return StatusOf(error.code());
    }
  }

  static constexpr size_t kTokensGathered = 64;

  ServiceContext& context_;
  Backend& backend_;
  Exchange& exchange_;
  IngestRequest request_;
  BodyReader reader_;
  std::unique_ptr<RowSplitter> splitter_;
  std::deque<std::unique_ptr<InFlight>> in_flight_;  // oldest first
  IngestTotal total_;
  uint64_t body_hash_ = 0;
  size_t settled_pieces_ = 0;
  bool failed_ = false;  // a piece failed: the rows before it are the whole prefix
};

// Null: answered, there is no such stream, or a header is wrong. Found out before the body is read,
// which may be long.
std::unique_ptr<RowSplitter> MakeSplitter(const Backend& backend, Exchange& exchange,
                                          const IngestRequest& request) {
  const catalog::CatalogPtr catalog = backend.catalog();
  const catalog::StreamDefinition* stream = catalog->FindStream(request.stream);
  if (stream == nullptr) {
    exchange.ReplyError(Error(Code::kNotFound, "stream {} does not exist", Quoted(request.stream))
                            .Hint(DidYouMean(request.stream, catalog->RelationNames())));
    return nullptr;
  }
  if (request.events == IngestRequest::Events::kStructured) return MakeEventSplitter();
  if (request.events == IngestRequest::Events::kBinary) {
    auto splitter = MakeEventDataSplitter(exchange.head());
    if (splitter.ok()) return std::move(splitter).value();
    exchange.ReplyError(splitter.error());
    return nullptr;
  }
  switch (request.format) {
    case Format::kJson:
      return MakeJsonSplitter();
    case Format::kNdjson:
      return MakeLineSplitter();
    case Format::kCsv:
      return MakeCsvSplitter(stream->schema);
    case Format::kArrow:
    case Format::kParquet:
      break;  // no body format
  }
  return nullptr;
}

asio::awaitable<void> HandleIngest(ServiceContext& context, Exchange& exchange) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  auto request = ParseIngestRequest(context, exchange);
  if (!request) co_return;
  auto reader = BodyReader::Make(exchange);
  if (!reader.ok()) {
    exchange.ReplyError(reader.error(), 415);
    co_return;
  }
  std::unique_ptr<RowSplitter> splitter = MakeSplitter(*backend, exchange, *request);
  if (splitter == nullptr) co_return;
  Body body(context, *backend, exchange, std::move(*request), std::move(reader).value(),
            std::move(splitter));
  co_await body.Run();
}

}  // namespace

void AddIngestRoute(ServiceContext& context, Router& router) {
  router.Add({"/v1/streams/{name}",
              "POST",
              [&context](Exchange& exchange) { return HandleIngest(context, exchange); },
              {},
              auth::Permission::kIngest});
}

}  // namespace millrace::http
