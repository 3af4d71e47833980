#include "sql/parser_columns.h"

#include "catalog/sql_text.h"
#include "sql/parser_duckdb.h"
#include "sql/parser_types.h"
#include "sql/parser_values.h"

namespace millrace::sql {
namespace {

constexpr size_t kColumnsMax = 1000;

Error NotAvailable(const Cursor& cursor, size_t place, std::string_view what, std::string hint) {
  return cursor.At(
      place, Error(Code::kNotSupported, "{} is not available yet", what).Hint(std::move(hint)));
}

Error NoKeyOfStream(const Cursor& cursor, size_t place) {
  return cursor.At(place, Error(Code::kInvalidArgument,
                                "a stream has no primary key: its rows are only ever added")
                              .Hint("for rows that change use CREATE TABLE; to drop repeated rows "
                                    "use DEDUPLICATE ON (…)"));
}

class ColumnListParser {
 public:
  ColumnListParser(Cursor& cursor, catalog::Kind kind) : cursor_(cursor), kind_(kind) {}

  Result<ColumnList> Run() {
    TRY(cursor_.ExpectSymbol('(', "and a list of columns"));
    do {
      TRY(Element());
    } while (cursor_.AcceptSymbol(','));
    TRY(Close());
    if (list_.schema.columns.empty()) {
      return cursor_.At(
          cursor_.Peek().begin,
          Error(Code::kInvalidArgument, "expected at least one column").SqlState("42601"));
    }
    TRY(Resolve());
    return std::move(list_);
  }

  // What its CHECKs name is judged where the other columns are known.
  Result<ColumnList> RunOne() {
    TRY(Column());
    for (const Cursor::Slice& slice : checks_) list_.checks.push_back({slice.text});
    return std::move(list_);
  }

 private:
  Status Close() {
    if (cursor_.AcceptSymbol(')')) return Ok();
    return cursor_.Unexpected("a comma or ) after the column", ConstraintWords());
  }

  Status Element() {
    if (cursor_.AtWord("WATERMARK") && cursor_.AtWord("FOR", 1)) return Watermark();
    if (cursor_.AtWord("DEDUPLICATE") && cursor_.AtWord("ON", 1)) return Deduplicate();
    if (cursor_.AtWord("CONSTRAINT")) TRY(SkipConstraintName());
    if (cursor_.AtWord("CHECK") && cursor_.AtSymbol('(', 1)) return Check();
    if (cursor_.AtWord("PRIMARY") && cursor_.AtWord("KEY", 1)) return PrimaryKey();
    if (cursor_.AtWord("UNIQUE") && cursor_.AtSymbol('(', 1)) return Unique();
    if (cursor_.AtWord("FOREIGN") && cursor_.AtWord("KEY", 1)) return ForeignKey();
    return Column();
  }

  Status SkipConstraintName() {
    cursor_.Advance();
    TRY(cursor_.ExpectName("the name of the constraint"));
    return Ok();
  }

  Status Unique() {
    return NotAvailable(cursor_, cursor_.Peek().begin, "UNIQUE",
                        "a table's unique key is its PRIMARY KEY");
  }
  Status ForeignKey() { return NotAvailable(cursor_, cursor_.Peek().begin, "a foreign key", ""); }

  Status Column() {
    TRY(const PlacedName name, cursor_.ExpectName("the name of a column"));
    if (list_.schema.Find(name.name)) {
      return cursor_.At(name.begin, Error(Code::kInvalidArgument, "column {} is declared twice",
                                          Quoted(name.name))
                                        .SqlState("42701"));
    }
    if (kind_ == catalog::Kind::kStream && IsHidden(name.name)) {
      return cursor_.At(name.begin,
                        Error(Code::kInvalidArgument, "every stream has a hidden column {} already",
                              Quoted(name.name))
                            .Hint("choose another name")
                            .SqlState("42701"));
    }
    if (list_.schema.columns.size() == kColumnsMax) {
      return cursor_.At(name.begin, Error(Code::kTooLarge, "more than {} columns", kColumnsMax));
    }
    rows::Column column;
    column.name = name.name;
    column.id = static_cast<int>(list_.schema.columns.size()) + 1;
    TRY(column.type, ExpectType(cursor_, name));
    bool null = false;
    while (!cursor_.AtEnd() && !cursor_.AtSymbol(',') && !cursor_.AtSymbol(')')) {
      TRY(Constraint(name, column, null));
    }
    list_.schema.columns.push_back(std::move(column));
    return Ok();
  }

