// What goes before a statement: the rate of who asks, and prepared keyed look-ups, which go
// straight to a view's content.
#include "pg/session.h"

#include "base/clock.h"

namespace millrace::pg {

namespace {

// A statement without a name that comes once is not worth being looked at closely.
constexpr size_t kExecutionsBefore = 1;
// Of those that may be worked on at once on an I/O thread.
constexpr int kQuickMessagesMax = 64;

}  // namespace

Status Session::CountRequest(const StatementKind& kind) const {
  const bool runs = std::holds_alternative<NodeStatement>(kind) ||
                    std::holds_alternative<CatalogQuery>(kind) ||
                    std::holds_alternative<DeclareCursor>(kind) ||
                    std::holds_alternative<Subscribe>(kind) || std::holds_alternative<Copy>(kind);
  if (principal_ == nullptr || !runs) return Ok();
  const auto wait = principal_->TakeTurn(Tick());
  return wait.count() > 0 ? Status(principal_->OverRate(wait)) : Ok();
}

// Gives the portal its outcome, where the statement is a keyed look-up outside of a transaction.
Status Session::ExecuteLookup(Portal& portal) {
  Prepared& prepared = *portal.prepared;
  const auto* node = std::get_if<NodeStatement>(&prepared.statement->kind);
  if (node == nullptr || node->kind != NodeStatement::Kind::kRead || status_ != Block::kNone ||
      implicit_ != nullptr)
    return Ok();
  const size_t before = prepared.executions++;
  if (prepared.name.empty() && before < kExecutionsBefore) return Ok();
  const uint64_t version = context_.node.catalog()->version();
  if (prepared.lookup_version != version) {
    prepared.lookup_version = version;
    prepared.lookup = context_.node.RecogniseLookup(prepared.statement->text);
  }
  if (prepared.lookup == nullptr || !variables_.after().empty()) return Ok();
  if (!prepared.lookup->AsInUtc(variables_.time_zone()->duckdb_name())) return Ok();
  TRY(std::optional<sql::QueryResult> rows,
      context_.node.AnswerLookup(*prepared.lookup, portal.parameters));
  if (!rows) return Ok();
  context_.counters.statements.fetch_add(1);
  context_.counters.lookups.fetch_add(1);
  portal.outcome.emplace();
  portal.outcome->tag = "SELECT";
  portal.outcome->counts_rows = true;
  portal.outcome->rows = std::make_shared<const sql::QueryResult>(*std::move(rows));
  return Ok();
}

bool Session::IsQuick(std::string_view in) const {
  if (status_ != Block::kNone || implicit_ != nullptr || sending_ || in_query_ ||
      copy_in_ != nullptr)
    return false;
  std::string_view bound;
  bool has_bound = false;
  for (int i = 0; i < kQuickMessagesMax && !in.empty(); ++i) {
    const auto message = TakeMessage(in, kMessageBytesMax);
    if (!message.ok()) return false;
    if (!*message) return true;
    const FrontendMessage& each = **message;
    if (each.type == 'S' || each.type == 'H') continue;
    MessageReader reader(each.body);
    if (each.type == 'B') {
      bound = reader.Text();
      const auto prepared = prepared_.find(reader.Text());
      has_bound = true;
      if (prepared == prepared_.end() || prepared->second->lookup == nullptr ||
          !context_.node.IsQuick(*prepared->second->lookup))
        return false;
    } else if (each.type == 'E') {
      if (!has_bound || reader.Text() != bound) return false;
    } else if (each.type != 'D' || reader.Byte() != 'P' || !has_bound || reader.Text() != bound) {
      return false;
    }
  }
  return in.empty();
}

}  // namespace millrace::pg
