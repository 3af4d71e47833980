#include "catalog/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/random.h"
#include "catalog/sql_text.h"

namespace millrace::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

uint64_t Seed() {
  const char* text = std::getenv("MILLRACE_SEED");
  return text == nullptr ? 20260101 : std::strtoull(text, nullptr, 10);
}

rows::Column MakeColumn(std::string name, const std::string& type) {
  rows::Column column;
  column.name = std::move(name);
  column.type = ParseType(type).value();
  return column;
}

Object Stream(const std::string& name) {
  StreamDefinition stream;
  stream.name = name;
  stream.schema.columns = {MakeColumn("id", "BIGINT"), MakeColumn("at", "TIMESTAMP")};
  Object object;
  object.definition = stream;
  object.from_project = true;
  return object;
}

Object View(const std::string& name, std::vector<std::string> reads, bool materialized = true) {
  ViewDefinition view;
  view.name = name;
  view.materialized = materialized;
  view.select = "SELECT * FROM " + (reads.empty() ? std::string("nothing") : reads.front());
  view.reads = std::move(reads);
  Object object;
  object.definition = view;
  object.from_project = true;
  return object;
}

Object Index(const std::string& name, const std::string& relation) {
  Object object;
  object.definition = IndexDefinition{name, relation, {"id"}};
  object.from_project = true;
  return object;
}

Object Source(const std::string& name, const std::string& into) {
  Object object;
  object.definition = SourceDefinition{name, into, "datagen", {}};
  object.from_project = true;
  return object;
}

Change Make(Object object) { return Create{.object = std::move(object), .replace = false}; }
Change Replace(Object object) { return Create{.object = std::move(object), .replace = true}; }
Change Remove(std::string name, Kind kind) { return Drop{std::move(name), kind}; }

CatalogPtr With(const std::vector<Change>& changes) {
  return Catalog::Empty()->Apply(changes).value();
}

std::vector<std::string> Names(const std::vector<const Object*>& objects) {
  std::vector<std::string> names;
  for (const Object* object : objects) names.push_back(object->name());
  return names;
}

std::vector<std::string> Lines(const Difference& difference) {
  std::vector<std::string> lines;
  for (const auto& item : difference.items) {
    const char* sign = item.what == Difference::What::kCreate ? "+"
                       : item.what == Difference::What::kDrop ? "-"
                                                              : "~";
    lines.push_back(sign + item.name + (item.loses_data ? " loses data" : "") +
                    (item.backfill ? " backfill" : ""));
  }
  return lines;
}

TEST(Catalog, FindsNamesWithoutCase) {
  const CatalogPtr catalog = With({Make(Stream("Clicks"))});
  ASSERT_NE(catalog->Find("cLICKS"), nullptr);
  EXPECT_EQ(catalog->Find("clicks")->name(), "Clicks");
  EXPECT_NE(catalog->FindStream("clicks"), nullptr);
  EXPECT_EQ(catalog->FindTable("clicks"), nullptr);
  EXPECT_EQ(catalog->version(), 1u);
  EXPECT_EQ(catalog->Find("clicks")->generation, 1u);
}

TEST(Catalog, RefusesANameThatDiffersInCaseOnly) {
  const auto result = With({Make(Stream("Clicks"))})->Apply({Make(View("clicks", {}))});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(result.error().message(), HasSubstr("stream \"Clicks\" exists"));
}

TEST(Catalog, LetsASourceBeNamedLikeItsStream) {
  const CatalogPtr catalog = With({Make(Stream("rates")), Make(Source("rates", "rates"))});
  EXPECT_EQ(catalog->Find("rates")->kind(), Kind::kStream);
  EXPECT_NE(catalog->Find(Kind::kSource, "rates"), nullptr);
  EXPECT_THAT(Names(catalog->DependentObjects("rates")), ElementsAre("rates"));
}

