#include "cli/plan.h"

#include <gtest/gtest.h>

namespace millrace::cli::plan_test {
namespace {

using What = catalog::Difference::What;

runtime::ProjectPlan Example() {
  runtime::ProjectPlan plan;
  runtime::ProjectPlan::Item item;
  item.change = {What::kDrop, catalog::Kind::kStream, "clicks", "no longer in the project", true,
                 false};
  item.rows_lost = 12;
  item.bytes_lost = 3456;
  plan.items.push_back(item);
  item = {};
  item.change = {
      What::kReplace, catalog::Kind::kView, "v", "definition changed: query", false, true};
  item.rows_to_read = 100;
  item.bytes_to_read = 5'000'000;
  plan.items.push_back(item);
  item = {};
  item.change = {What::kCreate, catalog::Kind::kEndpoint, "e", "new", false, false};
  plan.items.push_back(item);
  plan.notices = {"look out"};
  return plan;
}

TEST(PlanText, SaysWhatChangesAndWhatItCosts) {
  EXPECT_EQ(PlanText(Example(), "shop", /*done=*/false),
            "  - stream clicks  (no longer in the project)  [loses 12 rows, 3.5 kB: needs "
            "--allow-drop clicks]\n"
            "  ~ view v  (definition changed: query)  [reads 100 rows, 5.0 MB]\n"
            "  + endpoint e\n"
            "  note: look out\n"
            "what loses data needs leave: millrace run shop --allow-drop clicks\n");
}

TEST(PlanText, SaysWhatWasDone) {
  EXPECT_EQ(PlanText(Example(), "shop", /*done=*/true),
            "  - stream clicks  (no longer in the project)  [12 rows, 3.5 kB lost]\n"
            "  ~ view v  (definition changed: query)  [built from 100 rows, 5.0 MB]\n"
            "  + endpoint e\n"
            "  note: look out\n");
  EXPECT_EQ(PlanText({}, "shop", false), "shop: nothing to change\n");
}

TEST(BytesText, HasThreeDigitsOrFour) {
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(1000), "1.0 kB");
  EXPECT_EQ(BytesText(999'949), "999.9 kB");
  EXPECT_EQ(BytesText(999'950), "1.0 MB");
  EXPECT_EQ(BytesText(61'200'000), "61.2 MB");
  EXPECT_EQ(BytesText(5'000'000'000'000), "5.0 TB");
}

}  // namespace
}  // namespace millrace::cli::plan_test
