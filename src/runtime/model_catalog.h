// Models of the catalog and their bytes in step: kept before a record names them, forgotten when
// none does. Thread-safe as the store is.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "models/model_store.h"
#include "runtime/system_tables.h"

namespace millrace::runtime {

// The model's definition of its file, with digest and size. The error names the file.
Status ExamineModel(models::ModelStore& store, catalog::ModelDefinition& model);

// The bytes of the models that the changes create are durable when it returns. REQUIRES: each was
// examined.
Status KeepModels(models::ModelStore& store, const std::vector<catalog::Change>& changes);

// Lets go of loaded models that the catalog does not name, builds included.
Status ForgetModels(models::ModelStore& store, const catalog::Catalog& catalog);
// At the start: their files too. `flush` is called before: what is recovered from an earlier flush
// may name them.
Status RemoveOrphanModels(models::ModelStore& store, const catalog::Catalog& catalog,
                          const std::function<Status()>& flush);

// Tells of each model of the catalog whose bytes are damaged or missing.
void VerifyModels(const models::ModelStore& store, const catalog::Catalog& catalog,
                  const std::function<void(const std::string& problem)>& damaged);

// kNotFound with the nearest name.
Result<std::shared_ptr<const models::Model>> FindModel(models::ModelStore& store,
                                                       const catalog::Catalog& catalog,
                                                       std::string_view name);

// millrace.models. The store must outlive it.
SystemTable ModelsTable(models::ModelStore& store);

}  // namespace millrace::runtime
