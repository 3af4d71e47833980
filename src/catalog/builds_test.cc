// What is being built beside the objects in force, and that nothing disturbs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/catalog.h"
#include "catalog/sql_text.h"

namespace millrace::catalog::builds_test {
namespace {

using ::testing::HasSubstr;

Object Stream(const std::string& name) {
  StreamDefinition stream;
  stream.name = name;
  rows::Column column;
  column.name = "id";
  column.type = ParseType("BIGINT").value();
  stream.schema.columns = {column};
  Object object;
  object.definition = stream;
  return object;
}

Object View(const std::string& name, std::vector<std::string> reads) {
  ViewDefinition view;
  view.name = name;
  view.select = "SELECT 1";
  view.reads = std::move(reads);
  Object object;
  object.definition = view;
  return object;
}

CatalogPtr Base() {
  return Catalog::Empty()
      ->Apply({Create{Stream("s"), false}, Create{View("v", {"s"}), false},
               Create{View("w", {"v"}), false}})
      .value();
}

Change Control(uint64_t number, ControlBuild::What what) { return ControlBuild{number, what, ""}; }

TEST(Builds, WhatABuildMakesCannotBeNamedUntilItIsOver) {
  const CatalogPtr begun = Base()->Apply({StartBuild{{Create{View("x", {"s"}), false}}}}).value();
  ASSERT_EQ(begun->builds().size(), 1u);
  const uint64_t number = begun->builds().begin()->first;
  EXPECT_EQ(number, begun->version());
  EXPECT_EQ(begun->FindView("x"), nullptr);
  EXPECT_NE(begun->FindBuild(Kind::kView, "X"), nullptr);
  EXPECT_FALSE(begun->Apply({Create{View("y", {"x"}), false}}).ok());
  EXPECT_NE(begun->With(begun->builds().begin()->second).value()->FindView("x"), nullptr);
  EXPECT_NE(begun->Outlook()->FindView("x"), nullptr);
  const CatalogPtr over = begun->Apply({Control(number, ControlBuild::What::kFinish)}).value();
  EXPECT_NE(over->FindView("x"), nullptr);
  EXPECT_TRUE(over->builds().empty());
}

TEST(Builds, IsHeldGoesOnAndIsGivenUp) {
  const CatalogPtr begun = Base()->Apply({StartBuild{{Create{View("x", {"s"}), false}}}}).value();
  const uint64_t number = begun->version();
  const CatalogPtr held = begun->Apply({Control(number, ControlBuild::What::kPause)}).value();
  EXPECT_TRUE(held->builds().at(number).paused);
  const CatalogPtr going = held->Apply({Control(number, ControlBuild::What::kResume)}).value();
  EXPECT_FALSE(going->builds().at(number).paused);
  const CatalogPtr gone = going->Apply({Control(number, ControlBuild::What::kCancel)}).value();
  EXPECT_TRUE(gone->builds().empty());
  EXPECT_EQ(gone->FindView("x"), nullptr);
  EXPECT_FALSE(gone->Apply({Control(number, ControlBuild::What::kFinish)}).ok());
}

TEST(Builds, NothingThatABuildNeedsOrReplacesMayChange) {
  const CatalogPtr begun =
      Base()
          ->Apply({StartBuild{{Create{View("v", {"s"}), true}, Create{View("w", {"v"}), true}}}})
          .value();
  const auto refused = [&](const Change& change) {
    const auto after = begun->Apply({change});
    return after.ok() ? std::string() : after.error().ToString();
  };
  EXPECT_THAT(refused(Drop{"w", Kind::kView}), HasSubstr("is being built from history"));
  EXPECT_THAT(refused(Create{View("v", {"s"}), true}), HasSubstr("is being built from history"));
  EXPECT_FALSE(
      begun->Apply({Drop{"w", Kind::kView}, Drop{"v", Kind::kView}, Drop{"s", Kind::kStream}})
          .ok());
  EXPECT_EQ(refused(Create{View("other", {"w"}), false}), "");
}

TEST(Builds, TwoThatWouldDisturbEachOtherCannotBoth) {
  const CatalogPtr begun = Base()->Apply({StartBuild{{Create{View("x", {"w"}), false}}}}).value();
  EXPECT_FALSE(begun->Apply({StartBuild{{Create{View("w", {"s"}), true}}}}).ok());
  EXPECT_FALSE(begun->Apply({StartBuild{{Create{View("x", {"s"}), false}}}}).ok());
  EXPECT_TRUE(begun->Apply({StartBuild{{Create{View("y", {"w"}), false}}}}).ok());
}

TEST(Builds, TheirRecordsComeBackAsTheyWere) {
  Object halted = View("v", {"s"});
  std::get<ViewDefinition>(halted.definition).memory_max = 1 << 30;
  halted.halt = Halt{Halt::Why::kFailed, "too large", "v", 17};
  const std::vector<Change> changes = {
      StartBuild{{Create{View("x", {"s"}), false}, Drop{"w", Kind::kView}, Alter{"v", halted}}},
      ControlBuild{7, ControlBuild::What::kCancel, "why"}};
  const std::string bytes = EncodeChanges(9, changes);
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_EQ(EncodeChanges(9, decoded->second), bytes);
  const auto& build = std::get<StartBuild>(decoded->second[0]);
  const Object& after = std::get<Alter>(build.changes[2]).object;
  EXPECT_EQ(after.halt, halted.halt);
  EXPECT_EQ(std::get<ViewDefinition>(after.definition).memory_max, 1 << 30);
  EXPECT_EQ(std::get<ControlBuild>(decoded->second[1]).reason, "why");
}

}  // namespace
}  // namespace millrace::catalog::builds_test