TEST(Catalog, OrdersObjectsAfterWhatTheyReadWhateverTheOrderOfTheChanges) {
  const CatalogPtr catalog =
      With({Make(View("a", {"m"})), Make(View("m", {"z"})), Make(Stream("z")), Make(Stream("b"))});
  EXPECT_THAT(Names(catalog->InOrder()), ElementsAre("b", "z", "m", "a"));
  EXPECT_THAT(catalog->DependentsOf("Z"), ElementsAre("m", "a"));
  EXPECT_THAT(catalog->DependentsOf("b"), ElementsAre());
}

TEST(Catalog, AViewOverTheQuarantineStandsOnTheStream) {
  const CatalogPtr catalog = With({Make(Stream("clicks")), Make(View("bad", {"clicks.quarantine"})),
                                   Make(View("errors", {"millrace.errors"}))});
  EXPECT_THAT(catalog->DependentsOf("clicks"), ElementsAre("bad"));
  EXPECT_EQ(catalog->DependencyOf("public.CLICKS.late"), "clicks");
  EXPECT_EQ(catalog->DependencyOf("millrace.errors"), "");
  EXPECT_FALSE(catalog->Apply({Remove("clicks", Kind::kStream)}).ok());
}

TEST(Catalog, NamesTheMembersOfACycle) {
  const auto result = Catalog::Empty()->Apply(
      {Make(View("a", {"b"})), Make(View("b", {"c"})), Make(View("c", {"a"}))});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(),
              HasSubstr(R"(view "a" reads view "b" reads view "c" reads view "a")"));
}

TEST(Catalog, NamesTheMissingRelationAndTheNearestOne) {
  const auto result = With({Make(Stream("clicks"))})->Apply({Make(View("v", {"cliks"}))});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kNotFound);
  EXPECT_THAT(result.error().message(), HasSubstr(R"(view "v": relation "cliks" does not exist)"));
  EXPECT_EQ(result.error().hint(), R"(did you mean "clicks"?)");
}

TEST(Catalog, RefusesToDropWhatIsStillRead) {
  const CatalogPtr catalog =
      With({Make(Stream("s")), Make(View("v", {"s"})), Make(View("w", {"v"}))});
  const auto refused = catalog->Apply({Remove("s", Kind::kStream)});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kConflict);
  EXPECT_THAT(refused.error().message(), HasSubstr(R"(cannot drop stream "s": view "v" needs it)"));
  const auto all = catalog->Apply(
      {Remove("s", Kind::kStream), Remove("v", Kind::kView), Remove("w", Kind::kView)});
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE((*all)->InOrder().empty());
  EXPECT_EQ(catalog->InOrder().size(), 3u) << "the old catalog is a value that stays";
}

TEST(Catalog, RefusesToDropAStreamThatANewViewOfTheSameListReads) {
  const auto result =
      With({Make(Stream("s"))})->Apply({Remove("s", Kind::kStream), Make(View("v", {"s"}))});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), HasSubstr(R"(view "v" needs it)"));
}

TEST(Catalog, SaysWhatKindTheObjectIsWhenTheWrongOneIsDropped) {
  const auto result = With({Make(Stream("s"))})->Apply({Remove("s", Kind::kTable)});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().hint(), "\"s\" is a stream");
}

TEST(Catalog, ReplacesOnlyTheSameKindAndNotesTheNewGeneration) {
  const CatalogPtr catalog = With({Make(Stream("s")), Make(View("v", {"s"}))});
  const auto replaced = catalog->Apply({Replace(View("V", {"s"}))});
  ASSERT_TRUE(replaced.ok());
  EXPECT_EQ((*replaced)->Find("v")->generation, 2u);
  EXPECT_EQ((*replaced)->Find("s")->generation, 1u);
  EXPECT_FALSE(catalog->Apply({Replace(View("s", {}))}).ok());
  EXPECT_FALSE(catalog->Apply({Make(View("v", {"s"}))}).ok());
}

