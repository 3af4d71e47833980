#include "http/openapi_models.h"

#include <fmt/format.h>

#include "http/url.h"

namespace millrace::http {
namespace {

std::string JsonContent(std::string_view schema) {
  return fmt::format(R"({{"application/json":{{"schema":{{"$ref":"#/components/schemas/{}"}}}}}})",
                     schema);
}

std::string Answer(std::string_view description, std::string_view schema) {
  return JsonObject({{"description", JsonText(description)}, {"content", JsonContent(schema)}});
}

std::string Operation(const std::string& id, const std::string& summary, std::string_view answer,
                      bool has_body) {
  return JsonObject(
      {{"operationId", JsonText(id)},
       {"summary", JsonText(summary)},
       {"tags", JsonArray({JsonText("models")})},
       {"requestBody",
        has_body ? JsonObject({{"required", "true"}, {"content", JsonContent("InferRequest")}})
                 : ""},
       {"responses",
        JsonObject({{"200", Answer(answer, has_body ? "InferAnswer" : "ModelMetadata")},
                    {"400", Answer("the request does not fit the model", "InferError")},
                    {"401", Answer("no token, or one that is not valid", "Error")},
                    {"403", Answer("the token lacks a scope", "Error")},
                    {"404", Answer("there is no such model", "InferError")},
                    {"413", Answer("too large", "InferError")},
                    {"503", Answer("the node has too much to do", "InferError")}})}});
}

}  // namespace

JsonMembers ModelPaths(const catalog::Catalog& catalog) {
  JsonMembers paths;
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kModel)) {
    const std::string& name = object->name();
    const std::string path = "/v2/models/" + PercentEncode(name);
    const std::string summary =
        object->comments.object.empty() ? "score with " + name : object->comments.object;
    paths.emplace_back(
        path, JsonObject({{"get", Operation("model_" + name, "what " + name + " takes and gives",
                                            "inputs and outputs", false)}}));
    paths.emplace_back(
        path + "/infer",
        JsonObject({{"post", Operation("infer_" + name, summary, "the outputs", true)}}));
  }
  return paths;
}

JsonMembers ModelSchemas(const catalog::Catalog& catalog) {
  if (catalog.OfKind(catalog::Kind::kModel).empty()) return {};
  constexpr std::string_view kTensor =
      R"({"type":"object","required":["name","shape","datatype","data"],"properties":{)"
      R"("name":{"type":"string"},"shape":{"type":"array","items":{"type":"integer"}},)"
      R"("datatype":{"enum":["BOOL","INT8","INT16","INT32","INT64","UINT8","UINT16","UINT32",)"
      R"("UINT64","FP16","FP32","FP64","BYTES"]},"data":{"type":"array"}}})";
  constexpr std::string_view kSpecs =
      R"({"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},)"
      R"("datatype":{"type":"string"},"shape":{"type":"array","items":{"type":"integer"}}}}})";
  return {{"Tensor", std::string(kTensor)},
          {"InferRequest",
           R"({"type":"object","required":["inputs"],"properties":{"id":{"type":"string"},)"
           R"("inputs":{"type":"array","items":{"$ref":"#/components/schemas/Tensor"}},)"
           R"("outputs":{"type":"array","items":{"type":"object","required":["name"],)"
           R"("properties":{"name":{"type":"string"}}}}}})"},
          {"InferAnswer",
           R"({"type":"object","required":["model_name","outputs"],"properties":{)"
           R"("model_name":{"type":"string"},"model_version":{"type":"string"},)"
           R"("id":{"type":"string"},)"
           R"("outputs":{"type":"array","items":{"$ref":"#/components/schemas/Tensor"}}}})"},
          {"ModelMetadata",
           fmt::format(R"({{"type":"object","properties":{{"name":{{"type":"string"}},)"
                       R"("versions":{{"type":"array","items":{{"type":"string"}}}},)"
                       R"("platform":{{"type":"string"}},"inputs":{0},"outputs":{0}}}}})",
                       kSpecs)},
          {"InferError", R"({"type":"object","properties":{"error":{"type":"string"}}})"}};
}

}  // namespace millrace::http
