#include "models/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "models/testing.h"

namespace millrace::models {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const Model> Loaded(const std::string& bytes) {
  return Model::Load(bytes, "digest").value();
}

Tensor FloatTensor(std::vector<int64_t> shape, const std::vector<float>& values) {
  Tensor tensor;
  tensor.type = ElementType::kFloat32;
  tensor.shape = std::move(shape);
  for (const float value : values) tensor.Append(value);
  return tensor;
}

std::vector<float> RandomFloats(std::mt19937& random, size_t count) {
  std::normal_distribution<float> numbers(0, 2);
  std::vector<float> values(count);
  for (float& value : values) value = numbers(random);
  return values;
}

constexpr size_t kFirst[] = {0};

TEST(Model, IsWhatItSaysOfItself) {
  const auto model = Loaded(testing::LogisticModel({1, 2}, 0.5F));
  EXPECT_EQ(ToString(model->signature()), "(x FP32[-1,2]) -> (y FP32[-1,1])");
  EXPECT_TRUE(model->ScoresRows().ok());
}

TEST(Model, GivesWhatTheFormulaGives) {
  const auto model = Loaded(testing::LogisticModel({1, -2}, 0.5F));
  const auto result = model->Run({FloatTensor({2, 2}, {1, 1, 3, 0.25F})}, kFirst).value();
  ASSERT_EQ(result[0].shape, (std::vector<int64_t>{2, 1}));
  EXPECT_NEAR(result[0].At<float>(0), 1 / (1 + std::exp(0.5)), 1e-6);
  EXPECT_NEAR(result[0].At<float>(1), 1 / (1 + std::exp(-3.0)), 1e-6);
}

TEST(Model, ModelsMadeForSomeRowsScoreAnyNumber) {
  std::mt19937 random(3);
  const std::vector<float> values = RandomFloats(random, 14);
  const auto any = Loaded(testing::LogisticModel({1, 2}, 0));
  const auto four = Loaded(testing::LogisticModel({1, 2}, 0, 4));
  EXPECT_TRUE(four->ScoresRows().ok());
  const auto of_any = any->RunRows({FloatTensor({7, 2}, values)}).value();
  const auto of_four = four->RunRows({FloatTensor({7, 2}, values)}).value();
  ASSERT_EQ(of_four[0].shape, (std::vector<int64_t>{7, 1}));
  for (size_t i = 0; i < 7; ++i) EXPECT_NEAR(of_any[0].At<float>(i), of_four[0].At<float>(i), 1e-6);
}

// Two layers with what vectorised kernels do in their own ways: products, exponentials, sums.
std::string Network(std::mt19937& random, int64_t width, int64_t hidden, int64_t out) {
  const auto layer = [&](const char* name, int64_t rows, int64_t columns) {
    return testing::Floats(name, {rows, columns},
                           RandomFloats(random, static_cast<size_t>(rows * columns)));
  };
  return testing::ModelBytes(
      {{{"MatMul", {"x", "a"}, {"h1"}},
        {"Tanh", {"h1"}, {"h2"}},
        {"Erf", {"h2"}, {"h3"}},
        {"MatMul", {"h3", "b"}, {"h4"}},
        {"Softmax", {"h4"}, {"p"}},
        {"Exp", {"p"}, {"e"}},
        {"Log", {"e"}, {"l"}},
        {"Sigmoid", {"l"}, {"y"}},
        {"ReduceSum", {"y"}, {"s"}, {testing::Attribute("noop_with_empty_axes", 1)}}},
       {layer("a", width, hidden), layer("b", hidden, out)},
       {{{"x", ElementType::kFloat32, {-1, width}}},
        {{"y", ElementType::kFloat32, {-1, out}}, {"s", ElementType::kFloat32, {-1, out}}}}});
}

TEST(Model, TheScoreOfARowDoesNotDependOnTheRowsBesideIt) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    const auto width = static_cast<int64_t>(1 + random() % 9);
    const auto hidden = static_cast<int64_t>(1 + random() % 40);
    const auto out = static_cast<int64_t>(1 + random() % 5);
    const auto model = Loaded(Network(random, width, hidden, out));
    constexpr size_t kRows = 100;
    const std::vector<float> values = RandomFloats(random, kRows * static_cast<size_t>(width));
    const auto whole = model->RunRows({FloatTensor({kRows, width}, values)}).value();
    for (size_t begin = 0; begin < kRows;) {
      const size_t count = std::min<size_t>(kRows - begin, 1 + random() % 37);
      const auto from = values.begin() + static_cast<int64_t>(begin) * width;
      const auto part =
          model
              ->RunRows({FloatTensor({static_cast<int64_t>(count), width},
                                     {from, from + static_cast<int64_t>(count) * width})})
              .value();
      for (size_t output = 0; output < whole.size(); ++output) {
        const size_t bytes = static_cast<size_t>(out) * sizeof(float);
        ASSERT_EQ(part[output].bytes, whole[output].bytes.substr(begin * bytes, count * bytes))
            << "rows " << begin << " to " << begin + count << ", output " << output;
      }
      begin += count;
    }
  }
}

