#include "catalog/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/sql_text.h"

namespace millrace::catalog::catalog_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

// "s" with the ids that a statement gives its columns.
Object NumberedStream() {
  Object object = Stream("s");
  auto& columns = std::get<StreamDefinition>(object.definition).schema.columns;
  for (size_t i = 0; i < columns.size(); ++i) columns[i].id = static_cast<int>(i) + 1;
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

Object Macro(const std::string& name, const std::string& body) {
  Object object;
  object.definition = MacroDefinition{name, false, body, {}};
  object.from_project = true;
  return object;
}

Object Type(const std::string& name, std::vector<std::string> values) {
  Object object;
  object.definition = TypeDefinition{name, std::move(values)};
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

TEST(Catalog, KeepsTypesAndMacrosForThoseThatUseThem) {
  Object view = View("v", {"s"});
  view.uses = {{Kind::kMacro, "m"}, {Kind::kType, "mood"}};
  const CatalogPtr catalog = With({Make(view), Make(Stream("s")), Make(Macro("M", "() AS 1")),
                                   Make(Type("mood", {"sad"})), Make(View("mood", {}))});
  EXPECT_THAT(Names(catalog->DependentObjects(Kind::kMacro, "m")), ElementsAre("v"));
  EXPECT_THAT(Names(catalog->DependentObjects(Kind::kType, "mood")), ElementsAre("v"));
  EXPECT_THAT(Names(catalog->DependentObjects("mood")), ElementsAre());
  const auto dropped = catalog->Apply({Remove("m", Kind::kMacro)});
  ASSERT_FALSE(dropped.ok());
  EXPECT_THAT(dropped.error().message(), HasSubstr("view \"v\" needs it"));
  const auto missing = Catalog::Empty()->Apply({Make(Stream("s")), Make(view)});
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message(), HasSubstr("macro \"m\" does not exist"));
}

TEST(Catalog, SharesTheVocabularyWhileNoTypeOrMacroChanges) {
  const CatalogPtr catalog = With({Make(Macro("m", "() AS 1")), Make(Type("t", {"a"}))});
  EXPECT_EQ(catalog->vocabulary()->size(), 2u);
  EXPECT_EQ(catalog->Apply({Make(Stream("s"))}).value()->vocabulary(), catalog->vocabulary());
  EXPECT_EQ(catalog->Apply({Remove("t", Kind::kType)}).value()->vocabulary()->size(), 1u);
}

TEST(Catalog, RenamesWhatNothingReadsAndKeepsItsGeneration) {
  const CatalogPtr catalog = With({Make(Stream("s")), Make(Stream("r")), Make(View("v", {"r"}))});
  const auto rename = [&](const std::string& from, const std::string& to) {
    Object object = *catalog->Find(from);
    std::get<StreamDefinition>(object.definition).name = to;
    return catalog->Apply({Alter{from, object}});
  };
  const auto renamed = rename("s", "t");
  ASSERT_TRUE(renamed.ok()) << renamed.error().ToString();
  EXPECT_EQ((*renamed)->Find("s"), nullptr);
  EXPECT_EQ((*renamed)->Find("t")->generation, 1u);
  EXPECT_EQ((*renamed)->Find("t")->revision, 2u);
  EXPECT_EQ(rename("s", "V").error().code(), Code::kAlreadyExists);
  EXPECT_TRUE(rename("s", "S").ok()) << "another way to write it";
  EXPECT_THAT(rename("r", "t").error().message(), HasSubstr("view \"v\" needs it"));
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

TEST(Diff, OfAColumnThatRowsCannotBeReadByDropsAndCreatesTheStreamAndRebuildsItsReaders) {
  const CatalogPtr catalog = With({Make(Stream("s")), Make(View("v", {"s"}))});
  Object changed = Stream("s");
  std::get<StreamDefinition>(changed.definition).schema.columns[0] = MakeColumn("id", "INTEGER");
  const auto difference = Diff(*catalog, {changed, View("v", {"s"})});
  ASSERT_TRUE(difference.ok());
  EXPECT_THAT(Lines(*difference), ElementsAre("-s loses data", "+s", "~v backfill"));
  EXPECT_EQ(difference->items[0].reason,
            "definition changed: column \"id\" was BIGINT and is INTEGER");
  EXPECT_TRUE(catalog->Apply(difference->changes).ok());
}

TEST(Diff, AltersAStreamThatGetsColumnsAndAsksBeforeItLosesSome) {
  const CatalogPtr catalog = With({Make(NumberedStream()), Make(View("v", {"s"}))});
  Object wider = NumberedStream();
  auto& columns = std::get<StreamDefinition>(wider.definition).schema.columns;
  columns.insert(columns.begin(), MakeColumn("price", "DOUBLE"));
  const auto added = Diff(*catalog, {wider, View("v", {"s"})});
  ASSERT_TRUE(added.ok());
  EXPECT_THAT(Lines(*added), ElementsAre("~s"));
  EXPECT_EQ(added->items[0].reason, "definition changed: column \"price\" is new");
  const CatalogPtr after = catalog->Apply(added->changes).value();
  const StreamDefinition& stream = *after->FindStream("s");
  EXPECT_EQ(stream.schema.columns[0].id, 3);
  EXPECT_EQ(stream.schema.columns[1].id, 1);
  ASSERT_EQ(stream.earlier.size(), 1u);
  EXPECT_EQ(stream.earlier[0].schema.columns.size(), 2u);
  const auto same = Diff(*after, {wider, View("v", {"s"})});
  ASSERT_TRUE(same.ok());
  EXPECT_TRUE(same->items.empty());

  const auto dropped = Diff(*after, {NumberedStream(), View("v", {"s"})});
  ASSERT_TRUE(dropped.ok());
  EXPECT_THAT(Lines(*dropped), ElementsAre("~s loses data"));
  EXPECT_EQ(dropped->items[0].reason,
            "definition changed: column \"price\" is gone; what records have in \"price\" can no "
            "longer be read");
}

TEST(Diff, AltersAStreamWhereOnlyOptionsChangedAndLeavesItsReaders) {
  const CatalogPtr catalog = With({Make(Stream("s")), Make(View("v", {"s"}))});
  Object changed = Stream("s");
  std::get<StreamDefinition>(changed.definition).retention = std::chrono::hours(1);
  const auto difference = Diff(*catalog, {changed, View("v", {"s"})});
  ASSERT_TRUE(difference.ok());
  EXPECT_THAT(Lines(*difference), ElementsAre("~s"));
  EXPECT_EQ(difference->items[0].what, Difference::What::kAlter);
  const CatalogPtr after = catalog->Apply(difference->changes).value();
  EXPECT_EQ(after->FindStream("s")->retention, std::chrono::hours(1));
  EXPECT_EQ(after->Find("s")->generation, catalog->Find("s")->generation);
  EXPECT_EQ(after->Find("s")->revision, after->version());
}

TEST(Diff, AltersAnObjectWhoseCommentsChanged) {
  const CatalogPtr catalog = With({Make(Stream("s")), Make(View("v", {"s"}))});
  Object commented = View("v", {"s"});
  commented.comments = {"what v is", {{"id", "what it counts"}}};
  const auto difference = Diff(*catalog, {Stream("s"), commented});
  ASSERT_TRUE(difference.ok());
  EXPECT_THAT(Lines(*difference), ElementsAre("~v"));
  EXPECT_EQ(difference->items[0].reason, "its comments changed");
  const CatalogPtr after = catalog->Apply(difference->changes).value();
  EXPECT_EQ(after->Find("v")->comments, commented.comments);
  const auto same = Diff(*after, {Stream("s"), commented});
  ASSERT_TRUE(same.ok());
  EXPECT_TRUE(same->items.empty());
}

TEST(Diff, RebuildsTheViewsThatUseAChangedMacroAndAltersTheStreams) {
  Object stream = Stream("s");
  stream.uses = {{Kind::kMacro, "m"}};
  Object view = View("v", {"s"});
  view.uses = {{Kind::kMacro, "m"}};
  const Object other = View("w", {"s"});
  const CatalogPtr catalog =
      With({Make(Macro("m", "(a) AS a + 1")), Make(stream), Make(view), Make(other)});
  const auto same = Diff(*catalog, {Macro("m", "(a)   AS (a + 1)"), stream, view, other});
  ASSERT_TRUE(same.ok());
  EXPECT_TRUE(same->items.empty());
  const auto difference = Diff(*catalog, {Macro("m", "(a) AS a + 2"), stream, view, other});
  ASSERT_TRUE(difference.ok()) << difference.error().ToString();
  EXPECT_THAT(Lines(*difference), ElementsAre("~m", "~s", "~v backfill"));
  EXPECT_EQ(difference->items[1].what, Difference::What::kAlter);
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

TEST(Diff, PartitionsOnlyBecomeMore) {
  Object present = Stream("s");
  std::get<StreamDefinition>(present.definition).partitions = 4;
  const CatalogPtr catalog = With({Make(present)});
  Object wanted = Stream("s");
  const auto fewer = Diff(*catalog, {wanted});
  ASSERT_TRUE(fewer.ok());
  EXPECT_TRUE(fewer->items.empty());
  std::get<StreamDefinition>(wanted.definition).retention = std::chrono::hours(1);
  const auto other = Diff(*catalog, {wanted});
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(catalog->Apply(other->changes).value()->FindStream("s")->partitions, 4);
  std::get<StreamDefinition>(wanted.definition).partitions = 6;
  const auto more = Diff(*catalog, {wanted});
  ASSERT_TRUE(more.ok());
  EXPECT_THAT(Lines(*more), ElementsAre("~s"));
  EXPECT_EQ(catalog->Apply(more->changes).value()->FindStream("s")->partitions, 6);
}

TEST(Diff, ARetentionOfChangesIsSetWithoutBuildingAnew) {
  Object present = View("v", {"s"});
  std::get<ViewDefinition>(present.definition).changes = ViewDefinition::Changes::kAppend;
  const CatalogPtr catalog = With({Make(Stream("s")), Make(present), Make(View("above", {"v"}))});
  Object wanted = present;
  std::get<ViewDefinition>(wanted.definition).retention = std::chrono::hours(1);
  const auto difference = Diff(*catalog, {Stream("s"), wanted, View("above", {"v"})});
  ASSERT_TRUE(difference.ok()) << difference.error().ToString();
  EXPECT_THAT(Lines(*difference), ElementsAre("~v"));
  const CatalogPtr after = catalog->Apply(difference->changes).value();
  const Object& altered = *after->Find("v");
  EXPECT_EQ(std::get<ViewDefinition>(altered.definition).retention, std::chrono::hours(1));
  EXPECT_EQ(altered.generation, catalog->Find("v")->generation);
}

TEST(Diff, RebuildsAViewMadeByHandOverAStreamThatIsMadeAnew) {
  Object hand = View("hand_view", {"s"});
  hand.from_project = false;
  const CatalogPtr catalog = With({Make(Stream("s")), Make(hand)});
  Object changed = Stream("s");
  std::get<StreamDefinition>(changed.definition).partition_by = {"id"};
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
}  // namespace millrace::catalog::catalog_test
