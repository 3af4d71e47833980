#include "sql/parser_create.h"

#include <set>

#include "catalog/raw_stream.h"
#include "duckdb/parser/keyword_helper.hpp"
#include "rows/schema.h"
#include "sql/duckdb_error.h"
#include "sql/parser_columns.h"
#include "sql/parser_duckdb.h"
#include "sql/parser_endpoint.h"
#include "sql/parser_stream_options.h"
#include "sql/parser_table_options.h"
#include "sql/parser_values.h"
#include "sql/parser_view_options.h"
#include "sql/parser_vocabulary.h"

namespace millrace::sql {
namespace {

constexpr size_t kNameBytesMax = 249;  // Kafka's limit for topics

const std::vector<std::string>& LaterKinds() {
  static const std::vector<std::string> kinds = {
      "SINK",     "JOB",       "CHECK",  "ALERT",   "CHART",    "CONNECTION", "SCHEMA",
      "SEQUENCE", "DASHBOARD", "SECRET", "TRIGGER", "DATABASE", "ROLE",       "USER"};
  return kinds;
}

class CreateParser {
 public:
  explicit CreateParser(Cursor& cursor) : cursor_(cursor) {}

  Result<CreateStatement> Run() {
    const size_t begin = cursor_.Peek().begin;
    if (cursor_.Accept({"OR"})) {
      TRY(cursor_.Expect({"REPLACE"}));
      create_.or_replace = true;
    }
    if (cursor_.AtWord("TEMP") || cursor_.AtWord("TEMPORARY")) {
      return cursor_.At(cursor_.Peek().begin,
                        Error(Code::kNotSupported, "temporary objects are not available"));
    }
    if (cursor_.Accept({"STREAM"}))
      return Named(catalog::Kind::kStream, "STREAM", &CreateParser::Stream);
    if (cursor_.Accept({"TABLE"}))
      return Named(catalog::Kind::kTable, "TABLE", &CreateParser::Table);
    if (cursor_.Accept({"MATERIALIZED"})) {
      TRY(cursor_.Expect({"VIEW"}));
      materialized_ = true;
      return Named(catalog::Kind::kView, "MATERIALIZED VIEW", &CreateParser::View);
    }
    if (cursor_.Accept({"VIEW"})) return Named(catalog::Kind::kView, "VIEW", &CreateParser::View);
    if (cursor_.AtWord("UNIQUE")) {
      return cursor_.At(cursor_.Peek().begin,
                        Error(Code::kNotSupported, "a unique index is not available")
                            .Hint("a table's unique key is its PRIMARY KEY"));
    }
    if (cursor_.Accept({"INDEX"})) return Index();
    if (cursor_.Accept({"ENDPOINT"}))
      return Named(catalog::Kind::kEndpoint, "ENDPOINT", &CreateParser::Endpoint);
    if (cursor_.Accept({"SOURCE"}))
      return Named(catalog::Kind::kSource, "SOURCE", &CreateParser::Source);
    if (cursor_.Accept({"TYPE"})) return Named(catalog::Kind::kType, "TYPE", &CreateParser::Type);
    if (cursor_.Accept({"MACRO"}) || cursor_.Accept({"FUNCTION"}))
      return Named(catalog::Kind::kMacro, "MACRO", &CreateParser::Macro);
    if (cursor_.Accept({"MODEL"}))
      return Named(catalog::Kind::kModel, "MODEL", &CreateParser::Model);
    if (cursor_.Peek().kind == Token::Kind::kWord &&
        IsLaterKind(NameOf(cursor_.text(), cursor_.Peek())))
      return Later(begin);
    return cursor_.Unexpected(
        "what to create: STREAM, TABLE, MATERIALIZED VIEW, VIEW, INDEX, ENDPOINT, SOURCE, TYPE, "
        "MACRO or MODEL",
        SingularKinds());
  }

 private:
  using Body = Status (CreateParser::*)(const std::string& name);

