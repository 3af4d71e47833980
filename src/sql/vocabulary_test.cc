// Types, macros, comments and ALTER: what their texts say, and what DuckDB makes of types and
// macros.
#include "sql/vocabulary.h"

#include "sql/testing_shop.h"

namespace millrace::sql::vocabulary_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<Statement> ParseOne(std::string_view text, const catalog::NamedTypes& types = {}) {
  TRY(std::vector<Statement> statements, Parse(text, {}, types));
  return std::move(statements.at(0));
}

template <typename T>
T As(std::string_view text) {
  Result<Statement> parsed = ParseOne(text);
  EXPECT_TRUE(parsed.ok()) << parsed.error().ToString();
  return std::get<T>(parsed->statement);
}

catalog::Change Macro(const std::string& name, const std::string& body, bool table = false,
                      std::vector<catalog::Use> uses = {}) {
  catalog::Create create = TestCreate(catalog::MacroDefinition{name, table, body, {}});
  create.object.uses = std::move(uses);
  return create;
}

catalog::Change Type(const std::string& name, std::vector<std::string> values) {
  return TestCreate(catalog::TypeDefinition{name, std::move(values)});
}

TEST(VocabularyStatement, ATypeIsThereForTheStatementsBehindIt) {
  const auto parsed =
      Parse("CREATE TYPE Mood AS ENUM ('sad', 'it''s'); CREATE STREAM s (m mood[])");
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  const auto& create = std::get<CreateStatement>(parsed->at(1).statement);
  EXPECT_THAT(create.uses, ElementsAre(catalog::Use{catalog::Kind::kType, "Mood"}));
  const auto& stream = std::get<catalog::StreamDefinition>(create.definition);
  EXPECT_EQ(catalog::TypeText(stream.schema.columns[0].type), "ENUM('sad', 'it''s')[]");
  EXPECT_FALSE(ParseOne("CREATE STREAM s (m mood)").ok());
}

TEST(VocabularyStatement, TypesOfAProjectAreFoundBeforeTheirStatementsAreParsed) {
  const catalog::NamedTypes types = TypesDeclared(
      "CREATE STREAM s (m mood); CREATE OR REPLACE TYPE mood AS ENUM ('a'); SELECT (;");
  ASSERT_EQ(types.size(), 1u);
  EXPECT_TRUE(ParseOne("CREATE STREAM s (m Mood DEFAULT 'a')", types).ok());
  const auto wrong = ParseOne("CREATE STREAM s (m mod)", types);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().hint(), "did you mean \"mood\"?");
  EXPECT_FALSE(ParseOne("CREATE STREAM s (m mood DEFAULT 'b')", types).ok());
}

TEST(VocabularyStatement, OfAMacroHoldsItsBodyAndWhatItReads) {
  const auto create = As<CreateStatement>(
      "CREATE OR REPLACE FUNCTION f(a, b := 2) AS TABLE SELECT * FROM public.notes WHERE n > a");
  EXPECT_TRUE(create.or_replace);
  const auto& macro = std::get<catalog::MacroDefinition>(create.definition);
  EXPECT_TRUE(macro.table);
  EXPECT_EQ(macro.body, "(a, b := 2) AS TABLE SELECT * FROM public.notes WHERE n > a");
  EXPECT_THAT(macro.reads, ElementsAre("notes"));
}

TEST(VocabularyStatement, OfACommentNamesObjectAndColumn) {
  const auto column = As<CommentStatement>("COMMENT ON COLUMN main.clicks.\"a.b\" IS 'it''s'");
  EXPECT_EQ(column.name, "clicks");
  EXPECT_EQ(column.column, "a.b");
  EXPECT_EQ(column.text, "it's");
  const auto none = As<CommentStatement>("COMMENT ON FUNCTION f IS NULL");
  EXPECT_EQ(none.kind, catalog::Kind::kMacro);
  EXPECT_EQ(none.text, "");
}

