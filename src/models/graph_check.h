// What a model may not hold, found in its bytes before ONNX Runtime sees them: operators that draw
// random numbers (a view could not take back what it scored) and weights that stand in other files
// (which could change under a running view). Pure function, thread-safe.
#pragma once

#include <string_view>

#include "base/result.h"

namespace millrace::models {

// `bytes`: a ModelProto of ONNX. kInvalidArgument: it is none, or its weights stand elsewhere;
// kNotSupported: random operators.
Status CheckGraph(std::string_view bytes);

}  // namespace millrace::models
