// predict(): what it takes, what it gives, and what it says where it does not fit.
#include <filesystem>
#include <random>

#include "models/model_store.h"
#include "models/testing.h"
#include "sql/testing_shop.h"

namespace millrace::sql::predict_test {
namespace {

using models::ElementType;
using models::testing::Floats;
using models::testing::Graph;
using models::testing::ModelBytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Models of files in a folder of their own.
class PredictTest : public ::testing::Test {
 protected:
  PredictTest() {
    std::string pattern = ::testing::TempDir() + "/predictXXXXXX";
    folder_ = mkdtemp(pattern.data());
    store_ = std::make_shared<models::ModelStore>(
        models::ModelStoreOptions{nullptr, folder_ + "/data", folder_, {folder_}});
    DatabaseOptions options;
    options.models = store_;
    database_ = Database::Open(options).value();
    snapshot_ = std::make_shared<FakeSnapshot>(ShopCatalog());
  }
  ~PredictTest() override { std::filesystem::remove_all(folder_); }

  void Make(const std::string& name, const std::string& bytes) {
    EXPECT_TRUE(Files::System().Replace(folder_ + "/" + name, bytes).ok());
    const auto file = store_->Examine(name);
    ASSERT_TRUE(file.ok()) << file.error().ToString();
    const catalog::ModelDefinition model{name, name, file->model->digest(), file->bytes};
    auto rows = std::move(snapshot_->rows);
    snapshot_ = std::make_shared<FakeSnapshot>(
        snapshot_->catalog_ptr()->Apply({TestCreate(model)}).value());
    snapshot_->rows = std::move(rows);
  }

  std::vector<std::string> Ask(const std::string& select,
                               const std::map<std::string, duckdb::Value>& parameters = {}) {
    const auto result = database_->Query(snapshot_, select, parameters, {});
    EXPECT_TRUE(result.ok()) << result.error().ToString();
    return result.ok() ? Lines(result->chunks) : std::vector<std::string>();
  }
  std::string Refusal(const std::string& select) {
    const auto result = database_->Query(snapshot_, select, {}, {});
    EXPECT_FALSE(result.ok());
    return result.ok() ? "" : result.error().ToString();
  }