TEST(VocabularyStatement, OfAnAlterationHoldsWhatToDo) {
  const auto rename = As<AlterStatement>("ALTER MATERIALIZED VIEW v RENAME TO \"My View\"");
  EXPECT_TRUE(rename.materialized);
  EXPECT_EQ(std::get<AlterStatement::Rename>(rename.action).to, "My View");
  const auto set = As<AlterStatement>("ALTER STREAM s SET (retention = '2 days')");
  const auto& options = std::get<AlterStatement::SetOptions>(set.action);
  EXPECT_THAT(options.names, ElementsAre("retention"));
  EXPECT_EQ(options.values.retention, std::chrono::hours(48));
  const auto view = As<AlterStatement>("ALTER MATERIALIZED VIEW v SET (retention_bytes = '1 GB')");
  const auto& settings = std::get<AlterStatement::SetOptions>(view.action);
  EXPECT_THAT(settings.names, ElementsAre("retention_bytes"));
  EXPECT_EQ(settings.view_values.retention_bytes, 1'000'000'000);
}

TEST(VocabularyStatement, ARenamedTextDiffersInTheNameOnly) {
  EXPECT_EQ(Renamed("CREATE OR REPLACE MATERIALIZED VIEW public.a AS SELECT a FROM a", "b"),
            "CREATE OR REPLACE MATERIALIZED VIEW b AS SELECT a FROM a");
  EXPECT_EQ(Renamed("create stream if not exists \"A b\"(x INTEGER)", "c d"),
            "create stream if not exists \"c d\"(x INTEGER)");
}

TEST(WordsNamed, FindsMacrosAndTypesWhereverTheyStand) {
  const auto catalog =
      catalog::Catalog::Empty()
          ->Apply({Macro("m", "(a) AS a"), Macro("t", "() AS TABLE SELECT 1", true),
                   Type("mood", {"sad"}), Type("size", {"small"})})
          .value();
  const auto named = [&](std::string_view text, TextKind kind) {
    std::string names;
    for (const catalog::Use& use : WordsNamed(text, kind, *catalog->vocabulary()))
      names += (names.empty() ? "" : " ") + use.name;
    return names;
  };
  EXPECT_EQ(named("SELECT x FROM s WHERE M(x) > 0", TextKind::kSelect), "m");
  EXPECT_EQ(named("WITH c AS (SELECT * FROM t()) SELECT m, mood FROM c", TextKind::kSelect), "t");
  EXPECT_EQ(named("SELECT (SELECT x::STRUCT(a mood[])) FROM s ORDER BY m(x)", TextKind::kSelect),
            "m mood");
  EXPECT_EQ(named("x = 'small'::size", TextKind::kExpression), "size");
  EXPECT_EQ(named("(a, b := 'sad'::mood) AS m(a)", TextKind::kMacro), "m mood");
  EXPECT_EQ(named("SELECT", TextKind::kSelect), "");
}

class VocabularyTest : public ::testing::Test {
 protected:
  catalog::CatalogPtr With(const std::vector<catalog::Change>& changes) {
    auto catalog = ShopCatalog()->Apply(changes);
    EXPECT_TRUE(catalog.ok()) << catalog.error().ToString();
    return *catalog;
  }
  std::string Ask(const catalog::CatalogPtr& catalog, const std::string& select) {
    const auto snapshot = std::make_shared<FakeSnapshot>(catalog);
    snapshot->rows["notes"] = {{duckdb::Value("anna"), duckdb::Value::INTEGER(1)}};
    const auto result = database_->Query(snapshot, select, {}, {});
    if (!result.ok()) return result.error().message();
    return fmt::format("{}", fmt::join(Lines(result->chunks), " "));
  }
  Result<ViewPlan> Plan(const catalog::CatalogPtr& catalog, const std::string& select) {
    catalog::ViewDefinition view;
    view.name = "v";
    view.select = select;
    return database_->PlanView(*catalog, view, Origin{"", view.select, 0, view.select.size()});
  }

  std::unique_ptr<Database> database_ = OpenTestDatabase();
};

TEST_F(VocabularyTest, EachCatalogHasItsOwn) {
  const auto one = With({Macro("f", "(a) AS a + 1")});
  const auto ten = With({Macro("f", "(a) AS a + 10"), Type("mood", {"sad"})});
  const auto none = With({})->Apply({}).value();  // versions differ, as a node's do
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Ask(one, "SELECT f(1)"), "2");
    EXPECT_EQ(Ask(ten, "SELECT f(1), 'sad'::mood"), "11|sad");
    EXPECT_THAT(Ask(none, "SELECT f(1)"), HasSubstr("function f() does not exist"));
    EXPECT_THAT(Ask(one, "SELECT 'sad'::mood"), HasSubstr("mood"));
  }
}

