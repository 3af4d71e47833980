// The JSON of the Open Inference Protocol v2: requests for scores, their answers, what a model says
// of itself. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/model.h"

namespace millrace::http {

struct InferRequest {
  std::string id;                      // as the client chose it; may be empty
  std::vector<models::Tensor> inputs;  // in the order of the signature
  std::vector<size_t> outputs;         // those that are asked for, of the signature
};

// kInvalidArgument: no JSON, or not what the model takes; names the input and what it takes.
Result<InferRequest> ParseInferRequest(std::string_view body, const models::Signature& signature);

struct ModelName {
  std::string name;
  std::string version;
};
// The version of a model: the beginning of its digest.
std::string VersionOf(const models::Model& model);

// `scored`: the request's outputs. Numbers that JSON has not are texts: "NaN", "Infinity".
std::string InferAnswerText(const ModelName& model, const models::Signature& signature,
                            const InferRequest& request, const std::vector<models::Tensor>& scored);
std::string ModelMetadataText(const ModelName& model, const models::Signature& signature);

}  // namespace millrace::http