TEST(Catalog, RefusesAnIndexOnAStreamOrAPlainView) {
  const CatalogPtr catalog =
      With({Make(Stream("s")), Make(View("p", {"s"}, false)), Make(View("m", {"s"}))});
  EXPECT_FALSE(catalog->Apply({Make(Index("i", "s"))}).ok());
  EXPECT_FALSE(catalog->Apply({Make(Index("i", "p"))}).ok());
  EXPECT_TRUE(catalog->Apply({Make(Index("i", "m"))}).ok());
  EXPECT_FALSE(catalog->Apply({Make(Source("d", "m"))}).ok()) << "a source writes into no view";
}

// ---- the log record

std::vector<Change> EveryKind() {
  const std::string odd = "na\"me'; -- \n\xC3\xA9\xF0\x9F\x98\x80\x01";
  StreamDefinition stream;
  stream.name = odd;
  rows::Column column = MakeColumn(odd, "DECIMAL(10,2)");
  column.not_null = true;
  column.default_value = ConstantFromSql("12.50", column.type).value();
  column.id = 7;
  stream.schema.columns = {column,
                           MakeColumn("e", "ENUM('a', 'b''c')"),
                           MakeColumn("s", "STRUCT(\"x y\" INTEGER, l VARCHAR[])"),
                           MakeColumn("j", "JSON"),
                           MakeColumn("m", "MAP(VARCHAR, DOUBLE)"),
                           MakeColumn("a", "INTEGER[3]")};
  const std::vector<std::pair<std::string, std::string>> defaults = {
      {"VARCHAR", "'it''s\n'"},
      {"TIMESTAMP", "'2020-01-02 03:04:05.678901'"},
      {"TIMESTAMPTZ", "'2020-01-02 03:04:05+02'"},
      {"BLOB", "'\\x00\\xFF'"},
      {"INTERVAL", "INTERVAL 3 DAYS"},
      {"DOUBLE", "'nan'"},
      {"FLOAT", "0.1"},
      {"UUID", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"},
      {"HUGEINT", "170141183460469231731687303715884105727"},
      {"INTEGER", "NULL"},
      {"BOOLEAN", "true"},
      {"DATE", "DATE '2020-01-01'"},
      {"VARCHAR[]", "['a', NULL, 'b''c']"},
      {"STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': 'x'}"},
      {"BIGINT", "-9223372036854775808"},
      {"TIME", "'12:34:56'"}};
  for (const auto& [type, text] : defaults) {
    rows::Column with_default =
        MakeColumn("c" + std::to_string(stream.schema.columns.size()), type);
    with_default.default_value = ConstantFromSql(text, with_default.type).value();
    stream.schema.columns.push_back(std::move(with_default));
  }
  stream.checks = {{"a > 0"}, {odd}};
  stream.watermark = {"at", std::chrono::seconds(10)};
  stream.deduplicate = {{"a", "b"}, std::chrono::hours(24)};
  stream.partition_by = {"a"};
  stream.partitions = 8;
  stream.on_invalid = StreamDefinition::OnInvalid::kReject;
  stream.late = StreamDefinition::Late::kDivert;
  stream.retention = std::chrono::hours(1);
  stream.retention_bytes = 10;
  TableDefinition table{"t", stream.schema, {{"x"}}, {"a", "b"}, "seed.csv"};
  ViewDefinition view{.name = "v",
                      .materialized = true,
                      .select = odd,
                      .schema = stream.schema,
                      .reads = {"t", odd},
                      .on_error = ViewDefinition::OnError::kStop,
                      .history = ViewDefinition::History::kNone};
  EndpointDefinition endpoint;
  endpoint.name = "e";
  endpoint.path = "/a/{n}";
  endpoint.parameters = {{"n", duckdb::LogicalType::INTEGER, duckdb::Value::INTEGER(10), "n > 0"},
                         {"m", duckdb::LogicalType::VARCHAR, std::nullopt, ""}};
  endpoint.select = "SELECT $n";
  endpoint.reads = {"v"};
  std::vector<Change> changes = {Remove(odd, Kind::kEndpoint)};
  for (Definition definition :
       {Definition(stream), Definition(table), Definition(view),
        Definition(IndexDefinition{"i", "v", {"a"}}),
        Definition(SourceDefinition{"src", odd, "datagen", {{"rows_per_second", "10"}, {odd, ""}}}),
        Definition(endpoint)}) {
    Object object;
    object.definition = std::move(definition);
    object.text = odd;
    object.file = "a.sql";
    object.line = 12;
    object.from_project = true;
    object.generation = 99;
    object.topic_id = 1ull << 60;
    changes.push_back(Create{.object = object, .replace = changes.size() % 2 == 0});
  }
  return changes;
}

TEST(CatalogRecord, ComesBackAsItWasForEveryKindNameAndType) {
  const std::vector<Change> changes = EveryKind();
  const std::string bytes = EncodeChanges(42, changes);
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_EQ(decoded->first, 42u);
  EXPECT_EQ(EncodeChanges(42, decoded->second), bytes);
  const auto& before = std::get<StreamDefinition>(std::get<Create>(changes[1]).object.definition);
  const auto& after =
      std::get<StreamDefinition>(std::get<Create>(decoded->second[1]).object.definition);
  ASSERT_EQ(after.schema.columns.size(), before.schema.columns.size());
  for (size_t i = 0; i < before.schema.columns.size(); ++i) {
    const rows::Column& was = before.schema.columns[i];
    const rows::Column& is = after.schema.columns[i];
    SCOPED_TRACE(was.name + " " + was.type.ToString());
    EXPECT_EQ(was.type, is.type);
    ASSERT_EQ(was.default_value.has_value(), is.default_value.has_value());
    if (was.default_value) {
      EXPECT_TRUE(duckdb::Value::NotDistinctFrom(*was.default_value, *is.default_value));
    }
  }
  EXPECT_EQ(after.watermark->delay, std::chrono::seconds(10));
  EXPECT_EQ(after.late, StreamDefinition::Late::kDivert);
  EXPECT_EQ(*after.retention_bytes, 10);
}

TEST(CatalogRecord, OpensTheBytesOfVersionOne) {
  // A record as the first release wrote it: CREATE of source "d" into "s", catalog version 3.
  const std::string body(
      "\x01\x03\x01\x01\x04\x01"
      "d\x01"
      "s\x07"
      "datagen\x00\x01"
      "x\x01"
      "f\x04\x01\x03\x00",
      26);
  std::string bytes = body;
  PutFixed<uint32_t>(bytes, Crc32c(body));
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  const Object& object = std::get<Create>(decoded->second.at(0)).object;
  EXPECT_EQ(std::get<SourceDefinition>(object.definition).into, "s");
  EXPECT_EQ(object.line, 2);
  EXPECT_EQ(object.generation, 3u);
}

TEST(CatalogRecord, IsCorruptWhenAnyByteChangesOrIsMissing) {
  const std::string bytes = EncodeChanges(1, {Make(Stream("s"))});
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    const auto changed = DecodeChanges(damaged);
    ASSERT_FALSE(changed.ok()) << i;
    EXPECT_EQ(changed.error().code(), Code::kCorruption);
    const auto cut = DecodeChanges(std::string_view(bytes).substr(0, i));
    ASSERT_FALSE(cut.ok()) << i;
    EXPECT_EQ(cut.error().code(), Code::kCorruption);
  }
}