  Error Later(size_t begin) {
    std::string word = NameOf(cursor_.text(), cursor_.Peek());
    for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    cursor_.Advance();
    std::string name;
    const Token& next = cursor_.Peek();
    if (next.kind == Token::Kind::kWord || next.kind == Token::Kind::kQuotedName)
      name = " " + NameOf(cursor_.text(), next);
    return cursor_.At(begin,
                      Error(Code::kNotSupported, "CREATE {}{}: not available yet", word, name));
  }

  Status IfNotExists() {
    const size_t begin = cursor_.Peek().begin;
    if (!cursor_.Accept({"IF"})) return Ok();
    TRY(cursor_.Expect({"NOT", "EXISTS"}));
    create_.if_not_exists = true;
    if (!create_.or_replace) return Ok();
    return cursor_.At(
        begin, Error(Code::kInvalidArgument, "OR REPLACE and IF NOT EXISTS exclude each other")
                   .SqlState("42601"));
  }

  // [IF NOT EXISTS] name, then the body, whose errors name the object.
  Result<CreateStatement> Named(catalog::Kind kind, std::string_view words, Body body) {
    TRY(IfNotExists());
    Result<std::string> name = ExpectNewName(cursor_, kind);
    if (!name.ok()) return std::move(name).error().With(fmt::format("CREATE {}", words));
    if (Status status = (this->*body)(*name); !status.ok()) {
      return std::move(status).error().With(fmt::format("CREATE {} {}", words, *name));
    }
    for (const std::string& type : cursor_.types_noted())
      create_.uses.push_back({catalog::Kind::kType, type});
    return std::move(create_);
  }

  // ---- streams and tables

  Status Stream(const std::string& name) {
    if (cursor_.AtWord("AS")) return NotFromSelect("a stream");
    catalog::StreamDefinition stream;
    stream.name = name;
    // Only a raw stream has no columns to declare.
    const bool declared = !cursor_.AtWord("INTO") && !cursor_.AtWord("WITH");
    if (declared) {
      TRY(ColumnList columns, ExpectColumnList(cursor_, catalog::Kind::kStream));
      stream.schema = std::move(columns.schema);
      stream.checks = std::move(columns.checks);
      stream.watermark = std::move(columns.watermark);
      stream.deduplicate = std::move(columns.deduplicate);
    }
    if (declared && cursor_.Accept({"PARTITION"})) {
      TRY(cursor_.Expect({"BY"}));
      TRY(stream.partition_by,
          ExpectColumnNames(cursor_, &stream.schema, "the columns that choose the partition"));
    }
    if (cursor_.AtWord("INTO")) {
      TRY(stream.partitions, ExpectPartitions(cursor_));
    }
    if (cursor_.Accept({"WITH"})) TRY(ExpectStreamOptions(cursor_, stream, /*created=*/true));
    TRY(cursor_.ExpectEnd("PARTITION BY, INTO n PARTITIONS, WITH", {"PARTITION", "INTO", "WITH"}));
    if (!declared) {
      if (stream.format != catalog::StreamDefinition::Format::kRaw)
        return cursor_.At(cursor_.Peek().begin,
                          Error(Code::kInvalidArgument, "the columns of the stream are missing")
                              .Hint("WITH (format = 'raw') takes records as they are"));
      stream.schema = catalog::RawSchema();
    }
    create_.definition = std::move(stream);
    return Ok();
  }

  Error NotFromSelect(std::string_view what) const {
    return cursor_.At(
        cursor_.Peek().begin,
        Error(Code::kNotSupported, "{} is declared by its columns, not by a SELECT", what)
            .Hint("CREATE MATERIALIZED VIEW … AS SELECT keeps the rows of a SELECT up to date"));
  }

  Status Table(const std::string& name) {
    if (cursor_.AtWord("AS")) return NotFromSelect("a table");
    catalog::TableDefinition table;
    table.name = name;
    TRY(ColumnList columns, ExpectColumnList(cursor_, catalog::Kind::kTable));
    table.schema = std::move(columns.schema);
    table.checks = std::move(columns.checks);
    table.primary_key = std::move(columns.primary_key);
    if (cursor_.AtWord("AS")) return NotFromSelect("a table");
    if (cursor_.AtWord("PARTITION") || cursor_.AtWord("INTO")) {
      return cursor_.At(
          cursor_.Peek().begin,
          Error(Code::kNotSupported, "a table has one partition; only streams have more"));
    }
    if (cursor_.Accept({"WITH"})) {
      TRY(create_.topic_begin, ExpectTableOptions(cursor_, table));
    }
    TRY(cursor_.ExpectEnd("WITH", {"WITH"}));
    create_.definition = std::move(table);
    return Ok();
  }

