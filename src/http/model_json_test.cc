#include "http/model_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "models/testing.h"

namespace millrace::http::model_json_test {
namespace {

using models::ElementType;
using ::testing::HasSubstr;

const models::Signature kSignature = {
    {{"x", ElementType::kFloat32, {-1, 2}}, {"t", ElementType::kText, {-1}}},
    {{"y", ElementType::kFloat32, {-1}}, {"z", ElementType::kInt64, {-1}}}};

constexpr std::string_view kGood =
    R"({"id": "a", "inputs": [{"name": "t", "shape": [1], "datatype": "BYTES", "data": ["u"]},)"
    R"({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [[1, 2.5]]}],)"
    R"("outputs": [{"name": "z"}]})";

TEST(ModelJson, ReadsInputsInTheOrderOfTheModel) {
  const auto request = ParseInferRequest(kGood, kSignature);
  ASSERT_TRUE(request.ok()) << request.error().ToString();
  EXPECT_EQ(request->id, "a");
  EXPECT_EQ(request->inputs[0].At<float>(1), 2.5F);
  EXPECT_EQ(request->inputs[1].texts, std::vector<std::string>{"u"});
  EXPECT_EQ(request->outputs, std::vector<size_t>{1});
}

TEST(ModelJson, FlatAndNestedDataAreTheSame) {
  const auto read = [](std::string_view data) {
    const models::Signature one = {{kSignature.inputs[0]}, kSignature.outputs};
    return ParseInferRequest(
        fmt::format(R"({{"inputs":[{{"name":"x","shape":[2,2],"datatype":"FP32","data":{}}}]}})",
                    data),
        one);
  };
  EXPECT_EQ(read("[1,2,3,4]")->inputs[0].bytes, read("[[1,2],[3,4]]")->inputs[0].bytes);
  EXPECT_EQ(read("[1,2,3,4]")->outputs.size(), 2u);
  EXPECT_THAT(read("[1,2,3]").error().message(), HasSubstr("it has 3 elements"));
  EXPECT_THAT(read("[1,2,3,true]").error().message(), HasSubstr("true is no FP32"));
  EXPECT_THAT(read("7").error().message(), HasSubstr("no data"));
  EXPECT_THAT(read(std::string(20, '[') + "1" + std::string(20, ']')).error().message(),
              HasSubstr("nested too deeply"));
}

TEST(ModelJson, AnswersNumbersThatJsonHasNotAsTexts) {
  models::Tensor tensor;
  tensor.shape = {3};
  for (const float value : {0.1F, std::numeric_limits<float>::quiet_NaN(), -INFINITY})
    tensor.Append(value);
  const std::string text = InferAnswerText({"m", "v"}, kSignature, {"", {}, {0}}, {tensor});
  EXPECT_EQ(text, R"({"model_name":"m","model_version":"v","outputs":[{"name":"y",)"
                  R"("datatype":"FP32","shape":[3],"data":[0.1,"NaN","-Infinity"]}]})"
                  "\n");
}

TEST(ModelJson, AnyBytesAreARequestOrAnError) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    std::string body(kGood);
    for (int i = 0; i < 3; ++i) {
      if (random() % 2 == 0) {
        body[random() % body.size()] = static_cast<char>(random() % 128);
      } else {
        body.erase(random() % body.size(), 1 + random() % 3);
      }
    }
    const auto request = ParseInferRequest(body, kSignature);
    if (!request.ok()) continue;
    for (const models::Tensor& input : request->inputs) {
      const size_t size = models::BytesOf(input.type);
      ASSERT_EQ(size == 0 ? input.texts.size() : input.bytes.size() / size, input.elements());
    }
  }
}

}  // namespace
}  // namespace millrace::http::model_json_test