  std::string folder_;
  std::shared_ptr<models::ModelStore> store_;
  std::unique_ptr<Database> database_;
  std::shared_ptr<FakeSnapshot> snapshot_;
};

// y = x0 + 10·x1, of any type that is added.
std::string SumModel(ElementType type = ElementType::kFloat32) {
  return ModelBytes({{{"Add", {"x", "t"}, {"y"}}},
                     {},
                     {{{"x", type, {-1}}, {"t", type, {-1}}}, {{"y", type, {-1}}}}});
}

std::string LinearModel(const std::vector<float>& weights) {
  const auto width = static_cast<int64_t>(weights.size());
  return ModelBytes(
      {{{"MatMul", {"x", "w"}, {"y"}}},
       {Floats("w", {width, 1}, weights)},
       {{{"x", ElementType::kFloat32, {-1, width}}}, {{"y", ElementType::kFloat32, {-1, 1}}}}});
}

TEST_F(PredictTest, TakesAColumnForEachPlaceOfOneInput) {
  Make("m", LinearModel({1, 10}));
  EXPECT_THAT(Ask("SELECT predict(m, 1, 2), typeof(predict(m, 1, 2))"), ElementsAre("21.0|FLOAT"));
  EXPECT_THAT(Ask("SELECT predict(M, a, b) FROM (VALUES (1, 2.5), (3, NULL), (5, 6)) t(a, b)"),
              ElementsAre("26.0", "NULL", "65.0"));
  EXPECT_THAT(Ask("SELECT predict('m', true, 2::TINYINT)"), ElementsAre("21.0"));
}

TEST_F(PredictTest, TakesOneListToo) {
  Make("m", LinearModel({1, 10}));
  EXPECT_THAT(Ask("SELECT predict(m, l) FROM (VALUES ([1, 2]), (NULL), ([1, NULL])) t(l)"),
              ElementsAre("21.0", "NULL", "NULL"));
  EXPECT_THAT(Ask("SELECT predict(m, [1, 2]::FLOAT[2])"), ElementsAre("21.0"));
  EXPECT_THAT(Ask("SELECT predict(m, NULL)"), ElementsAre("NULL"));
  EXPECT_THAT(Refusal("SELECT predict(m, l) FROM (VALUES ([1, 2]), ([1])) t(l)"),
              HasSubstr("predict(m): got a list of 1, the model takes 2 of x"));
}

TEST_F(PredictTest, TakesAnArgumentForEachInput) {
  Make("m", SumModel(ElementType::kInt64));
  EXPECT_THAT(Ask("SELECT predict(m, 1, 2), typeof(predict(m, 1, 2))"), ElementsAre("3|BIGINT"));
  Make("pair",
       ModelBytes({{{"Concat", {"a", "b"}, {"y"}, {models::testing::Attribute("axis", 1)}}},
                   {},
                   {{{"a", ElementType::kFloat32, {-1, 1}}, {"b", ElementType::kFloat32, {-1, -1}}},
                    {{"y", ElementType::kFloat32, {-1, -1}}}}}));
  // Lists of several lengths in one chunk: a run for each.
  EXPECT_THAT(Ask("SELECT predict(pair, a, b) FROM (VALUES (1, [2]), (3, [4, 5]), (NULL, [6]), (7, "
                  "[8]), (9, NULL)) t(a, b)"),
              ElementsAre("[1.0, 2.0]", "[3.0, 4.0, 5.0]", "NULL", "[7.0, 8.0]", "NULL"));
  EXPECT_THAT(Refusal("SELECT predict(pair, 1, 2)"),
              HasSubstr("value 2 of model \"pair\" is INTEGER, and it takes FLOAT[]"));
}

TEST_F(PredictTest, SeveralOutputsAreAStruct) {
  Make("m",
       ModelBytes(
           {{{"Identity", {"x"}, {"scores"}},
             {"ArgMax",
              {"x"},
              {"label"},
              {models::testing::Attribute("axis", 1), models::testing::Attribute("keepdims", 0)}}},
            {},
            {{{"x", ElementType::kFloat32, {-1, 3}}},
             {{"label", ElementType::kInt64, {-1}}, {"scores", ElementType::kFloat32, {-1, 3}}}}}));
  EXPECT_THAT(Ask("SELECT predict(m, 1, 3, 2)"),
              ElementsAre("{'label': 1, 'scores': [1.0, 3.0, 2.0]}"));
  EXPECT_THAT(Ask("SELECT p.label, p.scores[2] FROM (SELECT predict(m, 1, a, 2) AS p FROM (VALUES "
                  "(3), (NULL)) t(a))"),
              ElementsAre("1|3.0", "NULL|NULL"));
  EXPECT_THAT(Ask("SELECT predict(m, 1, 3, 2).label"), ElementsAre("1"));
}

TEST_F(PredictTest, EveryTypeComesBackAsItWent) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"BOOLEAN", "true"},
      {"TINYINT", "-128"},
      {"SMALLINT", "-32768"},
      {"INTEGER", "-7"},
      {"BIGINT", "9007199254740993"},
      {"UTINYINT", "255"},
      {"USMALLINT", "65535"},
      {"UINTEGER", "4294967295"},
      {"UBIGINT", "18446744073709551615"},
      {"FLOAT", "0.5"},
      {"FLOAT", "0.1"},
      {"DOUBLE", "0.1"},
      {"VARCHAR", "it's ä"}};
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto type = static_cast<ElementType>(i);
    const std::string name = "m" + std::to_string(i);
    Make(name,
         ModelBytes(
             {{{"Identity", {"x"}, {"y"}}}, {}, {{{"x", type, {-1, 1}}}, {{"y", type, {-1, 1}}}}}));
    EXPECT_THAT(Ask(fmt::format("SELECT typeof(y), y FROM (SELECT predict({}, $v::{}) AS y)", name,
                                cases[i].first),
                    {{"v", duckdb::Value(cases[i].second)}}),
                ElementsAre(cases[i].first + "|" + cases[i].second));
  }
}