  // ---- views

  Status View(const std::string& name) {
    catalog::ViewDefinition view;
    view.name = name;
    view.materialized = materialized_;
    TRY(const std::string columns, ColumnNames());
    if (cursor_.Accept({"WITH"})) TRY(ExpectViewOptions(cursor_, view));
    TRY(view.select, Select(cursor_.AtWord("WITH") ? "AS" : "AS and a SELECT"));
    if (!columns.empty())
      view.select =
          fmt::format("{}{}{}{}", kNamedSelectBegin, view.select, kNamedSelectEnd, columns);
    view.emit_on_close = emit_on_close_;
    TRY(NoParameters("a view"));
    create_.definition = std::move(view);
    return Ok();
  }

  // (a, b) after the view's name, as text; empty where there is none.
  Result<std::string> ColumnNames() {
    if (!cursor_.AcceptSymbol('(')) return std::string();
    std::string names;
    do {
      TRY(const PlacedName column, cursor_.ExpectName("the name of a column"));
      names += (names.empty() ? "(" : ", ") + duckdb::KeywordHelper::WriteQuoted(column.name, '"');
    } while (cursor_.AcceptSymbol(','));
    TRY(cursor_.ExpectSymbol(')', "or a comma after the column"));
    return names + ")";
  }

  // AS SELECT …, to the end of the statement.
  Result<std::string> Select(std::string_view expected) {
    if (!cursor_.Accept({"AS"})) return cursor_.Unexpected(expected, {"AS", "WITH"});
    if (cursor_.AtEnd()) return cursor_.Unexpected("a SELECT after AS");
    select_at_ = cursor_.position();
    TRY(const size_t end, EmitOnClose());
    cursor_.Seek(select_at_);
    const Cursor::Slice select = emit_on_close_ ? cursor_.Between(select_at_, end) : cursor_.Rest();
    create_.select_begin = select.begin;
    TRY(CheckSelect(cursor_, select));
    return select.text;
  }

  // Finds EMIT ON WINDOW CLOSE behind the SELECT at the cursor; where it begins.
  Result<size_t> EmitOnClose() {
    for (; !cursor_.AtEnd(); cursor_.Advance()) {
      if (!cursor_.AtWord("EMIT") || !cursor_.AtWord("ON", 1) || !cursor_.AtWord("WINDOW", 2))
        continue;
      const size_t end = cursor_.position();
      const size_t begin = cursor_.Peek().begin;
      TRY(cursor_.Expect({"EMIT", "ON", "WINDOW", "CLOSE"}));
      TRY(cursor_.ExpectEnd("the end of the statement", {}));
      if (!materialized_) {
        return cursor_.At(
            begin, Error(Code::kInvalidArgument, "EMIT ON WINDOW CLOSE is of materialized views")
                       .SqlState("42601"));
      }
      emit_on_close_ = true;
      return end;
    }
    return cursor_.position();
  }

  // REQUIRES: Select has been called.
  Status NoParameters(std::string_view what) {
    for (cursor_.Seek(select_at_); !cursor_.AtEnd(); cursor_.Advance()) {
      if (cursor_.Peek().kind != Token::Kind::kParameter) continue;
      return cursor_.At(
          cursor_.Peek().begin,
          Error(Code::kInvalidArgument, "{} takes no parameters", what).SqlState("42P02"));
    }
    return Ok();
  }

  // ---- indexes, endpoints, sources

  // CREATE INDEX [IF NOT EXISTS] [name] ON relation (columns)
  Result<CreateStatement> Index() {
    TRY(IfNotExists());
    catalog::IndexDefinition index;
    if (!cursor_.AtWord("ON")) {
      Result<std::string> name = ExpectNewName(cursor_, catalog::Kind::kIndex);
      if (!name.ok()) return std::move(name).error().With("CREATE INDEX");
      index.name = *name;
    }
    const std::string context = index.name.empty() ? "CREATE INDEX" : "CREATE INDEX " + index.name;
    if (Status status = IndexBody(index); !status.ok())
      return std::move(status).error().With(context);
    create_.definition = std::move(index);
    return std::move(create_);
  }