TEST(Model, TakesAndGivesEveryType) {
  for (int i = 0; i <= static_cast<int>(kLastElementType); ++i) {
    const auto type = static_cast<ElementType>(i);
    const auto model = Loaded(testing::ModelBytes(
        {{{"Identity", {"x"}, {"y"}}}, {}, {{{"x", type, {-1}}}, {{"y", type, {-1}}}}}));
    EXPECT_EQ(model->signature().outputs[0].type, type);
    Tensor tensor;
    tensor.type = type;
    tensor.shape = {2};
    if (type == ElementType::kText) {
      tensor.texts = {"ä", std::string("a\0b", 3)};
    } else {
      tensor.bytes = std::string(BytesOf(type), '\0') + std::string(BytesOf(type), '\1');
    }
    const auto result = model->RunRows({tensor}).value();
    EXPECT_EQ(result[0].bytes, tensor.bytes) << NameOf(type);
    EXPECT_EQ(result[0].texts, tensor.texts);
  }
}

TEST(Model, AWrongShapeIsAnErrorThatNamesIt) {
  const auto model = Loaded(testing::LogisticModel({1, 2}, 0));
  const auto result = model->Run({FloatTensor({1, 3}, {1, 2, 3})}, kFirst);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(result.error().message(), HasSubstr("Expected: 2"));
}

TEST(Model, RefusesWhatCannotBeScored) {
  const std::string good = testing::LogisticModel({1, 2}, 0);
  EXPECT_THAT(Model::Load("", "d").error().message(), HasSubstr("no ONNX model"));
  EXPECT_THAT(Model::Load("no model at all", "d").error().message(), HasSubstr("no ONNX model"));
  EXPECT_THAT(Model::Load(good.substr(0, good.size() / 2), "d").error().message(),
              HasSubstr("no ONNX model"));
  const TensorSpec spec{"y", ElementType::kFloat32, {-1, 1}};
  const auto unknown = Model::Load(
      testing::ModelBytes(
          {{{"NoSuchOperator", {"x"}, {"y"}}}, {}, {{{"x", spec.type, spec.shape}}, {spec}}}),
      "d");
  EXPECT_THAT(unknown.error().message(), HasSubstr("NoSuchOperator"));
  const auto random = Model::Load(
      testing::ModelBytes(
          {{{"RandomNormalLike", {"x"}, {"y"}}}, {}, {{{"x", spec.type, spec.shape}}, {spec}}}),
      "d");
  EXPECT_EQ(random.error().code(), Code::kNotSupported);
  EXPECT_THAT(random.error().message(), HasSubstr("RandomNormalLike"));
  testing::Message elsewhere = testing::Floats("w", {2, 1}, {});
  elsewhere.Put(13, testing::Message().Bytes(1, "location").Bytes(2, "w.bin")).Number(14, 1);
  const auto external =
      Model::Load(testing::ModelBytes({{{"MatMul", {"x", "w"}, {"y"}}},
                                       {elsewhere},
                                       {{{"x", ElementType::kFloat32, {-1, 2}}}, {spec}}}),
                  "d");
  EXPECT_THAT(external.error().message(), HasSubstr("the weights \"w\" stand in another file"));
}

TEST(Model, AMapIsRefusedWithTheWayOut) {
  const auto keys =
      testing::Message().Bytes(1, "classlabels_strings").Bytes(9, "a").Bytes(9, "b").Number(20, 8);
  // sequence(map(string, float))
  const auto map = testing::Message().Number(1, 8).Put(
      2, testing::Message().Put(1, testing::Message().Number(1, 1)));
  const auto sequence =
      testing::Message().Put(4, testing::Message().Put(1, testing::Message().Put(5, map)));
  testing::Message graph;
  graph.Put(1, testing::Message()
                   .Bytes(1, "x")
                   .Bytes(2, "y")
                   .Bytes(4, "ZipMap")
                   .Put(5, keys)
                   .Bytes(7, "ai.onnx.ml"));
  graph.Bytes(2, "g");
  graph.Put(11, testing::ValueInfo({"x", ElementType::kFloat32, {-1, 2}}));
  graph.Put(12, testing::Message().Bytes(1, "y").Put(2, sequence));
  const std::string bytes = testing::Message()
                                .Number(1, 8)
                                .Put(7, graph)
                                .Put(8, testing::Message().Bytes(1, "ai.onnx.ml").Number(2, 1))
                                .bytes();
  const auto loaded = Model::Load(bytes, "d");
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.error().message(), HasSubstr("output \"y\": it is a sequence"));
  EXPECT_THAT(loaded.error().hint(), HasSubstr("zipmap"));
}

TEST(Model, DamagedBytesAreAnErrorAndNeverACrash) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string good = testing::LogisticModel({1, 2, 3}, 0.5F);
  for (int round = 0; round < 300; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    const auto loaded = Model::Load(bytes, "d");
    if (!loaded.ok() || !(*loaded)->ScoresRows().ok()) continue;
    // Other weights or names: it is a model.
    EXPECT_FALSE((*loaded)->signature().inputs.empty());
  }
}

TEST(Half, IsAsTheStandardSays) {
  EXPECT_EQ(FromHalf(0x3C00), 1.0F);
  EXPECT_EQ(FromHalf(0xC000), -2.0F);
  EXPECT_EQ(FromHalf(0x0001), 0x1p-24F);
  EXPECT_TRUE(std::isinf(FromHalf(0x7C00)));
  EXPECT_EQ(ToHalf(65504.0F), 0x7BFF);
  EXPECT_EQ(ToHalf(65520.0F), 0x7C00);
  EXPECT_EQ(ToHalf(0.1F), 0x2E66);
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const float value = FromHalf(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(ToHalf(value), bits);
  }
}

}  // namespace
}  // namespace millrace::models