  Status Constraint(const PlacedName& name, rows::Column& column, bool& null) {
    const size_t begin = cursor_.Peek().begin;
    if (cursor_.AtWord("CONSTRAINT")) return SkipConstraintName();
    if (cursor_.AtWord("CHECK")) return Check();
    if (cursor_.Accept({"NOT"})) {
      TRY(cursor_.Expect({"NULL"}));
      column.not_null = true;
    } else if (cursor_.Accept({"NULL"})) {
      null = true;
    } else if (cursor_.Accept({"DEFAULT"})) {
      if (column.default_value) {
        return cursor_.At(
            begin, Error(Code::kInvalidArgument, "column {} has two defaults", Quoted(name.name))
                       .SqlState("42601"));
      }
      TRY(column.default_value, ExpectDefault(cursor_, name, column.type));
    } else if (cursor_.Accept({"PRIMARY"})) {
      TRY(cursor_.Expect({"KEY"}));
      if (kind_ == catalog::Kind::kStream) return NoKeyOfStream(cursor_, begin);
      TRY(SetKey({name.name}, begin));
    } else if (cursor_.AtWord("UNIQUE")) {
      return Unique();
    } else if (cursor_.AtWord("REFERENCES")) {
      return ForeignKey();
    } else if (cursor_.AtWord("COLLATE")) {
      return NotAvailable(cursor_, begin, "COLLATE", "texts compare byte by byte");
    } else if (cursor_.AtWord("GENERATED") || cursor_.AtWord("AS")) {
      return NotAvailable(cursor_, begin, "a generated column", "compute it in a view");
    } else {
      return cursor_.Unexpected("a constraint such as NOT NULL, a comma or )", ConstraintWords());
    }
    if (null && column.not_null) {
      return cursor_.At(begin, Error(Code::kInvalidArgument, "column {} is both NULL and NOT NULL",
                                     Quoted(name.name))
                                   .SqlState("42601"));
    }
    return Ok();
  }

  Status Check() {
    cursor_.Advance();
    TRY(Cursor::Slice slice, cursor_.ExpectParenthesised("a condition in parentheses after CHECK"));
    checks_.push_back(std::move(slice));
    return Ok();
  }

  Status SetKey(std::vector<std::string> names, size_t place) {
    if (!list_.primary_key.empty()) {
      return cursor_.At(place, Error(Code::kInvalidArgument, "the table has a primary key already")
                                   .Hint("a key of several columns is written PRIMARY KEY (a, b)")
                                   .SqlState("42P16"));
    }
    list_.primary_key = std::move(names);
    return Ok();
  }

  Status PrimaryKey() {
    const size_t begin = cursor_.Peek().begin;
    if (kind_ == catalog::Kind::kStream) return NoKeyOfStream(cursor_, begin);
    TRY(cursor_.Expect({"PRIMARY", "KEY"}));
    key_at_ = cursor_.position();
    TRY(std::vector<std::string> names,
        ExpectColumnNames(cursor_, nullptr, "the columns of the key"));
    return SetKey(std::move(names), begin);
  }

  Status RequireStream(std::string_view what) const {
    if (kind_ == catalog::Kind::kStream) return Ok();
    return cursor_.At(cursor_.Peek().begin,
                      Error(Code::kInvalidArgument, "{} belongs to streams, not to tables", what));
  }