TEST(CatalogRecord, OfAnyBytesUnderAValidChecksumNeverCrashes) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(seed);
  Random random(seed);
  const std::string valid = EncodeChanges(1, EveryKind());
  const std::string body = valid.substr(0, valid.size() - 4);
  for (int round = 0; round < 150; ++round) {
    std::string damaged = body;
    for (uint64_t edits = 1 + random.Below(4); edits > 0; --edits) {
      const size_t at = random.Below(damaged.size());
      if (random.OneIn(4)) {
        damaged.resize(at + 1);
      } else {
        damaged[at] = static_cast<char>(random.Next());
      }
    }
    PutFixed<uint32_t>(damaged, Crc32c(damaged));
    const auto decoded = DecodeChanges(damaged);
    if (!decoded.ok()) {
      EXPECT_EQ(decoded.error().code(), Code::kCorruption);
    }
  }
}

// ---- differences

TEST(Diff, OfTheSameProjectIsEmptyWhateverItsWhiteSpaceCommentsAndCase) {
  const CatalogPtr catalog = With({Make(Stream("s")), Make(View("v", {"s"}))});
  Object view = View("V", {"S"});
  std::get<ViewDefinition>(view.definition).select = "select  *\n FROM /* all */ s -- rows\n";
  const auto difference = Diff(*catalog, {view, Stream("s")});
  ASSERT_TRUE(difference.ok()) << difference.error().ToString();
  EXPECT_THAT(Lines(*difference), ElementsAre());
  EXPECT_TRUE(difference->changes.empty());
}