  Status IndexBody(catalog::IndexDefinition& index) {
    TRY(cursor_.Expect({"ON"}));
    TRY(const PlacedName relation,
        cursor_.ExpectReference("the name of a materialized view or table"));
    index.relation = relation.name;
    if (cursor_.AtWord("USING")) {
      return cursor_.At(
          cursor_.Peek().begin,
          Error(Code::kNotSupported, "kinds of indexes are not available: there is one"));
    }
    TRY(index.columns, ExpectColumnNames(cursor_, nullptr, "the columns of the index"));
    TRY(cursor_.ExpectEnd("", {}));
    if (index.name.empty()) {
      index.name = index.relation;
      for (const std::string& column : index.columns) index.name += "_" + column;
      index.name += "_idx";
    }
    return Ok();
  }

  Status Endpoint(const std::string& name) {
    catalog::EndpointDefinition endpoint;
    endpoint.name = name;
    TRY(cursor_.Expect({"ON"}));
    TRY(Method(endpoint));
    const size_t path_begin = cursor_.Peek().begin;
    TRY(endpoint.path, cursor_.ExpectString("a path such as '/users/{user_id}'"));
    if (cursor_.AtSymbol('(')) {
      TRY(endpoint.parameters, ExpectParameters(cursor_));
    }
    TRY(CheckEndpointPath(cursor_, endpoint, path_begin));
    TRY(endpoint.select,
        Select(endpoint.parameters.empty() ? "parameters in parentheses, or AS and a SELECT"
                                           : "AS and a SELECT"));
    TRY(CheckEndpointParameters(cursor_, endpoint, select_at_));
    create_.definition = std::move(endpoint);
    return Ok();
  }

  Status Method(catalog::EndpointDefinition& endpoint) {
    if (cursor_.Accept({"GET"})) return Ok();
    for (std::string_view method : {"POST", "PUT", "DELETE", "PATCH", "HEAD"}) {
      if (!cursor_.AtWord(method)) continue;
      return cursor_.At(
          cursor_.Peek().begin,
          Error(Code::kNotSupported, "method {} is not available: an endpoint reads", method)
              .Hint("write ON GET '/path'"));
    }
    endpoint.method = "GET";
    return cursor_.Unexpected("GET and a path", {"GET"});
  }

  // CREATE SOURCE name INTO relation FROM connector (option = value, …)
  Status Source(const std::string& name) {
    static const std::vector<std::string> connectors = {"datagen"};
    static const std::set<std::string> later = {"kafka", "postgres", "mysql",   "http",
                                                "files", "kinesis",  "mongodb", "s3"};
    catalog::SourceDefinition source;
    source.name = name;
    TRY(cursor_.Expect({"INTO"}));
    TRY(const PlacedName into, cursor_.ExpectReference("the name of a stream or table"));
    source.into = into.name;
    TRY(cursor_.Expect({"FROM"}));
    TRY(const PlacedName connector, cursor_.ExpectName("the name of a connector such as datagen"));
    source.connector = rows::LowerName(connector.name);
    if (later.contains(source.connector)) {
      return cursor_.At(
          connector.begin,
          Error(Code::kNotSupported, "connector {} is not available yet", source.connector)
              .Hint("the connector of this version is datagen"));
    }
    if (std::find(connectors.begin(), connectors.end(), source.connector) == connectors.end()) {
      std::string hint = DidYouMeanWord(source.connector, connectors);
      return cursor_.At(
          connector.begin,
          Error(Code::kNotFound, "there is no connector {}", Quoted(connector.name))
              .Hint(hint.empty() ? "the connector of this version is datagen" : std::move(hint)));
    }
    if (cursor_.AtSymbol('(')) {
      TRY(const std::vector<Option> options, ExpectOptions(cursor_));
      for (const Option& option : options) source.options.emplace(option.name, option.value);
    }
    TRY(cursor_.ExpectEnd("options in parentheses", {}));
    create_.definition = std::move(source);
    return Ok();
  }