  // WATERMARK FOR at AS at [- interval]
  Status Watermark() {
    TRY(RequireStream("WATERMARK"));
    const size_t begin = cursor_.Peek().begin;
    TRY(cursor_.Expect({"WATERMARK", "FOR"}));
    if (list_.watermark) {
      return cursor_.At(
          begin,
          Error(Code::kInvalidArgument, "the stream has a WATERMARK already").SqlState("42601"));
    }
    TRY(watermark_column_, cursor_.ExpectName("the name of a column"));
    TRY(cursor_.Expect({"AS"}));
    TRY(const PlacedName again,
        cursor_.ExpectName(fmt::format("{} after AS", watermark_column_.name)));
    if (!rows::EqualNames(again.name, watermark_column_.name)) {
      return cursor_.At(again.begin, Error(Code::kInvalidArgument,
                                           "expected the watermark's own column {}, got {}",
                                           Quoted(watermark_column_.name), Quoted(again.name)));
    }
    catalog::StreamDefinition::Watermark watermark;
    watermark.column = watermark_column_.name;
    if (cursor_.AcceptSymbol('-')) {
      TRY(watermark.delay, ExpectDuration(cursor_, "how late rows may come"));
    }
    list_.watermark = std::move(watermark);
    return Ok();
  }

  // DEDUPLICATE ON (a, b) [WITHIN interval]
  Status Deduplicate() {
    TRY(RequireStream("DEDUPLICATE"));
    const size_t begin = cursor_.Peek().begin;
    TRY(cursor_.Expect({"DEDUPLICATE", "ON"}));
    if (list_.deduplicate) {
      return cursor_.At(begin,
                        Error(Code::kInvalidArgument, "the stream has a DEDUPLICATE ON already")
                            .SqlState("42601"));
    }
    catalog::StreamDefinition::Deduplicate deduplicate;
    deduplicate_at_ = cursor_.position();
    TRY(deduplicate.columns,
        ExpectColumnNames(cursor_, nullptr, "the columns that make a row the same"));
    within_begin_ = cursor_.Peek().begin;
    if (cursor_.Accept({"WITHIN"})) {
      TRY(deduplicate.within, ExpectDuration(cursor_, "how far back to look"));
    }
    list_.deduplicate = std::move(deduplicate);
    return Ok();
  }

  // Reads a list of names again, now that the columns are known.
  Result<std::vector<std::string>> NamesAt(size_t position, std::string_view what) {
    const size_t here = cursor_.position();
    cursor_.Seek(position);
    Result<std::vector<std::string>> names = ExpectColumnNames(cursor_, &list_.schema, what);
    cursor_.Seek(here);
    return names;
  }

  Status Resolve() {
    if (list_.watermark) TRY(ResolveWatermark());
    if (list_.deduplicate) {
      TRY(list_.deduplicate->columns,
          NamesAt(deduplicate_at_, "the columns that make a row the same"));
      if (list_.deduplicate->within && !list_.watermark) {
        return cursor_.At(
            within_begin_,
            Error(Code::kInvalidArgument,
                  "WITHIN counts in event time, which the stream does not have")
                .Hint("declare it: WATERMARK FOR column AS column - INTERVAL 10 SECONDS"));
      }
    }
    if (key_at_ != 0) {
      TRY(list_.primary_key, NamesAt(key_at_, "the columns of the key"));
    }
    for (const std::string& name : list_.primary_key) {
      list_.schema.columns[*list_.schema.Find(name)].not_null = true;
    }
    for (const Cursor::Slice& slice : checks_) {
      TRY(CheckExpression(cursor_, slice, "CHECK", list_.schema.names()));
      list_.checks.push_back({slice.text});
    }
    return Ok();
  }

  Status ResolveWatermark() {
    const auto found = list_.schema.Find(watermark_column_.name);
    if (!found) {
      return cursor_.At(watermark_column_.begin,
                        Error(Code::kNotFound, "WATERMARK FOR: column {} does not exist",
                              Quoted(watermark_column_.name))
                            .Hint(DidYouMean(watermark_column_.name, list_.schema.names()))
                            .SqlState("42703"));
    }
    const rows::Column& column = list_.schema.columns[*found];
    if (column.type.id() != duckdb::LogicalTypeId::TIMESTAMP) {
      return cursor_.At(
          watermark_column_.begin,
          Error(Code::kInvalidArgument, "WATERMARK FOR: column {} is {}, expected TIMESTAMP",
                Quoted(column.name), catalog::TypeText(column.type))
              .SqlState("42804"));
    }
    list_.watermark->column = column.name;
    return Ok();
  }

