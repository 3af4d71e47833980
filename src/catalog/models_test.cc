// Models in the catalog: who needs them, and when one is another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/catalog.h"

namespace millrace::catalog::models_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Object Model(const std::string& path, const std::string& digest) {
  Object object;
  object.definition = ModelDefinition{"churn", path, digest, 7};
  object.from_project = true;
  return object;
}

Object View() {
  ViewDefinition view;
  view.name = "scores";
  view.select = "SELECT predict(churn, 1) AS s";
  Object object;
  object.definition = view;
  object.from_project = true;
  object.uses = {{Kind::kModel, "churn"}};
  return object;
}

CatalogPtr Both() {
  return Catalog::Empty()->Apply({Create{Model("a.onnx", "1")}, Create{View()}}).value();
}

TEST(CatalogModel, IsNeededByWhatNamesIt) {
  const CatalogPtr catalog = Both();
  EXPECT_EQ(catalog->DependentObjects(Kind::kModel, "CHURN").at(0)->name(), "scores");
  const auto dropped = catalog->Apply({Drop{"churn", Kind::kModel}});
  ASSERT_FALSE(dropped.ok());
  EXPECT_THAT(dropped.error().message(),
              HasSubstr("cannot drop model \"churn\": view \"scores\" needs it"));
  EXPECT_TRUE(catalog->Apply({Drop{"churn", Kind::kModel}, Drop{"scores", Kind::kView}}).ok());
  EXPECT_FALSE(Catalog::Empty()->Apply({Create{View()}}).ok());
}

TEST(CatalogModel, IsAnotherByItsContentAndNotByItsPath) {
  const CatalogPtr catalog = Both();
  EXPECT_TRUE(Diff(*catalog, {Model("b.onnx", "1"), View()})->items.empty());
  const auto difference = Diff(*catalog, {Model("a.onnx", "2"), View()});
  ASSERT_TRUE(difference.ok()) << difference.error().ToString();
  std::vector<std::string> items;
  for (const Difference::Item& item : difference->items)
    items.push_back(fmt::format("{}: {}{}", item.name, item.reason, item.backfill ? " +" : ""));
  EXPECT_THAT(items, ElementsAre("churn: definition changed: the content of its file changed",
                                 "scores: stands on model \"churn\", which changes +"));
}

}  // namespace
}  // namespace millrace::catalog::models_test
