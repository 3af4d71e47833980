#include "pg/set_statement.h"

namespace millrace::pg {

Status TakeTransactionModes(TokenCursor& cursor, std::optional<bool>& read_only) {
  while (!cursor.AtEnd()) {
    cursor.AcceptSymbol(',');
    if (cursor.Accept({"READ", "ONLY"})) {
      read_only = true;
    } else if (cursor.Accept({"READ", "WRITE"})) {
      read_only = false;
    } else if (cursor.Accept({"ISOLATION", "LEVEL"})) {
      // One step is read whatever the level: it is as good as any of them asks.
      if (!cursor.Accept({"SERIALIZABLE"}) && !cursor.Accept({"REPEATABLE", "READ"}) &&
          !cursor.Accept({"READ", "COMMITTED"}) && !cursor.Accept({"READ", "UNCOMMITTED"}))
        return cursor.Unexpected("a level of isolation");
    } else if (!cursor.Accept({"NOT", "DEFERRABLE"}) && !cursor.Accept({"DEFERRABLE"})) {
      return cursor.Unexpected("a mode of a transaction");
    }
  }
  return Ok();
}

namespace {

// SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE: east of Greenwich, which as text alone is west.
Result<StatementKind> ParseZoneInterval(TokenCursor& cursor, SetVariable set) {
  TRY(std::string hours, cursor.Value());
  cursor.Accept({"HOUR", "TO", "MINUTE"});
  TRY(cursor.ExpectEnd());
  if (const size_t minutes = hours.rfind(":00"); minutes != std::string::npos)
    hours.resize(minutes);
  set.value = std::move(hours);
  return StatementKind(set);
}

}  // namespace

Result<StatementKind> ParseSet(TokenCursor& cursor) {
  cursor.Advance();
  SetVariable set;
  SetTransaction transaction;
  if (cursor.Accept({"SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"})) {
    transaction.of_session = true;
    TRY(TakeTransactionModes(cursor, transaction.read_only));
    return StatementKind(transaction);
  }
  if (cursor.Accept({"LOCAL"})) {
    set.local = true;
  } else {
    cursor.Accept({"SESSION"});
  }
  if (cursor.Accept({"TRANSACTION"})) {
    if (cursor.AtWord("SNAPSHOT"))
      return Error(Code::kNotSupported, "snapshots cannot be handed from session to session");
    TRY(TakeTransactionModes(cursor, transaction.read_only));
    return StatementKind(transaction);
  }
  if (cursor.AtWord("AUTHORIZATION") || cursor.AtWord("ROLE")) {
    cursor.Advance();
    if (cursor.Accept({"NONE"}) || cursor.Accept({"DEFAULT"})) return StatementKind(Nothing{"SET"});
    return Error(Code::kNotSupported, "a session keeps the user that it began with");
  }
  if (cursor.Accept({"TIME", "ZONE"})) {
    set.name = "timezone";
    if (cursor.Accept({"LOCAL"})) {
      TRY(cursor.ExpectEnd());
      return StatementKind(set);
    }
    if (cursor.Accept({"INTERVAL"})) return ParseZoneInterval(cursor, std::move(set));
  } else if (cursor.Accept({"NAMES"})) {
    set.name = "client_encoding";
  } else {
    TRY(set.name, cursor.Name());
    while (cursor.AcceptSymbol('.')) {
      TRY(const std::string more, cursor.Name());
      set.name += "." + more;
    }
    if (!cursor.AcceptSymbol('=')) TRY(cursor.Expect({"TO"}));
  }
  if (cursor.Accept({"DEFAULT"})) {
    TRY(cursor.ExpectEnd());
    return StatementKind(set);
  }
  std::string value;
  while (true) {
    TRY(const std::string one, cursor.Value());
    value += (value.empty() ? "" : ", ") + one;
    if (!cursor.AcceptSymbol(',')) break;
  }
  TRY(cursor.ExpectEnd());
  set.value = std::move(value);
  return StatementKind(set);
}

}  // namespace millrace::pg