  Cursor& cursor_;
  const catalog::Kind kind_;
  ColumnList list_;
  std::vector<Cursor::Slice> checks_;  // judged when all columns are known
  PlacedName watermark_column_;
  size_t deduplicate_at_ = 0;  // cursor positions of name lists, 0: none
  size_t key_at_ = 0;
  size_t within_begin_ = 0;
};

}  // namespace

Result<ColumnList> ExpectColumnList(Cursor& cursor, catalog::Kind kind) {
  return ColumnListParser(cursor, kind).Run();
}

Result<ColumnList> ExpectOneColumn(Cursor& cursor, catalog::Kind kind) {
  return ColumnListParser(cursor, kind).RunOne();
}

Result<std::vector<std::string>> ExpectColumnNames(Cursor& cursor, const rows::Schema* schema,
                                                   std::string_view what) {
  std::vector<std::string> names;
  TRY(cursor.ExpectSymbol('(', fmt::format("and {}", what)));
  do {
    TRY(const PlacedName name, cursor.ExpectName("the name of a column"));
    if (cursor.AtSymbol('(')) {
      return cursor.At(name.begin, Error(Code::kNotSupported,
                                         "an expression cannot stand here, only names of columns"));
    }
    for (const std::string& other : names) {
      if (!rows::EqualNames(other, name.name)) continue;
      return cursor.At(name.begin,
                       Error(Code::kInvalidArgument, "column {} is named twice", Quoted(name.name))
                           .SqlState("42701"));
    }
    std::string written = name.name;
    if (schema != nullptr) {
      const auto found = schema->Find(name.name);
      if (!found) {
        return cursor.At(name.begin,
                         Error(Code::kNotFound, "column {} does not exist", Quoted(name.name))
                             .Hint(DidYouMean(name.name, schema->names()))
                             .SqlState("42703"));
      }
      written = schema->columns[*found].name;
    }
    names.push_back(std::move(written));
  } while (cursor.AcceptSymbol(','));
  TRY(cursor.ExpectSymbol(')', "or a comma after the column"));
  return names;
}

Result<std::vector<catalog::EndpointDefinition::Parameter>> ExpectParameters(Cursor& cursor) {
  std::vector<catalog::EndpointDefinition::Parameter> parameters;
  TRY(cursor.ExpectSymbol('(', "and the parameters"));
  if (cursor.AcceptSymbol(')')) return parameters;
  do {
    TRY(const PlacedName name, cursor.ExpectName("the name of a parameter"));
    for (const auto& other : parameters) {
      if (!rows::EqualNames(other.name, name.name)) continue;
      return cursor.At(name.begin, Error(Code::kInvalidArgument, "parameter {} is declared twice",
                                         Quoted(name.name))
                                       .SqlState("42701"));
    }
    catalog::EndpointDefinition::Parameter parameter;
    parameter.name = name.name;
    TRY(parameter.type, ExpectType(cursor, name));
    while (!cursor.AtEnd() && !cursor.AtSymbol(',') && !cursor.AtSymbol(')')) {
      if (cursor.Accept({"DEFAULT"})) {
        TRY(parameter.default_value, ExpectDefault(cursor, name, parameter.type));
      } else if (cursor.Accept({"CHECK"})) {
        TRY(const Cursor::Slice check,
            cursor.ExpectParenthesised("a condition in parentheses after CHECK"));
        TRY(CheckExpression(cursor, check, "CHECK", {name.name}));
        parameter.check = check.text;
      } else {
        return cursor.Unexpected("DEFAULT, CHECK, a comma or )", {"DEFAULT", "CHECK"});
      }
    }
    parameters.push_back(std::move(parameter));
  } while (cursor.AcceptSymbol(','));
  TRY(cursor.ExpectSymbol(')', "or a comma after the parameter"));
  return parameters;
}

}  // namespace millrace::sql