TEST(Diff, CreatesInTheOrderOfDependenciesAndDropsInReverse) {
  const auto first =
      Diff(*Catalog::Empty(), {View("a", {"b"}), View("b", {"s"}), Stream("s"), Index("i", "a")});
  ASSERT_TRUE(first.ok()) << first.error().ToString();
  EXPECT_THAT(Lines(*first), ElementsAre("+s", "+b backfill", "+a backfill", "+i"));
  const CatalogPtr catalog = Catalog::Empty()->Apply(first->changes).value();
  const auto second = Diff(*catalog, {});
  ASSERT_TRUE(second.ok());
  EXPECT_THAT(Lines(*second), ElementsAre("-i", "-a", "-b", "-s loses data"));
  EXPECT_EQ(second->items.front().reason, "no longer in the project");
}

TEST(Diff, ReplacesAChangedViewAndWhatStandsOnIt) {
  const CatalogPtr catalog =
      With({Make(Stream("s")), Make(View("v", {"s"})), Make(View("w", {"v"})),
            Make(View("p", {"v"}, false)), Make(View("other", {"s"}))});
  Object changed = View("v", {"s"});
  std::get<ViewDefinition>(changed.definition).select = "SELECT id FROM s";
  const auto difference = Diff(*catalog, {Stream("s"), changed, View("w", {"v"}),
                                          View("p", {"v"}, false), View("other", {"s"})});
  ASSERT_TRUE(difference.ok());
  EXPECT_THAT(Lines(*difference), ElementsAre("~v backfill", "~p", "~w backfill"));
  EXPECT_EQ(difference->items[0].reason, "definition changed: its SELECT changed");
  EXPECT_EQ(difference->items[2].reason, "stands on view \"v\", which changes");
}

TEST(Diff, OfAChangedColumnSetDropsAndCreatesTheStreamAndRebuildsItsReaders) {
  const CatalogPtr catalog = With({Make(Stream("s")), Make(View("v", {"s"}))});
  Object changed = Stream("s");
  std::get<StreamDefinition>(changed.definition)
      .schema.columns.push_back(MakeColumn("price", "DOUBLE"));
  const auto difference = Diff(*catalog, {changed, View("v", {"s"})});
  ASSERT_TRUE(difference.ok());
  EXPECT_THAT(Lines(*difference), ElementsAre("-s loses data", "+s", "~v backfill"));
  EXPECT_EQ(difference->items[0].reason,
            "definition changed: column \"price\" is new (ALTER STREAM is not available yet)");
  EXPECT_TRUE(catalog->Apply(difference->changes).ok());
}

TEST(Diff, MakesAStreamAnewAlsoWhereOnlyOptionsChanged) {
  const CatalogPtr catalog = With({Make(Stream("s")), Make(View("v", {"s"}))});
  Object changed = Stream("s");
  std::get<StreamDefinition>(changed.definition).retention = std::chrono::hours(1);
  const auto difference = Diff(*catalog, {changed, View("v", {"s"})});
  ASSERT_TRUE(difference.ok());
  EXPECT_THAT(Lines(*difference), ElementsAre("-s loses data", "+s", "~v backfill"));
}