  // ---- types and macros

  Status Type(const std::string& name) {
    TRY(create_.definition, ExpectTypeBody(cursor_, name));
    return Ok();
  }

  Status Macro(const std::string& name) {
    create_.select_begin = cursor_.Peek().begin;
    TRY(create_.definition, ExpectMacroBody(cursor_, name));
    return Ok();
  }

  // CREATE MODEL name FROM 'file'
  Status Model(const std::string& name) {
    catalog::ModelDefinition model;
    model.name = name;
    TRY(cursor_.Expect({"FROM"}));
    create_.select_begin = cursor_.Peek().begin;
    TRY(model.path, cursor_.ExpectString("the path of an ONNX file, such as 'models/churn.onnx'"));
    TRY(cursor_.ExpectEnd("", {}));
    create_.definition = std::move(model);
    return Ok();
  }

  Cursor& cursor_;
  CreateStatement create_;
  bool materialized_ = false;
  bool emit_on_close_ = false;
  size_t select_at_ = 0;  // cursor position of the SELECT
};

bool IsPart(std::string_view lower, std::string_view suffix) {
  return lower.size() > suffix.size() && lower.ends_with(suffix);
}

}  // namespace

// A name that an object may take. Schemas other than the default one hold no objects made by these
// statements.
Result<std::string> ExpectNewName(Cursor& cursor, catalog::Kind kind) {
  const size_t begin = cursor.Peek().begin;
  const bool dotted = cursor.AtSymbol('.', 1);
  const std::string what = fmt::format("the name of the {}", catalog::KindName(kind));
  TRY(PlacedName name, dotted ? cursor.ExpectReference(what) : cursor.ExpectName(what));
  const std::string lower = rows::LowerName(name.name);
  const auto refuse = [&](std::string message) {
    return cursor.At(begin, Error(Code::kInvalidArgument, std::move(message)).SqlState("42602"));
  };
  if (dotted && name.name.find('.') != std::string::npos) {
    return refuse(fmt::format("a {} stands in schema public: {} cannot be created in another",
                              catalog::KindName(kind), name.name));
  }
  if (name.name.size() > kNameBytesMax)
    return refuse(fmt::format("a name has at most {} bytes", kNameBytesMax));
  if (lower.starts_with("__"))
    return refuse("names that begin with __ are kept for Millrace's own topics");
  if (IsPart(lower, ".quarantine") || IsPart(lower, ".late")) {
    return refuse("names that end in .quarantine or .late are kept for what streams refuse");
  }
  return name.name;
}

const std::vector<KindWord>& KindWords() {
  static const std::vector<KindWord> words = {{"STREAM", "STREAMS", catalog::Kind::kStream},
                                              {"TABLE", "TABLES", catalog::Kind::kTable},
                                              {"VIEW", "VIEWS", catalog::Kind::kView},
                                              {"INDEX", "INDEXES", catalog::Kind::kIndex},
                                              {"SOURCE", "SOURCES", catalog::Kind::kSource},
                                              {"ENDPOINT", "ENDPOINTS", catalog::Kind::kEndpoint},
                                              {"TYPE", "TYPES", catalog::Kind::kType},
                                              {"MACRO", "MACROS", catalog::Kind::kMacro},
                                              {"FUNCTION", "FUNCTIONS", catalog::Kind::kMacro},
                                              {"MODEL", "MODELS", catalog::Kind::kModel}};
  return words;
}

bool IsLaterKind(std::string_view word) {
  for (const std::string& kind : LaterKinds()) {
    if (rows::EqualNames(kind, word)) return true;
  }
  return false;
}

std::vector<std::string> SingularKinds() {
  std::vector<std::string> words = {"MATERIALIZED"};
  for (const KindWord& word : KindWords()) words.emplace_back(word.singular);
  return words;
}

Result<CreateStatement> ParseCreate(Cursor& cursor) { return CreateParser(cursor).Run(); }

}  // namespace millrace::sql
