#include "stream/exact_sum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "base/random.h"

namespace millrace::stream::exact_sum_test {
namespace {

struct Sum {
  Int256 window;
  std::vector<Digit> digits;
  void Add(double value, int64_t weight = 1) {
    if (!AddToWindow(window, value, weight)) AppendDigits(value, weight, digits);
  }
  double Round() const { return RoundSum(window, digits); }
};

uint64_t Seed() {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 7;
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  return seed;
}

double AnyFinite(Random& random) {
  for (;;) {
    const double value = std::bit_cast<double>(random.Next());
    if (std::isfinite(value)) return value;
  }
}

TEST(ExactSum, OfOneValueIsTheValueOverTheWholeRange) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (int i = 0; i < 20000; ++i) {
    const double value = i == 0 ? std::numeric_limits<double>::denorm_min() : AnyFinite(random);
    Sum sum;
    sum.Add(value);
    ASSERT_EQ(sum.Round(), value);
  }
}

TEST(ExactSum, DoesNotDependOnTheOrderAndTakesEveryTermBackExactly) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> values;
    for (int i = 0; i < 40; ++i) {
      values.push_back(random.OneIn(4) ? AnyFinite(random)
                                       : std::ldexp(static_cast<double>(random.Next()),
                                                    static_cast<int>(random.Below(90)) - 90));
    }
    Sum forth;
    Sum back;
    for (const double value : values) forth.Add(value);
    for (size_t i = values.size(); i-- > 0;) back.Add(values[i]);
    ASSERT_EQ(std::bit_cast<uint64_t>(forth.Round()), std::bit_cast<uint64_t>(back.Round()));
    for (size_t i = 1; i < values.size(); ++i) forth.Add(values[i], -1);
    ASSERT_EQ(forth.Round(), values[0]);
  }
}

TEST(ExactSum, EqualsTheSumInLongDoubleWhereThatIsExact) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (int round = 0; round < 2000; ++round) {
    // Multiples of 2^-10 below 2^40: 64 bits of mantissa hold sums of some thousand of them.
    Sum sum;
    long double exact = 0;
    for (int i = 0; i < 50; ++i) {
      const auto integer =
          static_cast<int64_t>(random.Below(uint64_t{1} << 50)) - (int64_t{1} << 49);
      const int64_t weight = static_cast<int64_t>(random.Below(7)) - 3;
      sum.Add(std::ldexp(static_cast<double>(integer), -10), weight);
      exact += std::ldexp(static_cast<long double>(integer), -10) * weight;
    }
    ASSERT_EQ(sum.Round(), static_cast<double>(exact));
  }
}

TEST(ExactSum, KeepsASmallTermBesideHugeOnesThatCancel) {
  Sum sum;
  sum.Add(1e308);
  sum.Add(1.0);
  sum.Add(5e-324);
  sum.Add(1e308, -1);
  sum.Add(1.0, -1);
  EXPECT_EQ(sum.Round(), 5e-324);
}

TEST(ExactSum, CountsNanAndInfinitiesApart) {
  const double infinity = std::numeric_limits<double>::infinity();
  Sum sum;
  sum.Add(2.5);
  sum.Add(infinity);
  EXPECT_EQ(sum.Round(), infinity);
  sum.Add(-infinity);
  EXPECT_TRUE(std::isnan(sum.Round()));
  sum.Add(infinity, -1);
  EXPECT_EQ(sum.Round(), -infinity);
  sum.Add(-infinity, -1);
  EXPECT_EQ(sum.Round(), 2.5);
  sum.Add(std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(std::isnan(sum.Round()));
  sum.Add(std::numeric_limits<double>::quiet_NaN(), -1);
  EXPECT_EQ(sum.Round(), 2.5);
}

TEST(ExactSum, RoundsTiesToEven) {
  Sum down;
  down.Add(9007199254740992.0);  // 2^53
  down.Add(1.0);
  EXPECT_EQ(down.Round(), 9007199254740992.0);
  Sum up;
  up.Add(9007199254740994.0);
  up.Add(1.0);
  EXPECT_EQ(up.Round(), 9007199254740996.0);
}

TEST(ExactSum, Of128BitIntegersPassesOver128BitsAndComesBack) {
  const Int128 greatest = static_cast<Int128>((static_cast<unsigned __int128>(1) << 127) - 1);
  Int256 sum;
  sum.AddProduct(greatest, 1'000'000);
  EXPECT_FALSE(sum.ToInt128().has_value());
  sum.AddProduct(greatest, -999'999);
  ASSERT_TRUE(sum.ToInt128().has_value());
  EXPECT_TRUE(*sum.ToInt128() == greatest);
  sum.AddProduct(-greatest, 2);
  ASSERT_TRUE(sum.ToInt128().has_value());
  EXPECT_TRUE(*sum.ToInt128() == -greatest);
}

}  // namespace
}  // namespace millrace::stream::exact_sum_test
