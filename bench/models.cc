// What a score costs, in CPU time of one core: a logistic model of 8 columns and a network of two
// layers, by the number of rows in a run.
//
//   bench_models [--rows N]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "models/model.h"
#include "models/testing.h"

namespace {

namespace models = millrace::models;
using models::testing::Floats;

constexpr int64_t kColumns = 8;
constexpr int64_t kHidden = 64;

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::vector<float> RandomFloats(std::mt19937& random, int64_t count) {
  std::normal_distribution<float> numbers;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = numbers(random);
  return values;
}

std::string Network(std::mt19937& random) {
  return models::testing::ModelBytes(
      {{{"MatMul", {"x", "a"}, {"h"}}, {"Relu", {"h"}, {"r"}}, {"MatMul", {"r", "b"}, {"y"}}},
       {Floats("a", {kColumns, kHidden}, RandomFloats(random, kColumns * kHidden)),
        Floats("b", {kHidden, 1}, RandomFloats(random, kHidden))},
       {{{"x", models::ElementType::kFloat32, {-1, kColumns}}},
        {{"y", models::ElementType::kFloat32, {-1, 1}}}}});
}

// The best of several rounds: the others were disturbed.
void Measure(const std::string& name, const models::Model& model, int64_t batch, int64_t rows) {
  std::mt19937 random(1);
  models::Tensor input;
  input.shape = {batch, kColumns};
  for (const float value : RandomFloats(random, batch * kColumns)) input.Append(value);
  const int64_t runs = std::max<int64_t>(1, rows / batch);
  double best = std::numeric_limits<double>::max();
  for (int round = 0; round < 5; ++round) {
    const double begin = CpuSeconds();
    for (int64_t i = 0; i < runs; ++i) CHECK(model.RunRows({input}).ok());
    best = std::min(best, CpuSeconds() - begin);
  }
  const auto count = static_cast<double>(runs * batch);
  fmt::print("{:<10} {:>5} rows a run {:>8.2f} million rows/s {:>9.1f} ns/row\n", name, batch,
             count / best / 1e6, best / count * 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What a score costs"};
  int64_t rows = 200'000;
  app.add_option("--rows", rows, "Rows of a measurement");
  CLI11_PARSE(app, argc, argv);
  std::mt19937 random(7);
  const auto logistic =
      models::Model::Load(models::testing::LogisticModel(RandomFloats(random, kColumns), 0), "a");
  const auto network = models::Model::Load(Network(random), "b");
  for (const int64_t batch : {1, 16, 256, 2048}) {
    Measure("logistic", *logistic.value(), batch, batch == 1 ? rows / 16 : rows);
    Measure("network", *network.value(), batch, batch == 1 ? rows / 16 : rows);
  }
  return 0;
}
