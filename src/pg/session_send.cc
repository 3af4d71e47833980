// Rows on their way to the client: results, COPY in both directions, SUBSCRIBE.
#include "pg/replies.h"
#include "pg/session.h"

namespace millrace::pg {

namespace {

Error Cancelled() {
  return Error(Code::kCancelled, "canceling statement due to user request").SqlState("57014");
}

// The part's rows of one sign, with their step and weights before them; nullptr: there are none.
std::shared_ptr<duckdb::DataChunk> RowsOfSign(const rows::Batch::Part& part, bool came,
                                              state::Step step, const rows::Types& types) {
  std::vector<duckdb::sel_t> chosen;
  for (size_t row = 0; row < part.rows->size(); ++row) {
    if ((part.weight(row) > 0) == came) chosen.push_back(static_cast<duckdb::sel_t>(row));
  }
  if (chosen.empty()) return nullptr;
  const duckdb::SelectionVector selection(chosen.data());
  auto chunk = std::make_shared<duckdb::DataChunk>();
  chunk->InitializeEmpty(types);
  chunk->data[0].Reference(duckdb::Value::BIGINT(step.value));
  duckdb::Vector weights(duckdb::LogicalType::BIGINT, chosen.size());
  for (size_t i = 0; i < chosen.size(); ++i)
    duckdb::FlatVector::GetData<int64_t>(weights)[i] = part.weight(chosen[i]);
  chunk->data[1].Reference(weights);
  for (size_t column = 2; column < types.size(); ++column)
    chunk->data[column].Slice(part.rows->data[column - 2], selection, chosen.size());
  chunk->SetCardinality(chosen.size());
  chunk->Flatten();  // the selection goes with this function
  return chunk;
}

// An event's rows: those that went before those that came, as a client takes them up.
std::shared_ptr<const sql::QueryResult> EventRows(const runtime::FeedEvent& event,
                                                  const rows::Schema& schema) {
  auto result = std::make_shared<sql::QueryResult>();
  result->schema = schema;
  for (const bool came : {false, true}) {
    for (const rows::Batch::Part& part : event.rows.parts) {
      auto chunk = RowsOfSign(part, came, event.step, schema.types());
      if (chunk != nullptr) result->chunks.push_back(std::move(chunk));
    }
  }
  return result;
}

// Rows [begin, end) of a chunk.
std::shared_ptr<duckdb::DataChunk> PartOf(duckdb::DataChunk& rows, size_t begin, size_t end) {
  auto part = std::make_shared<duckdb::DataChunk>();
  part->Initialize(duckdb::Allocator::DefaultAllocator(), rows.GetTypes());
  for (size_t column = 0; column < rows.ColumnCount(); ++column)
    duckdb::VectorOperations::Copy(rows.data[column], part->data[column], end, begin, 0);
  part->SetCardinality(end - begin);
  return part;
}

// REQUIRES: there are two rows at least.
std::pair<CopyIn::Chunks, CopyIn::Chunks> Halves(const CopyIn::Chunks& rows) {
  if (rows.size() > 1) {
    const auto half = rows.begin() + static_cast<ptrdiff_t>(rows.size() / 2);
    return {{rows.begin(), half}, {half, rows.end()}};
  }
  duckdb::DataChunk& chunk = *rows.front();
  const size_t half = chunk.size() / 2;
  return {{PartOf(chunk, 0, half)}, {PartOf(chunk, half, chunk.size())}};
}

}  // namespace

// CommandComplete, and the portal is through.
Session::Next Session::SendEnded(std::string& out) {
  Portal& portal = *sending_->portal;
  Outcome& outcome = *portal.outcome;
  if (outcome.copy_out != nullptr) {
    if (!outcome.copy_out->begun()) outcome.copy_out->Begin(out);
    outcome.copy_out->End(out);
  }
  Finish(outcome, outcome.copy_out != nullptr ? portal.sent : portal.sent_now, out);
  portal.ended = true;
  sending_.reset();
  return Next::kRead;
}

// True: all rows that there are have been written. False: `out` is full, or the row limit is hit.
Result<bool> Session::SendRows(Portal& portal, std::string& out) {
  const Outcome& outcome = *portal.outcome;
  const sql::QueryResult& result = *outcome.rows;
  CopyOut* const copy = outcome.copy_out.get();
  if (copy != nullptr && !copy->begun()) copy->Begin(out);
  if (portal.encoder == nullptr)
    portal.encoder =
        std::make_unique<RowEncoder>(result.schema.types(), portal.formats, variables_.time_zone());
  const uint64_t rows_max = sending_->rows_max;
  for (; portal.chunk < result.chunk_count(); ++portal.chunk, portal.row = 0) {
    TRY(const auto rows, result.ReadChunk(portal.chunk));
    duckdb::DataChunk& chunk = *rows;
    if (portal.row >= chunk.size()) continue;
    copy != nullptr ? copy->Bind(chunk) : portal.encoder->Bind(chunk);
    for (; portal.row < chunk.size(); ++portal.row) {
      if (out.size() >= kOutBytes) return false;
      if (copy == nullptr && rows_max != 0 && portal.sent_now >= rows_max) return false;
      copy != nullptr ? copy->Row(portal.row, out) : portal.encoder->DataRow(portal.row, out);
      ++portal.sent;
      ++portal.sent_now;
    }
  }
  return true;
}

Result<Session::Next> Session::SendSubscription(Portal& portal, std::string& out) {
  Outcome& outcome = *portal.outcome;
  while (true) {
    const uint64_t before = portal.sent;
    TRY(const bool all, SendRows(portal, out));
    context_.counters.rows.fetch_add(static_cast<int64_t>(portal.sent - before));
    if (cancel_->cancelled()) return Cancelled();
    if (!all && out.size() < kOutBytes) {  // the row limit
      MessageWriter(out).Empty('s');
      sending_.reset();
      return Next::kRead;
    }
    if (!all) return Next::kAgain;
    TRY(const std::optional<runtime::FeedEvent> event,
        outcome.subscription->Next(std::chrono::milliseconds(0)));
    if (!event) return Next::kWait;
    if (event->kind == runtime::FeedEvent::Kind::kReset) {
      return Error(Code::kConflict,
                   "the changes from there on are not kept any more, or the view was replaced")
          .Hint("SUBSCRIBE TO … WITH SNAPSHOT begins with the content")
          .SqlState("55000");
    }
    if (event->kind != runtime::FeedEvent::Kind::kRows) continue;
    outcome.rows = EventRows(*event, outcome.rows->schema);
    portal.chunk = 0;
    portal.row = 0;
  }
}

Session::Next Session::Send(std::string& out) {
  Portal& portal = *sending_->portal;
  Outcome& outcome = *portal.outcome;
  if (outcome.rows == nullptr) return SendEnded(out);
  if (outcome.subscription != nullptr) {
    const PortalPtr keep = sending_->portal;
    const auto next = SendSubscription(portal, out);
    if (next.ok()) return *next;
    Fail(next.error(), out);
    return Next::kRead;
  }
  if (cancel_->cancelled()) {
    Fail(Cancelled(), out);
    return Next::kRead;
  }
  const uint64_t before = portal.sent;
  const Result<bool> all = SendRows(portal, out);
  context_.counters.rows.fetch_add(static_cast<int64_t>(portal.sent - before));
  if (!all.ok()) {
    Fail(all.error(), out);
    return Next::kRead;
  }
  if (*all) return SendEnded(out);
  if (out.size() >= kOutBytes) return Next::kAgain;
  MessageWriter(out).Empty('s');
  sending_.reset();
  return Next::kRead;
}

void Session::BeginCopyIn(std::unique_ptr<CopyIn> copy, bool simple, std::string& out) {
  copy_in_ = std::move(copy);
  copy_in_simple_ = simple;
  copied_ = 0;
  copy_in_->Begin(out);
}

void Session::HandleCopyData(const FrontendMessage& message, std::string& out) {
  // A COPY that failed: the client may not know it yet.
  if (copy_in_ == nullptr) return;
  const auto handle = [&]() -> Status {
    if (message.type == 'd') {
      copy_in_->Add(message.body);
      return copy_in_->is_full() ? WritePieceOfCopy() : Ok();
    }
    if (message.type == 'f') {
      TRY(const std::string_view reason, ParseText(message.body));
      return Error(Code::kCancelled, "COPY from stdin failed: {}", reason).SqlState("57014");
    }
    return FinishCopyIn();
  };
  if (cancel_->cancelled()) return Fail(Cancelled(), out);
  const Status handled = handle();
  if (!handled.ok()) return Fail(OfCopyInPieces(handled.error()), out);
  if (message.type == 'c') {
    AppendCommandComplete(fmt::format("COPY {}", copied_), out);
    copy_in_.reset();
  }
}

// A block is one change, so what it copies is held back until it ends. Without one, a COPY that is
// larger than what is gathered is written piece by piece.
Status Session::WritePieceOfCopy() {
  if (block_writes_ != nullptr) {
    return Error(Code::kTooLarge,
                 "COPY sends more than {} MiB within a transaction, which is one change",
                 kCopyBytesMax >> 20)
        .Hint("without a transaction a COPY may be of any size: it is written in pieces");
  }
  TRY(CopyIn::Chunks rows, copy_in_->Take());
  return WriteCopied(std::move(rows));
}

Status Session::FinishCopyIn() {
  TRY(CopyIn::Chunks rows, copy_in_->Finish());
  if (block_writes_ == nullptr) return WriteCopied(std::move(rows));
  if (rows.empty()) return Ok();
  for (const auto& chunk : rows) copied_ += chunk->size();
  TRY(block_writes_->Insert(copy_in_->relation(), copy_in_->schema(), std::move(rows),
                            Options({})));
  return Ok();
}

// As one change, or where that would be too large as several.
Status Session::WriteCopied(CopyIn::Chunks rows) {
  if (rows.empty()) return Ok();
  const runtime::StatementOptions options = Options({});
  const auto writes = context_.node.BeginWrites();
  const auto inserted = writes->Insert(copy_in_->relation(), copy_in_->schema(), rows, options);
  if (!inserted.ok() && inserted.error().code() == Code::kTooLarge &&
      (rows.size() > 1 || rows.front()->size() > 1)) {
    auto [first, second] = Halves(rows);
    rows.clear();
    TRY(WriteCopied(std::move(first)));
    return WriteCopied(std::move(second));
  }
  if (!inserted.ok()) return inserted.error();
  TRY(const runtime::StatementResult result, writes->Commit(options.timeout));
  NoteToken(result.token);
  for (const auto& chunk : rows) copied_ += chunk->size();
  return Ok();
}

// What of it is in.
Error Session::OfCopyInPieces(Error error) const {
  if (copied_ == 0 || block_writes_ != nullptr) return error;
  return std::move(error).Hint(
      fmt::format("the first {} rows are written, and stay: a COPY that is too large for one "
                  "change is written in pieces",
                  copied_));
}

}  // namespace millrace::pg