TEST_F(VocabularyTest, AViewThroughAMacroIsPlannedAsItsBody) {
  const auto catalog =
      With({Macro("f", "(a) AS a + 1"),
            Macro("g", "(a) AS f(a) * 2", false, {{catalog::Kind::kMacro, "f"}}),
            Macro("big", "(k) AS TABLE SELECT who, n FROM notes WHERE n > k", true)});
  const auto through = Plan(catalog, "SELECT g(n) AS x FROM big(3)");
  const auto body =
      Plan(catalog, "SELECT (n + 1) * 2 AS x FROM (SELECT who, n FROM notes WHERE n > 3)");
  ASSERT_TRUE(through.ok()) << through.error().ToString();
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(stream::CanonicalText(through->plan, through->plan.nodes.size() - 1),
            stream::CanonicalText(body->plan, body->plan.nodes.size() - 1));
  EXPECT_THAT(through->reads, ElementsAre("notes"));
}

TEST_F(VocabularyTest, AMacroHidesNoVolatileFunction) {
  const auto catalog =
      With({Macro("luck", "(a) AS a * random()"),
            Macro("many", "() AS TABLE SELECT n + random() AS n FROM notes", true)});
  for (const char* select : {"SELECT luck(n) AS x FROM notes", "SELECT n FROM many()"}) {
    const auto plan = Plan(catalog, select);
    ASSERT_FALSE(plan.ok()) << select;
    EXPECT_THAT(plan.error().message(), HasSubstr("random() cannot be used"));
  }
}

TEST_F(VocabularyTest, ATableMacroMayReadWindows) {
  const auto catalog = With({Macro(
      "hours", "() AS TABLE SELECT window_start FROM tumble(order_lines, sold_at, INTERVAL 1 HOUR)",
      true)});
  const auto plan = Plan(catalog, "SELECT window_start, count(*) AS n FROM hours() GROUP BY ALL");
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  EXPECT_THAT(plan->reads, ElementsAre("order_lines"));
}

TEST_F(VocabularyTest, ABodyThatDoesNotBindIsRefusedAtItsPlace) {
  const auto check = [&](const std::string& name, const std::string& body) {
    const std::string text = "CREATE MACRO " + name + body;
    return database_->CheckMacro(*With({}), catalog::MacroDefinition{name, false, body, {}},
                                 Origin{"", text, 0, text.size()});
  };
  EXPECT_TRUE(check("f", "(a) AS a + 1").ok());
  const Status recursive = check("f", "(a) AS f(a - 1)");
  ASSERT_FALSE(recursive.ok());
  EXPECT_EQ(recursive.error().position()->column, 22);
  EXPECT_THAT(check("sum", "(a) AS a").error().message(), HasSubstr("function sum() already"));
  EXPECT_TRUE(check("f", "(a) AS a + 2").ok()) << "the one before was taken back";
}

}  // namespace
}  // namespace millrace::sql::vocabulary_test
