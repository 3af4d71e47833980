#include "runtime/model_catalog.h"

#include <set>

#include "base/logging.h"
#include "runtime/system_table_parts.h"

namespace millrace::runtime {
namespace {

using catalog::ModelDefinition;

const ModelDefinition* ModelOf(const catalog::Object& object) {
  return std::get_if<ModelDefinition>(&object.definition);
}

std::set<std::string> DigestsOf(const catalog::Catalog& catalog) {
  std::set<std::string> digests;
  const auto add = [&](const catalog::Object& object) {
    if (const ModelDefinition* model = ModelOf(object)) digests.insert(model->digest);
  };
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kModel)) add(*object);
  for (const auto& [number, build] : catalog.builds()) {
    for (const catalog::Object* object : build.created()) add(*object);
  }
  return digests;
}

std::string TextOf(const std::vector<models::TensorSpec>& specs) {
  std::string text;
  for (const models::TensorSpec& spec : specs)
    text += (text.empty() ? "" : ", ") + spec.name + " " + models::ToString(spec);
  return text;
}

}  // namespace

Status ExamineModel(models::ModelStore& store, ModelDefinition& model) {
  TRY(const models::ModelFile file, store.Examine(model.path));
  model.digest = file.model->digest();
  model.bytes = file.bytes;
  return Ok();
}

Status KeepModels(models::ModelStore& store, const std::vector<catalog::Change>& changes) {
  for (const catalog::Change& change : changes) {
    const auto* create = std::get_if<catalog::Create>(&change);
    const ModelDefinition* model = create == nullptr ? nullptr : ModelOf(create->object);
    if (model == nullptr) continue;
    TRY(store.Keep(model->path, model->digest).With("CREATE MODEL " + model->name));
  }
  return Ok();
}

Status ForgetModels(models::ModelStore& store, const catalog::Catalog& catalog) {
  return store.Retain(DigestsOf(catalog), /*on_disk=*/false);
}

Status RemoveOrphanModels(models::ModelStore& store, const catalog::Catalog& catalog,
                          const std::function<Status()>& flush) {
  const std::set<std::string> digests = DigestsOf(catalog);
  TRY(const bool orphans, store.HasOthers(digests));
  if (!orphans) return Ok();
  TRY(flush());
  return store.Retain(digests, /*on_disk=*/true);
}

void VerifyModels(const models::ModelStore& store, const catalog::Catalog& catalog,
                  const std::function<void(const std::string& problem)>& damaged) {
  for (const std::string& digest : DigestsOf(catalog)) {
    const auto content = store.Content(digest);
    if (!content.ok()) damaged(content.error().ToString());
  }
}

Result<std::shared_ptr<const models::Model>> FindModel(models::ModelStore& store,
                                                       const catalog::Catalog& catalog,
                                                       std::string_view name) {
  const catalog::Object* object = catalog.Find(catalog::Kind::kModel, name);
  if (object == nullptr) {
    std::vector<std::string> names;
    for (const catalog::Object* each : catalog.OfKind(catalog::Kind::kModel))
      names.push_back(each->name());
    return Error(Code::kNotFound, "model {} does not exist", Quoted(name))
        .Hint(DidYouMean(name, names))
        .SqlState("42704");
  }
  return store.Get(ModelOf(*object)->digest).With("model " + Quoted(object->name()));
}

SystemTable ModelsTable(models::ModelStore& store) {
  using duckdb::LogicalType;
  using system_tables::Number;
  using system_tables::OptionalText;
  using system_tables::Text;
  return {system_tables::MakeSchema({{"name", LogicalType::VARCHAR},
                                     {"path", LogicalType::VARCHAR},
                                     {"bytes", LogicalType::BIGINT},
                                     {"digest", LogicalType::VARCHAR},
                                     {"inputs", LogicalType::VARCHAR},
                                     {"outputs", LogicalType::VARCHAR},
                                     {"error", LogicalType::VARCHAR},
                                     {"comment", LogicalType::VARCHAR}}),
          [&store](const Published& published) {
            std::vector<std::vector<duckdb::Value>> rows;
            for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kModel)) {
              const ModelDefinition& model = *ModelOf(*object);
              const auto loaded = store.Get(model.digest);
              const auto signature = loaded.ok() ? (*loaded)->signature() : models::Signature();
              rows.push_back({Text(model.name), Text(model.path), Number(model.bytes),
                              Text(model.digest), OptionalText(TextOf(signature.inputs)),
                              OptionalText(TextOf(signature.outputs)),
                              OptionalText(loaded.ok() ? "" : loaded.error().message()),
                              OptionalText(object->comments.object)});
            }
            return rows;
          }};
}

}  // namespace millrace::runtime