TEST(Diff, LeavesObjectsMadeByHandAloneAndRefusesAClash) {
  Object hand = Stream("mine");
  hand.from_project = false;
  Object reader = View("hand_view", {"s"});
  reader.from_project = false;
  const CatalogPtr catalog = With({Make(hand), Make(Stream("s")), Make(reader)});
  const auto same = Diff(*catalog, {Stream("s")});
  ASSERT_TRUE(same.ok());
  EXPECT_TRUE(same->items.empty());
  const auto clash = Diff(*catalog, {Stream("s"), Stream("mine")});
  ASSERT_FALSE(clash.ok());
  EXPECT_EQ(clash.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(clash.error().message(), HasSubstr("made by hand"));
  const auto dropped = Diff(*catalog, {});
  ASSERT_FALSE(dropped.ok()) << "a view made by hand still reads the stream";
  EXPECT_THAT(dropped.error().message(), HasSubstr("hand_view"));
}

TEST(Diff, RebuildsAViewMadeByHandOverAStreamThatIsMadeAnew) {
  Object hand = View("hand_view", {"s"});
  hand.from_project = false;
  const CatalogPtr catalog = With({Make(Stream("s")), Make(hand)});
  Object changed = Stream("s");
  std::get<StreamDefinition>(changed.definition).partitions = 2;
  const auto difference = Diff(*catalog, {changed});
  ASSERT_TRUE(difference.ok());
  EXPECT_THAT(Lines(*difference), ElementsAre("-s loses data", "+s", "~hand_view backfill"));
  const CatalogPtr after = catalog->Apply(difference->changes).value();
  EXPECT_EQ(after->Find("hand_view")->generation, 2u);
  EXPECT_FALSE(after->Find("hand_view")->from_project);
}

TEST(Diff, NamesBothPlacesOfAnObjectDeclaredTwice) {
  Object first = Stream("s");
  first.file = "a.sql";
  first.line = 1;
  Object second = View("S", {});
  second.file = "b.sql";
  second.line = 9;
  const auto difference = Diff(*Catalog::Empty(), {first, second});
  ASSERT_FALSE(difference.ok());
  EXPECT_THAT(difference.error().message(),
              HasSubstr("as a stream at a.sql:1 and as a view at b.sql:9"));
}

TEST(SqlText, FoldsConstantsAndRefusesTheClock) {
  EXPECT_EQ(ConstantFromSql("-1", duckdb::LogicalType::INTEGER)->ToString(), "-1");
  const auto now = ConstantFromSql("now()", duckdb::LogicalType::TIMESTAMP);
  ASSERT_FALSE(now.ok());
  EXPECT_THAT(now.error().hint(), HasSubstr("_ingested_at"));
  EXPECT_FALSE(ConstantFromSql("random()", duckdb::LogicalType::DOUBLE).ok());
  EXPECT_FALSE(ConstantFromSql("(SELECT 1)", duckdb::LogicalType::INTEGER).ok());
  EXPECT_FALSE(ConstantFromSql("x", duckdb::LogicalType::INTEGER).ok());
  EXPECT_FALSE(ConstantFromSql("'abc'", duckdb::LogicalType::INTEGER).ok());
  EXPECT_FALSE(ConstantFromSql("1) AS INTEGER), (2", duckdb::LogicalType::INTEGER).ok());
}

TEST(SqlText, NamesTheNearestType) {
  const auto type = ParseType("INTEGR");
  ASSERT_FALSE(type.ok());
  EXPECT_EQ(type.error().hint(), "did you mean \"INTEGER\"?");
  EXPECT_FALSE(ParseType("INTEGER, b").ok());
  EXPECT_FALSE(ParseType("").ok());
}

}  // namespace
}  // namespace millrace::catalog