TEST_F(PredictTest, MistakesAreNamedWithPlaceAndWhatTheModelTakes) {
  Make("churn", LinearModel({1, 10, 100}));
  const std::string none = Refusal("SELECT 1,\n  predict(churm, 1, 2, 3)");
  EXPECT_THAT(none, HasSubstr("model \"churm\" does not exist"));
  EXPECT_THAT(none, HasSubstr("did you mean \"churn\"?"));
  EXPECT_THAT(none, HasSubstr("2:11"));
  const std::string few = Refusal("SELECT predict(churn, 1, 2)");
  EXPECT_THAT(few, HasSubstr("model \"churn\" takes 3 values, got 2"));
  EXPECT_THAT(few, HasSubstr("predict(churn, …) takes 3 FLOAT, or one list of 3 FLOAT"));
  const std::string text = Refusal("SELECT predict(churn, 1, 'x', 3)");
  EXPECT_THAT(text, HasSubstr("value 2 of model \"churn\" is VARCHAR, and it takes FLOAT"));
  EXPECT_THAT(text, HasSubstr("1:26"));
  EXPECT_THAT(Refusal("SELECT predict(1, 2)"), HasSubstr("the name of a model"));
  EXPECT_THAT(Refusal("SELECT predict()"), HasSubstr("predict"));
  Make("whole", SumModel(ElementType::kInt64));
  EXPECT_THAT(Refusal("SELECT predict(whole, 1.5, 1)"),
              HasSubstr("value 1 of model \"whole\" is DECIMAL(2,1), and it takes BIGINT"));
  EXPECT_THAT(Refusal("SELECT predict(whole, 1)"), HasSubstr("x BIGINT, t BIGINT"));
}

TEST_F(PredictTest, AModelOfAnotherShapeIsRefusedWithTheReason) {
  Make("m", ModelBytes({{{"Identity", {"x"}, {"y"}}},
                        {},
                        {{{"x", ElementType::kFloat32, {}}}, {{"y", ElementType::kFloat32, {}}}}}));
  EXPECT_THAT(Refusal("SELECT predict(m, 1)"), HasSubstr("does not count rows"));
}

TEST_F(PredictTest, StandsInMacrosAndViewsAndWrites) {
  Make("m", LinearModel({1, 10}));
  catalog::MacroDefinition macro{"score", false, "(a) AS predict(m, a, 1)", {}};
  snapshot_ =
      std::make_shared<FakeSnapshot>(snapshot_->catalog_ptr()->Apply({TestCreate(macro)}).value());
  EXPECT_THAT(Ask("SELECT score(5)"), ElementsAre("15.0"));
  const auto written = database_->EvaluateWrite(
      snapshot_,
      {WriteStatement::What::kInsert, "notes", "INSERT INTO notes SELECT 'a', predict(m, 1, 2)"},
      {}, {});
  ASSERT_TRUE(written.ok()) << written.error().ToString();
  EXPECT_EQ(written->affected, 1u);
  EXPECT_THAT(WordsNamed("SELECT predict(M, 1, 2) FROM notes", TextKind::kSelect,
                         *snapshot_->catalog().vocabulary()),
              ElementsAre(catalog::Use{catalog::Kind::kModel, "m"}));
}

TEST_F(PredictTest, CanBeMaintainedInAView) {
  Make("m", LinearModel({1, 10}));
  catalog::ViewDefinition view;
  view.name = "v";
  view.select = "SELECT who, predict(m, n, 1) AS score FROM notes WHERE predict(m, n, 2) > 0";
  const std::string text = view.select;
  const auto plan =
      database_->PlanView(snapshot_->catalog(), view, Origin{"", text, 0, text.size()});
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  EXPECT_THAT(plan->schema.names(), ElementsAre("who", "score"));
  view.select = "SELECT predict(n, 1, 2) FROM notes";
  const auto wrong = database_->PlanView(snapshot_->catalog(), view,
                                         Origin{"", view.select, 0, view.select.size()});
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().ToString(), HasSubstr("model \"n\" does not exist"));
}

TEST_F(PredictTest, ScoresWholeChunksAsTheFormulaSays) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Make("m", LinearModel({0.5F, -2}));
  auto& notes = snapshot_->rows["notes"];
  size_t wrong = 0;
  for (int i = 0; i < 5000; ++i)
    notes.push_back(
        {duckdb::Value("x"), random() % 7 == 0
                                 ? duckdb::Value(duckdb::LogicalType::INTEGER)
                                 : duckdb::Value::INTEGER(static_cast<int>(random() % 1000))});
  for (const std::string& line :
       Ask("SELECT predict(m, n, 3) IS NOT DISTINCT FROM CAST(n * 0.5 - 6 AS FLOAT) FROM notes"))
    wrong += line != "true";
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace millrace::sql::predict_test
